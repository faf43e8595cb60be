package dispatch

import (
	"sync/atomic"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// A job whose result is not to be kept is kept in its actor's hand over an emptied Redis, and ends before the log has told how long its result is
// kept: the result goes when it was to go.
func TestAResultGoesAfterARefillAsItWasAskedFor(t *testing.T) {
	for what, keep := range map[string]time.Duration{"at once": 0, "in ten minutes": 10 * time.Minute} {
		t.Run(what, func(t *testing.T) {
			eachRedis(t, func(t *testing.T, r *redisServer) {
				b := newBed(t, r)
				var held atomic.Bool
				on := make(chan struct{})
				b.up(func(c *Component) {
					c.after = func(step string) error {
						if step == "take" && held.Load() {
							<-on
						}
						return nil
					}
				})
				a, err := r.open(b).Actor("bash_1", "bash", b.spawn().inc.String())
				if err != nil {
					t.Fatal(err)
				}
				b.hello(a)
				expect(b, any1[events.ActorRegistered])
				id := b.queued(Options{KeepResult: &keep})
				got, err := a.Claim(b.soon())
				if err != nil || got.Job == nil {
					t.Fatalf("%+v %v", got, err)
				}
				expect(b, any1[events.JobStarted])
				held.Store(true)
				b.flush()
				b.hello(a)
				if codes, code, err := a.Assert(b.soon(), []store.InHand{{Claimed: *got.Job}}); err != nil || code != store.OK || codes[0] != store.OK {
					t.Fatalf("%v %v %v", codes, code, err)
				}
				got.Job.Token.Epoch = 2
				if f, err := a.Finish(b.soon(), *got.Job, store.Outcome{Output: "42"}, false); err != nil || f.Code != store.OK {
					t.Fatalf("%+v %v", f, err)
				}
				held.Store(false)
				close(on)
				expect(b, any1[events.RedisRefilled])
				expect(b, func(e events.JobEnded) bool { return e.Job == id && e.Outcome == events.Finished })
				b.eventually("its message is gone", func() bool { return b.logged() == 0 && b.rdb.LLen(b.soon(), "hero:ended").Val() == 0 })
				all := b.rdb.ZRangeWithScores(b.soon(), "hero:results", 0, -1).Val()
				if len(all) != 1 {
					t.Fatalf("results that are to go: %v", all)
				}
				if goes := time.Until(time.UnixMilli(int64(all[0].Score))); (goes > time.Minute) != (keep > time.Minute) || goes > keep+time.Minute {
					t.Errorf("it goes in %v", goes)
				}
			})
		})
	}
}
