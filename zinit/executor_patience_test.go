package zinit_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
)

// An actor that takes longer to end than a stop may take by itself has its grace, and
// its zinit is not told as lost for that.
func TestExecutorWaitsForALongStop(t *testing.T) {
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
			b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: next})
			if got := expect[events.ProcessExited](b, events.ProcessStarted{}); got.Incarnation != next || !got.ByUs { // it may be told again
				t.Errorf("stop: exited: %+v, want %s", got, next)
			}
			b.quiet()
		})
	}
}

// An order that is under way when the executor is stopped is no refusal by zinit.
func TestExecutorIsStoppedInTheMiddleOfAnOrder(t *testing.T) {
	deaf := withLongStop(t, "ignore", "SIGTERM")
	b := newExecutorBed(t, deaf)
	life := b.up()
	t.Cleanup(func() { _ = syscall.Kill(-life.PID, syscall.SIGKILL) })
	b.ready(1)
	for range 12 {
		b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
		for range 300 { // so that it has something to do
			b.order(events.StartProcess{Node: events.LocalNode, Actor: "other_1", Pool: "other"})
		}
		expect[events.CommandRejected](b)
		b.stop()
		b.execute(deaf)
		for begun := false; !begun; {
			m, err := b.facts.Open(<-b.facts.C)
			if err != nil {
				t.Fatal(err)
			}
			switch e := m.Event.(type) {
			case events.CommandRejected:
				if e.Code != "unknown_pool" {
					t.Fatalf("%+v", e)
				}
			case events.ProcessObserved:
				begun = true
			}
		}
	}
}
