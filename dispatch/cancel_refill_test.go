package dispatch

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"herosup/dispatch/store"
	"herosup/events"
)

// The cancel of a running job is answered before its fact is read, and Redis is emptied: the job does not come back.
func TestACancelOfARunningJobIsKeptWhenRedisIsEmptied(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		polls(&b.cfg)
		var held atomic.Bool
		b.up(func(c *Component) {
			c.after = func(step string) error {
				if step == "keep" || step == "facts" && held.Load() { // its message stays in the log
					return errors.New("held here by the test")
				}
				return nil
			}
		})
		scripts, made := make(chan *process, 2), make(chan *actor, 1)
		made <- b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			a := <-made
			made <- a
			p := a.script(ctx, j)
			scripts <- p
			p.over(ctx)
			return store.Outcome{Failed: true, Reason: "signal SIGTERM", Error: "ended"}, true
		})
		id := b.submit("x", Options{Retries: new(5)})
		<-scripts
		expect(b, func(e events.JobStarted) bool { return e.Job == id })
		held.Store(true)
		if r := b.request(events.JobCancel{Job: id}, nil); r != nil {
			t.Fatal(r)
		}
		b.flush()
		held.Store(false)
		expect(b, any1[events.RedisRefilled])
		expect(b, func(e events.JobCancelled) bool { return e.Job == id })
		b.eventually("its message is gone", func() bool { return b.logged() == 0 })
		if rec, err := b.store.Job(b.soon(), id); !errors.Is(err, store.ErrNoJob) {
			t.Errorf("it is back: %s %v", rec.Status, err)
		}
	})
}

// A job that holds for a dead one is cancelled, and Redis is emptied at once.
func TestACancelOfWhatHoldsForADeadJobIsKept(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var at atomic.Value
		at.Store("")
		c := b.up(stuck(&at))
		b.died(c, "first")
		at.Store("keep")
		held := b.submit("x", Options{ID: "held", Prerequisites: []Prerequisite{{ID: "first", Rule: store.RuleHold}}})
		expect(b, func(e events.JobWaiting) bool { return e.Job == held })
		if r := b.request(events.JobCancel{Job: held}, nil); r != nil {
			t.Fatal(r)
		}
		b.flush()
		expect(b, any1[events.RedisRefilled])
		b.eventually("its message is gone", func() bool { return b.logged() == 0 })
		if rec, err := b.store.Job(b.soon(), held); !errors.Is(err, store.ErrNoJob) {
			t.Errorf("it is back: %s %v", rec.Status, err)
		}
		b.status("first", store.StatusError)
	})
}
