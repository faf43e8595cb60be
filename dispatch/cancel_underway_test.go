package dispatch

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// cancelling asks for a cancel and does not wait for it: the answer is a refusal, or nil once the view says that the job is cancelled.
func (b *bed) cancelling(id string) <-chan error {
	b.Helper()
	out := make(chan error, 1)
	go func() {
		var v JobView
		err := b.bus.Request(b.soon(), events.JobCancel{Job: id}, &v)
		if err == nil && v.State != StateCancelled {
			err = errors.New("answered as " + string(v.State))
		}
		out <- err
	}()
	b.eventually("it is marked", func() bool { return b.rdb.HExists(b.soon(), "hero:job:"+id, "cancel").Val() })
	return out
}

// endedByCancel waits until one of the two is told: it ran when its cancel took hold, or nobody had it.
func (b *bed) endedByCancel(id string) {
	b.Helper()
	b.eventually("its cancel is told", func() bool {
		return count(b, func(e events.JobCancelled) bool { return e.Job == id })+
			count(b, func(e events.JobEnded) bool { return e.Job == id && e.Reason == store.ReasonCancelled }) == 1
	})
}

// A running job is cancelled, its script does not end, and Redis is emptied: the actor says nothing, and the job comes back from the log. It is
// cancelled there, and who asked is answered.
func TestACancelUnderWayOutlivesRedis(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		b.cfg.CancelGrace = time.Hour
		b.up()
		holding := make(chan store.Claimed, 1)
		b.actor("bash_1", hold(holding))
		id := b.submit("x", Options{Retries: new(5)})
		<-holding
		answer := b.cancelling(id)
		b.flush()
		expect(b, any1[events.RedisRefilled])
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
		b.endedByCancel(id)
		b.eventually("its message is gone", func() bool { return b.logged() == 0 })
	})
}

// As before, and the actor says that it has the job in hand: it is marked once more, so that its bad end is no reason for another try.
func TestACancelUnderWayMarksWhatIsKept(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		b.cfg.CancelGrace = time.Hour
		b.up()
		p := b.spawn()
		a, err := r.open(b).Actor("bash_1", "bash", p.inc.String())
		if err != nil {
			t.Fatal(err)
		}
		b.hello(a)
		expect(b, any1[events.ActorRegistered])
		id := b.queued(Options{Retries: new(5)})
		got, err := a.Claim(b.soon())
		if err != nil || got.Job == nil {
			t.Fatalf("%+v %v", got, err)
		}
		expect(b, any1[events.JobStarted])
		answer := b.cancelling(id)
		b.flush()
		b.hello(a)
		if codes, code, err := a.Assert(b.soon(), []store.InHand{{Claimed: *got.Job}}); err != nil || code != store.OK || codes[0] != store.OK {
			t.Fatalf("%v %v %v", codes, code, err)
		}
		if f := expect(b, any1[events.RedisRefilled]); f.Kept != 1 {
			t.Errorf("%+v", f)
		}
		b.eventually("it is marked again", func() bool { return b.rdb.HExists(b.soon(), "hero:job:"+id, "cancel").Val() })
		got.Job.Token.Epoch = 2
		if f, err := a.Finish(b.soon(), *got.Job, store.Outcome{Failed: true, Reason: "signal SIGTERM"}, false); err != nil || f.Code != store.OK {
			t.Errorf("%+v %v", f, err)
		}
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
		b.endedByCancel(id)
	})
}

// The job has ended by the cancel, and Redis is emptied before anybody has read that or was answered: it comes back from the log, and is cancelled
// there, also if the end was seen.
func TestACancelThatNobodyHasReadIsDoneAgain(t *testing.T) {
	for _, grace := range []time.Duration{10 * time.Millisecond, time.Hour} {
		eachRedis(t, func(t *testing.T, r *redisServer) {
			b := newBed(t, r).fast()
			polls(&b.cfg)
			b.cfg.CancelGrace = grace
			var held atomic.Bool
			over := make(chan struct{}, 1)
			c := b.up(func(c *Component) {
				c.after = func(step string) error {
					switch {
					case step == "over":
						kick(over)
					case step == "refill": // not before: what was read of the Redis that is gone is not to count
						held.Store(false)
					case (step == "facts" || step == "lookup" || step == "keep") && held.Load():
						return errors.New("held here by the test")
					}
					return nil
				}
			})
			scripts, made := make(chan *process, 2), make(chan *actor, 1)
			made <- b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
				select {
				case a := <-made:
					p := a.script(ctx, j)
					scripts <- p
					p.over(ctx)
				default: // once more: it is in this hand before it is cancelled there
					for !b.rdb.HExists(ctx, "hero:job:"+j.ID, "cancel").Val() && pause(ctx, time.Millisecond) {
					}
				}
				return store.Outcome{Failed: true, Reason: "signal SIGTERM", Error: "ended"}, true
			})
			id := b.submit("x", Options{Retries: new(5)})
			<-scripts
			expect(b, func(e events.JobStarted) bool { return e.Job == id })
			held.Store(true)
			answer := make(chan error, 1)
			go func() { answer <- b.bus.Request(b.soon(), events.JobCancel{Job: id}, nil) }()
			b.eventually("it has ended", func() bool { return b.rdb.LLen(b.soon(), "hero:ended").Val() == 1 })
			if grace < time.Second {
				<-over
			}
			b.flush()
			c.askRebuild()
			expect(b, any1[events.RedisRefilled])
			if err := <-answer; err != nil {
				t.Fatal(err)
			}
			b.endedByCancel(id)
			b.eventually("its message is gone", func() bool { return b.logged() == 0 })
		})
	}
}

// A job that was retried since is not cancelled in a Redis that was filled again: the cancel was of its earlier submission.
func TestACancelUnderWayIsOfItsOwnSubmission(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		c := b.up()
		id := b.queued(Options{})
		rec, err := b.store.Job(b.soon(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range []struct {
			sequence uint64
			want     store.Status
		}{{rec.Sequence - 1, store.StatusDispatched}, {rec.Sequence, store.StatusError}} {
			one := &underWay{cancelling: cancelling{id: id, sequence: of.sequence, epoch: c.epoch.Load() - 1}}
			if c.carryOut(b.soon(), c.reporter("test"), one, time.Now()) {
				t.Error("there is something left to do")
			}
			b.status(id, of.want)
		}
	})
}
