package daemon

import (
	"slices"
	"testing"
	"time"

	"herosup/cmd/internal/config"
	"herosup/dispatch/actor"
)

// A password of Redis that stands in a pool's env is for its actors, and not for every script that they run.
func TestPasswordsAreNotForScripts(t *testing.T) {
	d := &Daemon{}
	d.cfg.Jobs.RetryBackoff = make([]time.Duration, 2)
	pool := config.Pool{Env: map[string]string{"WORD": "x", actor.PasswordEnv: "secret", actor.SentinelPasswordEnv: "secret", "LANG": "C"}}
	if got := d.actorSettings(pool).Pass; !slices.Equal(got, []string{"LANG", "WORD"}) {
		t.Errorf("scripts see %q", got)
	}
}
