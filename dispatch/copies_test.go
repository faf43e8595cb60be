package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
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

// What has ended and was settled since the copy was made is not run again, wherever the copy has it; what has not, runs.
func TestAnOldCopyRunsNothingAgain(t *testing.T) {
	srv := redistest.Start(t)
	b := newBed(t, &redisServer{url: srv.URL()})
	b.up()
	closed := make(chan struct{})
	var runs sync.Map // by job
	b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
		select {
		case <-closed:
		case <-ctx.Done():
			return store.Outcome{}, false
		}
		_, again := runs.Swap(j.ID, true)
		if again {
			t.Errorf("%s runs again", j.ID)
		}
		return store.Outcome{Output: j.Script}, true
	})
	b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
	const jobs = 60
	for i := range jobs {
		o := Options{ID: "j" + numeral(i)}
		if i%10 == 9 {
			o.Priority = 3
		}
		b.submit("x", o)
	}
	delayed := b.submit("x", Options{Delay: time.Hour, ID: "later"})
	cancelled := b.submit("x", Options{Delay: time.Hour, ID: "never"})
	waits := b.submit("x", Options{ID: "behind", Prerequisites: []store.Prerequisite{{ID: delayed}}})
	expect(b, func(e events.JobWaiting) bool { return e.Job == waits })
	expect(b, any1[events.JobStarted])
	srv.Snapshot() // with one in hand
	close(closed)
	waitEnded(b, jobs)
	if r := b.request(events.JobCancel{Job: cancelled}, nil); r != nil {
		t.Fatal(r)
	}
	b.eventually("all but two are settled", func() bool { return b.logged() == 2 })
	srv.Restore()
	expect(b, oldCopy)
	third := b.submit("x", Options{})
	expect(b, func(e events.JobEnded) bool { return e.Job == third })
	for id, want := range map[string]store.Status{delayed: store.StatusDispatched, waits: store.StatusWaiting} {
		if rec, err := b.store.Job(b.soon(), id); err != nil || rec.Status != want {
			t.Errorf("%s: %s %v", id, rec.Status, err)
		}
	}
	if _, err := b.store.Job(b.soon(), cancelled); !errors.Is(err, store.ErrNoJob) {
		t.Errorf("the cancelled one: %v", err)
	}
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

// Only what this log brought, and what has not ended by its record, is compared with it.
func TestWhatOfACopyIsUnderWay(t *testing.T) {
	t.Parallel()
	log := logSpan{created: time.UnixMilli(1000), first: 1, last: 9}
	at := func(seq uint64, status store.Status, queued int64) store.Record {
		return store.Record{ID: "j" + numeral(int(seq)), Type: "sh", Sequence: seq, Status: status, QueuedAt: time.UnixMilli(queued)}
	}
	got := log.underWay([]store.Record{
		at(0, store.StatusDispatched, 2000), // in no log
		at(1, store.StatusDispatched, 2000),
		at(2, store.StatusStarted, 1000),
		at(3, store.StatusWaiting, 2000),
		at(4, store.StatusFinished, 2000),
		at(5, store.StatusError, 2000),
		at(6, store.StatusStarted, 999), // by an earlier log
		at(10, store.StatusStarted, 2000),
		{ID: "odd id", Type: "sh", Sequence: 7, Status: store.StatusStarted, QueuedAt: time.UnixMilli(2000)},
		{ID: "j8", Type: "Odd Type", Sequence: 8, Status: store.StatusStarted, QueuedAt: time.UnixMilli(2000)},
	})
	var ids []string
	for _, j := range got {
		ids = append(ids, j.ID)
	}
	if want := []string{"j1", "j2", "j3"}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
	log.first = 8 // a log that was made anew goes on with the numbers
	if got := log.underWay([]store.Record{at(7, store.StatusStarted, 2000), at(8, store.StatusStarted, 2000)}); len(got) != 1 || got[0].ID != "j8" {
		t.Errorf("of a log from 8 on: %+v", got)
	}
}

// A job whose queue is another program's key can not be dropped: the others are, and the refill goes on.
func TestAForeignQueueHoldsNoRefillUp(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		b.up()
		b.submit("x", Options{ID: "gone", Delay: time.Hour})
		was := expect(b, func(e events.JobQueued) bool { return e.Job == "gone" })
		if r := b.request(events.JobCancel{Job: "gone"}, nil); r != nil {
			t.Fatal(r)
		}
		b.eventually("it is settled", func() bool { return b.logged() == 0 })
		for id, jobType := range map[string]string{"j1": "odd", "j2": "bash"} {
			if err := b.rdb.HSet(b.soon(), "hero:job:"+id, "status", "dispatched", "script", "x", "script_type", jobType, "type", jobType,
				"sequence", was.Sequence, "queued_ms", time.Now().UnixMilli()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.rdb.Set(b.soon(), "hero:q:work:type:odd", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := b.rdb.Del(b.soon(), "hero:epoch").Err(); err != nil {
			t.Fatal(err)
		}
		expect(b, any1[events.RedisRefilled])
		if _, err := b.store.Job(b.soon(), "j2"); !errors.Is(err, store.ErrNoJob) {
			t.Errorf("the other one: %v", err)
		}
	})
}

// Ends that are known and whose messages are only not deleted yet count as settled; where the log is empty, all do.
func TestWhatTheLogHasNoMore(t *testing.T) {
	b := newBed(t, miniRedis(t))
	r := b.up()
	var seqs []uint64
	for i := range 5 {
		id := b.submit("x", Options{Delay: time.Hour, ID: "j" + numeral(i)})
		seqs = append(seqs, expect(b, func(e events.JobQueued) bool { return e.Job == id }).Sequence)
	}
	ask := func(want ...int) {
		t.Helper()
		var jobs []store.Forgotten
		for _, s := range append([]uint64{1}, seqs...) {
			jobs = append(jobs, store.Forgotten{Sequence: s})
		}
		gone, err := r.notLogged(b.soon(), jobs)
		got := []int{}
		for _, g := range gone {
			got = append(got, slices.Index(seqs, g.Sequence))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v %v, want %v", got, err, want)
		}
	}
	ask(-1)
	r.endings.note([]store.Fact{{Kind: store.FactEnded, Sequence: seqs[4]}})
	ask(-1, 4)
	for _, i := range []int{0, 2} {
		if err := r.deleteLogged(b.soon(), seqs[i]); err != nil {
			t.Fatal(err)
		}
	}
	ask(-1, 0, 2, 4)
	if err := r.stream.Purge(b.soon()); err != nil {
		t.Fatal(err)
	}
	ask(-1, 0, 1, 2, 3, 4)
}
