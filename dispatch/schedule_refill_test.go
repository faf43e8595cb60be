package dispatch

import (
	"sync/atomic"
	"testing"
	"time"

	"herosup/events"
)

// A schedule fires while Redis is filled again: before the log is read, and in the middle of that, each due time twice, as by two daemons. Each job is
// queued once and runs once.
func TestAScheduleThatFiresDuringARefill(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		var armed atomic.Bool
		fired := map[string]bool{} // the intake's alone until Redis is filled
		b.up(func(c *Component) {
			c.after = func(step string) error {
				if armed.Load() && (step == "refill" || step == "take") && !fired[step] {
					fired[step] = true
					for range 2 {
						if _, err := SubmitOnce(b.soon(), b.js, "", "bash", "tick-"+step, nil, []byte("x")); err != nil {
							t.Error(err)
						}
					}
				}
				return nil
			}
		})
		b.queued(Options{Delay: time.Hour}) // or there is nothing to be read
		armed.Store(true)
		b.flush()
		expect(b, any1[events.RedisRefilled])
		for _, id := range []string{"tick-refill", "tick-take"} {
			expect(b, func(e events.JobQueued) bool { return e.Job == id })
		}
		b.actor("bash_1", nil)
		for _, id := range []string{"tick-refill", "tick-take"} {
			expect(b, func(e events.JobEnded) bool { return e.Job == id })
		}
		b.eventually("their messages are gone", func() bool { return b.logged() == 1 })
		for _, id := range []string{"tick-refill", "tick-take"} {
			if life := told(b, id); life != "q s1 e" {
				t.Errorf("%s: %q", id, life)
			}
		}
	})
}
