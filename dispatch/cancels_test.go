package dispatch

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// What a cancel promises, by the job's state: at once, unless its script ignores TERM. The grace is an hour, so whatever
// would wait for it does not end within this test.
func TestACancelIsAtOnceInEachState(t *testing.T) {
	for state, reach := range map[string]func(b *bed) (id string, during func()){
		StateWaiting:  func(b *bed) (string, func()) { return b.queued(Options{}), nil },
		StateDelayed:  func(b *bed) (string, func()) { return b.queued(Options{Delay: time.Hour}), nil },
		StateBlocked:  blocked,
		"retrying":    retrying,
		"handed over": handedOver,
		StateRunning:  runningScript,
	} {
		t.Run(state, func(t *testing.T) {
			eachRedis(t, func(t *testing.T, r *redisServer) {
				b := newBed(t, r)
				b.redis.options = func(o *store.Options) { o.RetryBase, o.RetryCap = 300*24*time.Hour, 300*24*time.Hour }
				polls(&b.cfg)
				b.cfg.CancelGrace = time.Hour
				b.up()
				id, during := reach(b)
				answer := make(chan *events.Refusal, 1)
				var v JobView
				go func() { answer <- b.request(events.JobCancel{Job: id}, &v) }()
				if during != nil {
					during()
				}
				select {
				case r := <-answer:
					if r != nil || v.State != StateCancelled || v.Reason != store.ReasonCancelled {
						t.Fatalf("%+v %v", v, r)
					}
				case <-time.After(patience):
					t.Fatal("the cancel waits for something that takes longer than this test")
				}
				// The answer came after the end, not before it.
				rec, err := b.store.Job(b.soon(), id)
				if err != nil || !rec.Status.Ended() || rec.Reason != store.ReasonCancelled {
					t.Errorf("%+v %v", rec, err)
				}
				if n := count(b, any1[events.JobOverran]); n != 0 {
					t.Error("an actor was given up")
				}
				// Once more changes nothing: it is so already.
				if r := b.request(events.JobCancel{Job: id}, &v); r != nil || v.State != StateCancelled {
					t.Errorf("%+v %v", v, r)
				}
			})
		})
	}
}

// A script that ignores TERM has its grace, an actor that ignores that has a moment more; then nothing is waited for.
func TestWhenACancelTakesItsSteps(t *testing.T) {
	for _, grace := range []time.Duration{10 * time.Millisecond, 5 * time.Second, time.Hour} {
		for step, want := range map[cancelStep]time.Duration{cancelTerm: 0, cancelKill: grace, cancelActor: grace + 250*time.Millisecond} {
			if got := cancelDue(step, grace); got != want {
				t.Errorf("grace %v: step %d is due after %v, want %v", grace, step, got, want)
			}
		}
	}
}

// A cancel of what has ended is refused at once, and leaves the end as it was.
func TestACancelOfAnEndedJobChangesNothing(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.CancelGrace = time.Hour
		b.up()
		b.actor("bash_1", fails(1))
		for _, want := range []store.Status{store.StatusError, store.StatusFinished} {
			id := b.submit("x", Options{})
			expect(b, func(e events.JobEnded) bool { return e.Job == id })
			before, err := b.store.Job(b.soon(), id)
			if err != nil || before.Status != want {
				t.Fatalf("%+v %v", before, err)
			}
			if r := b.request(events.JobCancel{Job: id}, nil); r == nil || r.Code != "ended" || r.Status != http.StatusConflict {
				t.Errorf("%+v", r)
			}
			after, err := b.store.Job(b.soon(), id)
			if err != nil || after.Status != want || after.Reason != before.Reason || !after.CancelAt.IsZero() || after.UpdatedAt != before.UpdatedAt {
				t.Errorf("%+v, was %+v (%v)", after, before, err)
			}
		}
	})
}

// queued submits a job and waits until Redis has it.
func (b *bed) queued(o Options) string {
	b.Helper()
	id := b.submit("x", o)
	expect(b, func(e events.JobQueued) bool { return e.Job == id })
	return id
}

// blocked is a job that waits for another one, which is delayed.
func blocked(b *bed) (string, func()) {
	first := b.queued(Options{Delay: time.Hour})
	id := b.submit("x", Options{Prerequisites: []Prerequisite{{ID: first}}})
	expect(b, func(e events.JobWaiting) bool { return e.Job == id })
	return id, nil
}

// retrying is a job whose script failed, and whose next attempt is due in days.
func retrying(b *bed) (string, func()) {
	b.actor("bash_1", fails(1))
	id := b.submit("x", Options{Retries: new(1)})
	expect(b, func(e events.JobRetried) bool { return e.Job == id && e.Failed })
	return id, nil
}

// handedOver is a job in the hand of an actor that has not read its wake list yet: it does so when the cancel is on.
func handedOver(b *bed) (string, func()) {
	p := b.spawn()
	a, err := b.store.Actor("bash_1", "bash", p.inc.String())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := a.Hello(b.soon()); err != nil {
		b.Fatal(err)
	}
	if c, err := a.Claim(b.soon()); err != nil || c.Code != store.Idle {
		b.Fatalf("%+v %v", c, err)
	}
	id := b.submit("x", Options{})
	expect(b, func(e events.JobStarted) bool { return e.Job == id })
	return id, func() {
		b.eventually("it is marked", func() bool { return b.rdb.HExists(b.soon(), "hero:job:"+id, "cancel").Val() })
		w, err := a.WaitWake(b.soon(), time.Minute)
		if err != nil || w.Kind != store.WakeJob || w.Job.ID != id {
			b.Fatalf("%+v %v", w, err)
		}
		if code, err := a.RecordGroup(b.soon(), *w.Job, p.cmd.Process.Pid, p.inc.Start); err != nil || code != store.CancelCode {
			b.Errorf("its script may begin: %s %v", code, err)
		}
		if _, err := a.Finish(b.soon(), *w.Job, store.Outcome{Failed: true, Reason: "not begun"}, false); err != nil {
			b.Error(err)
		}
	}
}

// runningScript is a job whose script ends at TERM.
func runningScript(b *bed) (string, func()) {
	scripts, made := make(chan *process, 1), make(chan *actor, 1)
	made <- b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
		a := <-made
		p := a.script(ctx, j)
		scripts <- p
		p.over(ctx)
		return store.Outcome{Failed: true, Reason: "signal SIGTERM", Error: "ended"}, true
	})
	id := b.submit("x", Options{Retries: new(5)})
	<-scripts
	return id, nil
}

// Cancels that come together go together, and other requests between them; each has its own answer.
func TestCancelsTogether(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		const jobs = 2*store.MaxCancels + 50
		ids := make([]string, jobs)
		for i := range ids {
			ids[i] = "j" + numeral(i)
			b.submit("x", Options{ID: ids[i]})
		}
		b.eventually("all wait", func() bool { return count(b, any1[events.JobQueued]) == jobs })
		type answer struct {
			id   string
			view JobView
			r    *events.Refusal
		}
		answers := make(chan answer, jobs+2)
		for i, id := range append(ids, "nobody", ids[0]) {
			go func() {
				a := answer{id: id}
				var e events.Event = events.JobCancel{Job: id}
				if i == jobs+1 {
					e = events.JobShow{Job: id}
				}
				a.r = b.request(e, &a.view)
				answers <- a
			}()
		}
		for range jobs + 2 {
			switch a := <-answers; {
			case a.id == "nobody":
				if a.r == nil || a.r.Status != http.StatusNotFound {
					t.Errorf("of no job: %+v", a.r)
				}
			case a.r != nil || a.view.ID != a.id:
				t.Errorf("%s: %+v %+v", a.id, a.r, a.view)
			}
		}
		for _, id := range ids {
			if life := told(b, id); life != "q c" {
				b.eventually(id+" is told", func() bool { return told(b, id) == "q c" })
			}
		}
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
	})
}

// Cancels of many jobs that nobody knows wait for a log that is not read to its end together, and not one behind the other.
func TestCancelsOfUnknownJobsTogether(t *testing.T) {
	b := newBed(t, miniRedis(t))
	polls(&b.cfg)
	c := b.up()
	b.submit("x", Options{ID: "known", Delay: time.Hour})
	b.eventually("it is told", func() bool { return c.told.seq.Load() > 0 }) // behind that nothing moves it any more
	c.told.set(0)                                                            // as while the log is read again
	const jobs = 60
	answers := make(chan *events.Refusal, jobs)
	for i := range jobs {
		go func() { answers <- b.request(events.JobCancel{Job: "no" + numeral(i)}, nil) }()
	}
	for range jobs {
		if r := <-answers; r == nil || r.Status != http.StatusServiceUnavailable {
			t.Fatalf("%+v", r)
		}
	}
}

// A cancel that was answered is kept, though Redis is emptied before anything else of it was read: the job does not come back from the log, whatever
// it waited for.
func TestACancelIsKeptWhenRedisIsEmptied(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var at atomic.Value
		at.Store("keep") // its message stays in the log
		b.up(stuck(&at))
		var ids []string
		for round := range 8 {
			ids = ids[:0]
			for i, o := range []Options{{}, {Delay: time.Hour}, {Priority: 3}, {Prerequisites: []Prerequisite{{ID: "first" + numeral(round)}}}} {
				if o.ID = "j" + numeral(round) + "-" + numeral(i); i == 3 {
					ids = append(ids, b.submit("x", Options{ID: "first" + numeral(round), Delay: time.Hour}))
				}
				ids = append(ids, b.submit("x", o))
			}
			last := ids[len(ids)-1]
			expect(b, func(e events.JobWaiting) bool { return e.Job == last })
			slices.Reverse(ids) // or what waits ends with what it waits for
			for _, id := range ids {
				if r := b.request(events.JobCancel{Job: id}, nil); r != nil {
					t.Fatal(r)
				}
			}
			b.flush()
			expectNth(b, round+1, any1[events.RedisRefilled])
			b.eventually("their messages are gone", func() bool { return b.logged() == 0 })
			for _, id := range ids {
				if rec, err := b.store.Job(b.soon(), id); !errors.Is(err, store.ErrNoJob) {
					t.Fatalf("%s is back: %s %v", id, rec.Status, err)
				}
			}
		}
	})
}
