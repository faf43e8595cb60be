package zinit_test

import (
	"testing"

	"herosup/events"
	"herosup/zinit"
)

// A start that follows a kill is not overtaken by what that one has still to do: the exit is told as soon as the
// process is gone, and its service is taken away a moment later.
func TestExecutorStartBehindAKill(t *testing.T) {
	for _, dialect := range []string{"json-rpc", "text", "crate"} {
		for name, stops := range map[string]bool{"a kill": false, "a kill behind a stop": true} {
			t.Run(dialect+", "+name, func(t *testing.T) {
				b := dialectBeds[dialect](t)
				b.execute(withLongStop(t, "ignore", "SIGTERM"))
				for range 20 {
					life := b.up()
					if b.quiet(); !life.Alive() {
						t.Error("it was ended by the kill of the one before")
					}
					if st, err := b.client.Status(t.Context(), prefix+actor); err != nil || st.PID != life.PID || st.Target != zinit.Up {
						t.Errorf("%s runs, and zinit says %+v, %v", life, st, err)
					}
					if stops {
						b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
					}
					b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life, Down: true})
					if got := expect[events.ProcessExited](b); got.Incarnation != life || !got.ByUs {
						t.Fatalf("exited: %+v, want %s", got, life)
					}
				}
			})
		}
	}
}
