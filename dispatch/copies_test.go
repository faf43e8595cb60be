package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

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

// An emptied Redis forgot as well that it was vouched for. Filled again it is, or a copy of that would be taken for it.
func TestAnOldCopyOfARefilledRedisIsNoticed(t *testing.T) {
	srv := redistest.Start(t)
	b := newBed(t, &redisServer{url: srv.URL()})
	b.up()
	b.flush()
	expect(b, any1[events.RedisRefilled])
	srv.Snapshot()
	lost := b.submit("x", Options{Delay: time.Hour})
	expect(b, func(e events.JobQueued) bool { return e.Job == lost })
	srv.Restore()
	expect(b, oldCopy)
	b.eventually("it waits", func() bool { _, err := b.store.Job(b.soon(), lost); return err == nil })
}

// By an old copy a job is dead as it was before it was retried and died once more: it can be retried at once, although the log knows of a retry of that end.
func TestWhatIsDeadByAnOldCopyIsRetried(t *testing.T) {
	srv := redistest.Start(t)
	b := newBed(t, &redisServer{url: srv.URL()}).fast()
	c := b.up()
	gone := b.failing()
	b.submit("x", Options{ID: "first", Retries: new(1)})
	b.eventually("it is dead", func() bool { return len(c.buried()) == 1 && b.logged() == 0 })
	was := c.buried()[0].sequence
	srv.Snapshot()
	if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
		t.Fatal(r)
	}
	b.eventually("it has died again", func() bool {
		all := c.buried()
		return len(all) == 1 && all[0].sequence > was && b.logged() == 0
	})
	gone()
	srv.Restore()
	expect(b, oldCopy)
	b.actor("bash_2", nil)
	if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
		t.Fatal(r)
	}
	expect(b, func(e events.JobEnded) bool { return e.Job == "first" && e.Outcome == events.Finished })
	b.eventually("all is settled", func() bool { return b.logged() == 0 })
	b.unburied(c, "first")
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

// A job that was dead when the copy was made and has been retried since, to a good end, is not dead: what held for it goes on. One that is
// dead still, and one that has failed and was never among the dead, are as they were.
func TestAnOldCopyDoesNotBuryAgain(t *testing.T) {
	srv := redistest.Start(t)
	b := newBed(t, &redisServer{url: srv.URL()}).fast()
	c := b.up()
	var good atomic.Bool
	b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
		return store.Outcome{Output: j.Script, Failed: !good.Load(), Reason: "exit 3"}, true
	})
	b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
	ids := []string{"retried", "removed", "dead"}
	for _, id := range ids {
		b.submit("x", Options{ID: id, Retries: new(1)})
	}
	b.submit("x", Options{ID: "failed"})
	expect(b, func(e events.JobEnded) bool { return e.Job == "failed" })
	b.eventually("all are in the bucket", func() bool { return len(c.buried()) == len(ids) && b.logged() == 0 })
	b.submit("x", Options{ID: "for-retried", Delay: time.Hour, Prerequisites: []Prerequisite{{ID: "retried", Rule: store.RuleHold}}})
	held := b.submit("x", Options{ID: "for-dead", Delay: time.Hour, Prerequisites: []Prerequisite{{ID: "dead", Rule: store.RuleHold}}})
	expect(b, func(e events.JobWaiting) bool { return e.Job == held })
	srv.Snapshot()
	good.Store(true)
	if r := b.request(events.JobRetry{Job: "retried"}, nil); r != nil {
		t.Fatal(r)
	}
	if r := b.request(events.JobRemove{Job: "removed"}, nil); r != nil {
		t.Fatal(r)
	}
	expect(b, func(e events.JobEnded) bool { return e.Job == "retried" })
	b.eventually("it is settled", func() bool { return b.logged() == 2 })
	srv.Restore()
	expect(b, oldCopy)
	for id, want := range map[string]store.Status{"for-retried": store.StatusDispatched, "for-dead": store.StatusWaiting, "dead": store.StatusError, "failed": store.StatusError} {
		b.status(id, want)
	}
	for _, id := range ids[:2] {
		if _, err := b.store.Job(b.soon(), id); !errors.Is(err, store.ErrNoJob) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if dead := b.rdb.ZRange(b.soon(), "hero:dead", 0, -1).Val(); !slices.Equal(dead, []string{"dead"}) {
		t.Errorf("in the list of the dead: %v", dead)
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
	dead := at(9, store.StatusError, 2000)
	dead.DeadAt = time.UnixMilli(3000)
	got, foreign := log.underWay([]store.Record{
		dead,
		at(0, store.StatusDispatched, 2000), // in no log
		{ID: "f1", Type: "sh", Status: store.StatusStarted, StartedAt: time.UnixMilli(999)},
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
	if d := cmp.Diff(map[store.Forgotten]time.Time{{ID: "j0", Type: "sh"}: time.UnixMilli(2000)}, foreign); d != "" {
		t.Error(d)
	}
	var ids []string
	for _, j := range got {
		ids = append(ids, j.ID)
		if j.Over != (j.ID == "j9") {
			t.Errorf("%+v", j)
		}
	}
	if want := []string{"j9", "j1", "j2", "j3"}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
	log.first = 8 // a log that was made anew goes on with the numbers
	if got, _ := log.underWay([]store.Record{at(7, store.StatusStarted, 2000), at(8, store.StatusStarted, 2000)}); len(got) != 1 || got[0].ID != "j8" {
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
				"sequence", was.Sequence, "token", "0 0   ", "queued_ms", time.Now().UnixMilli()).Err(); err != nil {
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

// keeps has an actor claim a job, lose Redis under it, and say to the new one that it has it still; it returns the actor's process.
func (b *bed) keeps(id string) *process {
	b.Helper()
	p := b.spawn()
	a, err := b.redis.open(b).Actor("bash_1", "bash", p.inc.String())
	if err != nil {
		b.Fatal(err)
	}
	hello := func() {
		b.Helper()
		b.eventually("it is registered", func() bool {
			h, err := a.Hello(b.soon())
			return err == nil && h.Code == store.OK
		})
	}
	hello()
	expect(b, any1[events.ActorRegistered])
	got, err := a.Claim(b.soon())
	if err != nil || got.Job == nil || got.Job.ID != id {
		b.Fatalf("%+v %v", got, err)
	}
	b.flush()
	hello()
	if codes, code, err := a.Assert(b.soon(), []store.InHand{{Claimed: *got.Job}}); err != nil || code != store.OK || codes[0] != store.OK {
		b.Fatalf("%v %v %v", codes, code, err)
	}
	if f := expect(b, any1[events.RedisRefilled]); f.Kept != 1 {
		b.Fatalf("%+v", f)
	}
	return p
}

// A job that others pushed and no log had, which its actor kept over a rebuild, died with it and was retried: the log has it by then, and an old copy
// of Redis in which it is dead, or in that hand still, changes nothing about that. One that has ended since is dropped from the copy that has it as dead.
func TestAnOldCopyOfAForeignJob(t *testing.T) {
	for what, tt := range map[string]struct{ dead, ended bool }{
		"in hand": {}, "dead": {dead: true}, "dead, ended since": {dead: true, ended: true},
	} {
		t.Run(what, func(t *testing.T) {
			srv := redistest.Start(t)
			b := newBed(t, &redisServer{url: srv.URL()}).fast()
			b.cfg.MaxCrashes = 1
			c := b.up()
			b.push("f1", "echo", "sequence", "0", "token", "0 0   ", "type", "bash", "v", "1") // nobody adopts it yet
			p := b.keeps("f1")
			if !tt.dead {
				srv.Snapshot()
			}
			p.kill()
			b.publish(events.ProcessExited{Pool: "bash", Actor: "bash_1", Incarnation: p.inc, ExitCode: -1, Signal: "SIGKILL"})
			b.eventually("it is in the bucket", func() bool { return len(c.buried()) == 1 })
			if tt.dead {
				b.eventually("and settled", func() bool { return b.rdb.LLen(b.soon(), "hero:ended").Val() == 0 })
				srv.Snapshot()
			}
			if r := b.request(events.JobRetry{Job: "f1"}, nil); r != nil {
				t.Fatal(r)
			}
			run := func() {
				t.Helper()
				b.actor("bash_2", nil)
				b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "idle"})
				expect(b, func(e events.JobEnded) bool { return e.Job == "f1" && e.Outcome == events.Finished })
				b.eventually("all is settled", func() bool { return b.logged() == 0 })
			}
			if tt.ended {
				run()
			}
			srv.Restore()
			expect(b, oldCopy)
			if tt.ended {
				if rec, err := b.store.Job(b.soon(), "f1"); !errors.Is(err, store.ErrNoJob) {
					t.Errorf("%+v %v", rec, err)
				}
			} else {
				b.status("f1", store.StatusDispatched)
				run()
			}
			b.unburied(c, "f1")
			if n := count(b, func(e events.JobDead) bool { return e.Job == "f1" }); n != 1 {
				t.Errorf("told %d times that it is dead", n)
			}
		})
	}
}

// What an earlier log numbered is no message of this one, also when its settings do not say where it began.
func TestWhereALogBegins(t *testing.T) {
	made := time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC)
	clock := uint64(made.UnixMilli())
	for name, c := range map[string]struct{ first, last, want uint64 }{
		"by its settings":  {clock - 3, clock + 9, clock - 3},
		"by the clock":     {0, clock + 9, clock - 60_000},
		"empty":            {0, clock - 1, clock - 60_000},
		"somebody's, at 1": {0, 17, 0},
	} {
		info := &jetstream.StreamInfo{Created: made, Config: jetstream.StreamConfig{FirstSeq: c.first}, State: jetstream.StreamState{LastSeq: c.last}}
		if got := spanOf(info); got.first != c.want || got.last != c.last {
			t.Errorf("%s: %+v, want it to begin at %d", name, got, c.want)
		}
	}
}
