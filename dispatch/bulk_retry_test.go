package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"herosup/dispatch/store"
	"herosup/events"
)

// Many dead jobs are retried at the same time, the daemon ends in the middle, with some of them done, and Redis is emptied. The next daemon has each
// of them once: as one that lives if the log has its retry, as a dead one else; and asked again, each has run, and no more than once under it.
func TestABulkRetryThatIsCutShortLosesAndDoublesNothing(t *testing.T) {
	const jobs = 24
	for step, done := range map[string]int32{"take": 1, "facts": 1, "delete": 0} { // how often it is done yet: one round of ends may take all
		t.Run(step, func(t *testing.T) {
			eachRedis(t, func(t *testing.T, r *redisServer) {
				b := newBed(t, r).fast()
				var cut atomic.Bool
				reached := make(chan struct{}, 1)
				var left atomic.Int32
				left.Store(done)
				c := b.up(func(c *Component) {
					c.after = func(at string) error {
						if cut.Load() && at == step && left.Add(-1) < 0 {
							kick(reached)
							return errors.New("held here by the test")
						}
						return nil
					}
				})
				b.failingUntil(jobs, c)
				var mu sync.Mutex
				ran := map[string]int{} // by daemon and job
				worker := func(life string) func(context.Context, store.Claimed) (store.Outcome, bool) {
					return func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
						mu.Lock()
						defer mu.Unlock()
						ran[life+j.ID]++
						return store.Outcome{}, true
					}
				}
				cut.Store(true)
				first := b.actor("bash_2", worker("first "))
				asking, dead := context.WithCancel(b.soon())
				asked := make(chan struct{})
				go func() {
					defer close(asked)
					b.retryAll(asking, jobs)
				}()
				<-reached
				if err := c.stop(); err != nil {
					t.Fatal(err)
				}
				dead()
				<-asked
				first.die()
				b.flush()
				c = b.up()
				expect(b, any1[events.RedisRefilled])
				b.actor("bash_3", worker("second "))
				b.eventually("what the log has ends", func() bool { return b.logged() == 0 })
				b.retryAll(b.soon(), jobs) // who asked was not answered, and asks again
				b.eventually("all have ended, and none is dead", func() bool { return b.logged() == 0 && len(c.buried()) == 0 })
				mu.Lock()
				defer mu.Unlock()
				for i := range jobs {
					id := "j" + numeral(i)
					if _, err := c.deadJob(b.soon(), id); !errors.Is(err, store.ErrNoJob) {
						t.Errorf("%s is in the bucket: %v", id, err)
					}
					// One that the first daemon had ended runs once more at most: its end may have been read by nobody who lives.
					if one, two := ran["first "+id], ran["second "+id]; one > 1 || two > 1 || one+two == 0 {
						t.Errorf("%s ran %d times under the first daemon and %d times under the second", id, one, two)
					}
				}
			})
		})
	}
}

// failingUntil brings so many jobs about that are dead, of which the bucket alone knows then.
func (b *bed) failingUntil(jobs int, c *running) {
	b.Helper()
	gone := b.failing()
	for i := range jobs {
		b.submit("x", Options{ID: "j" + numeral(i), Retries: new(1)})
	}
	b.eventually("all are dead", func() bool { return len(c.buried()) == jobs && b.logged() == 0 })
	gone()
}

// retryAll asks for all at once, and does not care for the answers.
func (b *bed) retryAll(ctx context.Context, jobs int) {
	b.Helper()
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() { _ = b.bus.Request(ctx, events.JobRetry{Job: "j" + numeral(i)}, nil) })
	}
	wg.Wait()
}
