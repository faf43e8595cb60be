package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"herosup/dispatch/redistest"
	"herosup/dispatch/store"
	"herosup/events"
)

// stuck fails a loop at the step that is named, until another is or none ("").
func stuck(at *atomic.Value) func(*Component) {
	return func(c *Component) {
		c.after = func(step string) error {
			if at.Load() == step {
				return errors.New("held here by the test")
			}
			return nil
		}
	}
}

// failing is an actor whose jobs fail, until it is gone.
func (b *bed) failing() (gone func()) {
	b.Helper()
	worker := b.actor("bash_1", func(context.Context, store.Claimed) (store.Outcome, bool) {
		return store.Outcome{Failed: true, Reason: "exit 3"}, true
	})
	b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
	return func() {
		worker.die()
		b.publish(worker.exited(false))
		b.eventually("its actor is gone", func() bool {
			return b.rdb.Exists(b.soon(), "hero:idle:bash", "hero:held:"+worker.p.inc.String()).Val() == 0
		})
	}
}

// unburied is so when neither the bucket nor its list has a job.
func (b *bed) unburied(c *running, id string) {
	b.Helper()
	if _, err := c.deadJob(b.soon(), id); !errors.Is(err, store.ErrNoJob) || len(c.buried()) != 0 {
		b.Errorf("in the bucket: %v, in the list: %d", err, len(c.buried()))
	}
}

// A job that is retried before its end was read is in the bucket all the same: what holds for it holds when the message of that end is gone and
// Redis is emptied.
func TestARetryIsBehindTheBucket(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var at atomic.Value
		at.Store("keep")
		c := b.up(stuck(&at))
		gone := b.failing()
		b.submit("x", Options{ID: "first", Retries: new(1)})
		held := b.submit("x", Options{ID: "held", Prerequisites: []Prerequisite{{ID: "first", Rule: store.RuleHold}}})
		expect(b, func(e events.JobDead) bool { return e.Job == "first" })
		gone()
		if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
			t.Fatal(r)
		}
		b.eventually("it is hidden", func() bool { return len(c.buried()) == 0 })
		at.Store("")
		b.eventually("the message of its end is gone", func() bool { return b.logged() == 2 })
		b.flush()
		expect(b, any1[events.RedisRefilled])
		b.status("first", store.StatusDispatched)
		b.status(held, store.StatusWaiting)
		b.actor("bash_2", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == held && e.Outcome == events.Finished })
		b.eventually("all is settled", func() bool { return b.logged() == 0 })
		b.unburied(c, "first")
	})
}

// A job that died twice while no message could be deleted is retried once more, and Redis is emptied: it lives by the newest of its messages, the others
// leave the log, and its good end takes what the bucket has of both deaths.
func TestTheNewestMessageStandsForARevivedJob(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var at atomic.Value
		at.Store("delete")
		c := b.up(stuck(&at))
		gone := b.failing()
		b.submit("x", Options{ID: "first", Retries: new(1)})
		b.eventually("it is in the bucket", func() bool { return len(c.buried()) == 1 })
		was := c.buried()[0].sequence
		retry := func() {
			t.Helper()
			if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
				t.Fatal(r)
			}
		}
		retry()
		b.eventually("it has died again", func() bool { all := c.buried(); return len(all) == 1 && all[0].sequence > was })
		gone()
		retry()
		b.flush()
		expect(b, any1[events.RedisRefilled])
		b.eventually("the newest is left", func() bool { return b.logged() == 1 })
		b.actor("bash_2", nil)
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "idle"})
		expect(b, func(e events.JobEnded) bool { return e.Job == "first" && e.Outcome == events.Finished })
		at.Store("")
		b.eventually("all is settled", func() bool { return b.logged() == 0 })
		b.unburied(c, "first")
	})
}

// Redis is emptied when a job that something holds for has died again, and its message could not be deleted: what holds is read before that, and the
// message leaves the log all the same.
func TestTheMessageOfARestoredDeadJobThatIsAwaited(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var at atomic.Value
		at.Store("")
		c := b.up(stuck(&at))
		b.failing()
		b.submit("x", Options{ID: "first", Retries: new(1)})
		b.eventually("it is dead", func() bool { return len(c.buried()) == 1 && b.logged() == 0 })
		was := c.buried()[0].sequence
		held := b.submit("x", Options{ID: "held", Prerequisites: []Prerequisite{{ID: "first", Rule: store.RuleHold}}})
		expect(b, func(e events.JobWaiting) bool { return e.Job == held })
		at.Store("delete")
		if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
			t.Fatal(r)
		}
		b.eventually("it has died again", func() bool { all := c.buried(); return len(all) == 1 && all[0].sequence > was })
		b.flush()
		expect(b, any1[events.RedisRefilled])
		at.Store("")
		b.eventually("its message is gone", func() bool { return b.logged() == 1 && b.rdb.LLen(b.soon(), "hero:ended").Val() == 0 })
		b.status("first", store.StatusError)
		b.status(held, store.StatusWaiting)
	})
}

// By an old copy a job waits that has died since, and whose message could not be deleted: it runs by that again, and its good end takes what the
// bucket has; also where Redis is emptied then, and only we know of the end.
func TestAMessageThatDiedAndEndedWell(t *testing.T) {
	for what, twice := range map[string]bool{"once": false, "twice": true} {
		t.Run(what, func(t *testing.T) {
			srv := redistest.Start(t)
			b := newBed(t, &redisServer{url: srv.URL()}).fast()
			var at atomic.Value
			at.Store("delete")
			c := b.up(stuck(&at))
			id := b.submit("x", Options{ID: "first", Retries: new(1)})
			expect(b, func(e events.JobQueued) bool { return e.Job == id })
			srv.Snapshot()
			gone := b.failing()
			b.eventually("it is in the bucket", func() bool { return len(c.buried()) == 1 })
			gone()
			srv.Restore()
			expect(b, oldCopy)
			at.Store("keep")
			worker := b.actor("bash_2", nil)
			b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "idle"})
			expect(b, func(e events.JobEnded) bool { return e.Job == id && e.Outcome == events.Finished })
			if twice {
				worker.die()
				b.flush()
				expectNth(b, 2, any1[events.RedisRefilled])
				if _, err := b.store.Job(b.soon(), id); !errors.Is(err, store.ErrNoJob) {
					t.Errorf("its record: %v", err)
				}
			}
			at.Store("")
			b.eventually("all is settled", func() bool { return b.logged() == 0 })
			b.unburied(c, id)
		})
	}
}

// Redis is emptied when it has told of a death and the record was not read yet: the message stays, and the job dies once more.
func TestADeathThatRedisForgot(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var once atomic.Bool
		c := b.up(func(c *Component) {
			c.after = func(step string) error {
				if step == "keep" && once.CompareAndSwap(false, true) {
					b.flush()
				}
				return nil
			}
		})
		b.failing()
		b.submit("x", Options{ID: "first", Retries: new(1)})
		expect(b, any1[events.RedisRefilled])
		b.eventually("it is dead, and kept", func() bool { return len(c.buried()) == 1 && b.logged() == 0 })
	})
}

// A round of ends that has begun is over before Redis is filled again: what it deletes is not waited for by what is restored.
func TestARebuildWaitsForARoundOfEnds(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var armed, flushed atomic.Bool
		restoring, over := make(chan struct{}, 1), make(chan struct{})
		c := b.up(func(c *Component) {
			c.after = func(step string) error {
				switch {
				case step == "keep" && armed.CompareAndSwap(true, false):
					b.flush()
					flushed.Store(true)
					c.askRebuild()
					select {
					case <-restoring:
					case <-time.After(500 * time.Millisecond): // long enough for one that does not wait
					}
				case step == "restore":
					restoring <- struct{}{}
					<-over
				case step == "settle" && flushed.CompareAndSwap(true, false):
					close(over)
				}
				return nil
			}
		})
		b.died(c, "first")
		if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
			t.Fatal(r)
		}
		b.submit("x", Options{Delay: time.Hour})
		armed.Store(true)
		worker := b.actor("bash_2", nil)
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "idle"})
		b.eventually("it has ended, and Redis is emptied", func() bool { return !armed.Load() })
		worker.die()
		expect(b, any1[events.RedisRefilled])
		if rec, err := b.store.Job(b.soon(), "first"); !errors.Is(err, store.ErrNoJob) {
			t.Errorf("it is back: %+v %v", rec, err)
		}
		b.unburied(c, "first")
	})
}

// That a job lives again may be said before it is in the list of the dead: who puts it there looks again.
func TestTheListLooksAgain(t *testing.T) {
	b := newBed(t, miniRedis(t)).fast()
	c := b.up()
	b.died(c, "first")
	was, err := c.deadKV.Get(b.soon(), "first")
	if err != nil {
		t.Fatal(err)
	}
	fields, err := b.store.Fields(b.soon(), "first")
	if err != nil {
		t.Fatal(err)
	}
	if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
		t.Fatal(r)
	}
	late := func() {
		b.eventually("it is not listed", func() bool { return len(c.buried()) == 0 })
		d := deadOf("first", fields)
		c.toDead(deadSaved(d.entry(len(was.Value()), was.Revision())))
		b.eventually("it is listed", func() bool { return len(c.buried()) == 1 })
		if err := c.revivedMeanwhile(b.soon(), d); err != nil {
			t.Fatal(err)
		}
		b.eventually("it is not listed", func() bool { return len(c.buried()) == 0 })
	}
	late()
	b.actor("bash_2", nil)
	b.eventually("it has ended", func() bool { return b.logged() == 0 })
	late()
}

// A job that is removed after it lived again leaves the bucket before the log: killed in between, no end of before is all that there is of it.
func TestARemovedJobLeavesTheBucketFirst(t *testing.T) {
	b := newBed(t, miniRedis(t)).fast()
	var at atomic.Value
	at.Store("")
	had := make(chan error, 1)
	c := b.up(stuck(&at), func(c *Component) {
		held := c.after
		c.after = func(step string) error {
			if step == "remove" {
				_, err := c.deadJob(b.soon(), "first")
				had <- err
			}
			return held(step)
		}
	})
	b.died(c, "first")
	at.Store("keep")
	if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
		t.Fatal(r)
	}
	b.actor("bash_2", nil)
	expect(b, func(e events.JobEnded) bool { return e.Job == "first" })
	if r := b.request(events.JobRemove{Job: "first"}, nil); r != nil {
		t.Fatal(r)
	}
	if err := <-had; !errors.Is(err, store.ErrNoJob) {
		t.Errorf("in the bucket when its message is to be deleted: %v", err)
	}
}

// A dead job whose id is no token, which others may push, holds up no other end.
func TestDeadJobsOfOddIDs(t *testing.T) {
	for _, id := range []string{"odd.id", "odd id"} {
		t.Run(id, func(t *testing.T) {
			eachRedis(t, func(t *testing.T, r *redisServer) {
				b := newBed(t, r).fast()
				b.up()
				if err := b.rdb.HSet(b.soon(), "hero:job:"+id, "id", id, "status", "dispatched", "script_type", "bash").Err(); err != nil {
					t.Fatal(err)
				}
				if err := b.rdb.LPush(b.soon(), "hero:q:work:type:bash", id).Err(); err != nil {
					t.Fatal(err)
				}
				b.actor("bash_1", nil)
				b.eventually("it is dead", func() bool { return b.rdb.ZScore(b.soon(), "hero:dead", id).Err() == nil })
				x := b.submit("x", Options{})
				expect(b, func(e events.JobEnded) bool { return e.Job == x })
				b.eventually("all is settled", func() bool { return b.logged() == 0 && b.rdb.LLen(b.soon(), "hero:ended").Val() == 0 })
				if n := count(b, any1[events.RedisLost]); n != 0 {
					t.Error("told as a lost Redis")
				}
			})
		})
	}
}

// A job that died before its message was read, as one that others pushed may, is dead by that message, too.
func TestADeadJobThatIsAdopted(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		b.cfg.MaxCrashes = 1
		c := b.up()
		b.push("f1", "echo", "sequence", "0", "token", "0 0   ", "type", "bash", "v", "1") // nobody adopts it yet
		holding := make(chan store.Claimed, 1)
		worker := b.actor("bash_1", hold(holding))
		<-holding
		worker.die()
		b.publish(worker.exited(false))
		b.eventually("it is kept", func() bool { return len(c.buried()) == 1 })
		b.submit("echo", Options{ID: "f1"})
		expect(b, any1[events.JobAdopted])
		b.eventually("all is settled", func() bool { return b.logged() == 0 && b.rdb.LLen(b.soon(), "hero:ended").Val() == 0 })
		if _, err := c.deadJob(b.soon(), "f1"); err != nil || len(c.buried()) != 1 {
			t.Error(fmt.Errorf("in the bucket: %w, in the list: %d", err, len(c.buried())))
		}
	})
}
