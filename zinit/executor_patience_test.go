package zinit_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
)

// An actor that takes longer to end than a stop may take by itself has its grace, and
// its zinit is not told as lost for that.
func TestExecutorWaitsForALongStop(t *testing.T) {
	stop := events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool}
	for _, dialect := range []string{"json-rpc", "text"} {
		t.Run(dialect, func(t *testing.T) {
			b := dialectBeds[dialect](t)
			b.options.StopTimeout = 100 * time.Millisecond
			b.execute(withChild(t, "ignore", "SIGTERM"))
			old := b.up()
			b.ready(1)

			b.stop()
			b.execute(withChild(t, "ignore", "SIGTERM"), func(c *zinit.ExecutorConfig) {
				c.Pools[pool].Env["CHANGED"] = "yes"
			})
			expect[events.ProcessObserved](b)
			b.order(events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
			if got := expect[events.ProcessExited](b); got.Incarnation != old || !got.ByUs {
				t.Errorf("restart: exited: %+v, want %s", got, old)
			}
			next := expect[events.ProcessStarted](b).Incarnation
			b.ready(2)
			if dialect == "json-rpc" { // then nobody knows how long it may take
				if err := os.Remove(filepath.Join(b.zinit.Dir, prefix+actor+".yaml")); err != nil {
					t.Fatal(err)
				}
			}
			b.order(stop)
			if got := expect[events.ProcessExited](b); got.Incarnation != next || !got.ByUs {
				t.Errorf("stop: exited: %+v, want %s", got, next)
			}
			b.quiet()
		})
	}
}
