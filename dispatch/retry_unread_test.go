package dispatch

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"herosup/events"
)

// A retry that the log has and that is not read yet is answered so: who asked neither believes it refused nor waits for nothing, and it runs.
func TestARetryThatIsNotReadYetSaysSo(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var held atomic.Bool
		on := make(chan struct{})
		c := b.up(func(c *Component) {
			c.after = func(step string) error {
				if step == "take" && held.Load() {
					<-on
				}
				return nil
			}
		})
		b.died(c, "first")
		held.Store(true)
		refusal := b.request(events.JobRetry{Job: "first"}, nil)
		held.Store(false)
		close(on)
		if refusal == nil || refusal.Status != http.StatusServiceUnavailable || refusal.Job != "first" || refusal.Sequence == 0 || !strings.Contains(refusal.Reason, "in the log") {
			t.Errorf("%+v", refusal)
		}
		b.actor("bash_2", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == "first" && e.Outcome == events.Finished })
	})
}
