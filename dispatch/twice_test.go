package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"herosup/dispatch/store"
	"herosup/events"
)

// A job is submitted twice, the end of the first is known, and Redis is emptied before the second is read: it is the same job still, and another one
// under its id is refused still.
func TestASecondMessageOfAnEndedJobOverARefill(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var held atomic.Bool
		at, on := make(chan struct{}), make(chan struct{})
		b.up(func(c *Component) {
			c.after = func(step string) error {
				if step == "keep" { // what ended stays in the log
					return errors.New("held here by the test")
				}
				if step == "take" && held.CompareAndSwap(true, false) {
					at <- struct{}{}
					<-on
				}
				return nil
			}
		})
		var mu sync.Mutex
		var ran []string
		b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			mu.Lock()
			defer mu.Unlock()
			ran = append(ran, j.ID+" "+j.Script)
			return store.Outcome{}, true
		})
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
		b.submit("x", Options{ID: "twice"})
		expect(b, func(e events.JobEnded) bool { return e.Job == "twice" })
		held.Store(true)
		b.raw("bash", map[string][]string{HeaderJobID: {"twice"}}, "x")
		<-at
		b.raw("bash", map[string][]string{HeaderJobID: {"twice"}}, "another")
		b.flush()
		close(on)
		expect(b, any1[events.RedisRefilled])
		last := b.submit("x", Options{ID: "last"})
		expect(b, func(e events.JobEnded) bool { return e.Job == last })
		expect(b, func(e events.CommandRejected) bool { return e.Code == "conflict" && e.Job == "twice" })
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"twice x", "last x"}; !slices.Equal(ran, want) {
			t.Errorf("there ran %q, want %q", ran, want)
		}
	})
}
