package zinit_test

import (
	"testing"

	"herosup/events"
)

// How a process ended is known also where nobody answers for its scripts (Redis is away): a zinit that tells only of
// the latest end has the next life by then, and may have seen that end, too.
func TestExecutorKnowsTheCauseWithoutDispatch(t *testing.T) {
	for _, dialect := range []string{"json-rpc", "text", "crate"} {
		t.Run(dialect, func(t *testing.T) {
			b := dialectBeds[dialect](t)
			b.execute()
			life := b.up()
			_ = b.burying(life) // never answered
			if got := expect[events.ProcessExited](b); got.Incarnation != life || got.Signal != "SIGKILL" {
				t.Errorf("exited: %+v, want %s by SIGKILL", got, life)
			}
		})
	}
}
