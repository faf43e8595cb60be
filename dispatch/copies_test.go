package dispatch

import (
	"strings"
	"testing"
	"time"

	"herosup/dispatch/redistest"
	"herosup/dispatch/store"
	"herosup/events"
)

func oldCopy(e events.RedisRefilled) bool { return strings.Contains(e.Reason, "old copy") }

// A Redis that comes back with an older state is not worked with: nobody claims from it before it was filled anew,
// and what was accepted after the copy was made runs.
func TestAnOldCopyIsNoticed(t *testing.T) {
	srv := redistest.Start(t)
	b := newBed(t, &redisServer{url: srv.URL()})
	b.up()
	b.actor("bash_1", nil)
	b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
	first := b.submit("x", Options{})
	expect(b, func(e events.JobEnded) bool { return e.Job == first })
	delayed := b.submit("x", Options{Delay: time.Hour})
	expect(b, func(e events.JobQueued) bool { return e.Job == delayed })
	srv.Snapshot()
	second := b.submit("x", Options{})
	expect(b, func(e events.JobEnded) bool { return e.Job == second })
	lost := b.submit("x", Options{Delay: time.Hour})
	expect(b, func(e events.JobQueued) bool { return e.Job == lost })
	srv.Restore()
	if f := expect(b, oldCopy); f.Epoch != 2 {
		t.Errorf("refilled: %+v", f)
	}
	for _, id := range []string{delayed, lost} {
		b.eventually("job "+id+" waits after the refill", func() bool {
			rec, err := b.store.Job(b.soon(), id)
			return err == nil && rec.Status == store.StatusDispatched
		})
	}
	third := b.submit("x", Options{})
	expect(b, func(e events.JobEnded) bool { return e.Job == third })
}

// The copy is exchanged while no daemon runs: the next one knows from its bucket how far Redis was.
func TestAnOldCopyIsNoticedAtTheStart(t *testing.T) {
	srv := redistest.Start(t)
	b := newBed(t, &redisServer{url: srv.URL()})
	first := b.up()
	id := b.submit("x", Options{})
	expect(b, func(e events.JobQueued) bool { return e.Job == id })
	srv.Snapshot()
	lost := b.submit("y", Options{})
	queued := expect(b, func(e events.JobQueued) bool { return e.Job == lost })
	b.eventually("the mark is kept", func() bool {
		m, err := first.keptMark(b.soon(), 1)
		return err == nil && m.position == queued.Sequence
	})
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	srv.Restore()
	b.up()
	expect(b, oldCopy)
	b.eventually("what was accepted after the copy is there", func() bool {
		_, err := b.store.Job(b.soon(), lost)
		return err == nil
	})
}

// A Redis that comes back with all it had is vouched for and nothing is refilled; until then an actor's calls say
// that it is away.
func TestAWholeCopyIsVouchedFor(t *testing.T) {
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	b := newBed(t, &redisServer{url: srv.URL()})
	first := b.up()
	b.actor("bash_1", nil)
	id := b.submit("x", Options{})
	expect(b, func(e events.JobEnded) bool { return e.Job == id })
	srv.Kill()
	srv.Boot()
	id = b.submit("x", Options{})
	expect(b, func(e events.JobEnded) bool { return e.Job == id })
	if n := count(b, any1[events.RedisRefilled]); n != 0 {
		t.Error("refilled")
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	srv.Kill()
	srv.Boot()
	other := b.redis.open(t)
	a, err := other.Actor("bash_2", "bash", "00000000-1-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Hello(b.soon()); err == nil || !strings.Contains(err.Error(), "old copy") {
		t.Errorf("an actor that nobody vouched for this Redis to: %v", err)
	}
	b.up()
	b.eventually("it is vouched for", func() bool {
		_, err := a.Hello(b.soon())
		return err == nil
	})
}

func TestMark(t *testing.T) {
	t.Parallel()
	m := mark{epoch: 3, fact: "5-2", position: 7}
	if got, err := parseMark(m.String()); err != nil || got != m {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "1 2", "x 1-1 2", "1 1-1 y"} {
		if _, err := parseMark(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	for _, c := range []struct {
		fact     string
		position uint64
		old      bool
	}{{"5-2", 7, false}, {"6-0", 8, false}, {"5-1", 7, true}, {"5-2", 6, true}, {"0-0", 7, true}, {"10-0", 7, false}} {
		if got := m.behind(c.fact, c.position) != ""; got != c.old {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
