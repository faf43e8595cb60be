package scaler

import (
	"errors"
	"fmt"
	"time"
)

// MaxActors bounds one pool; it also bounds every map over slots.
const MaxActors = 1024

// maxTarget bounds target_backlog and activation; above it a pool never grows.
const maxTarget = 1_000_000

// Policy says how a pool is sized. Start from DefaultPolicy: zero is a value of
// its own in most fields.
type Policy struct {
	// Min and Max bound the number of actors: 0 <= Min <= Max <= MaxActors.
	// Max 0 means that no job of this pool's type runs here.
	Min int `yaml:"min"`
	Max int `yaml:"max"`
	// TargetBacklog is how many waiting and running jobs each actor is for.
	TargetBacklog int `yaml:"target_backlog"`
	// Activation: a pool with min 0 and no actor wakes for more ready jobs than
	// this.
	Activation int `yaml:"activation"`
	// IdleTimeout is how long an actor is idle before it may be stopped, the
	// last one included.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// StartTimeout is how long a start that was asked for counts as an actor.
	StartTimeout time.Duration `yaml:"start_timeout"`
	// StaleAfter is the age at which a measurement no longer allows to shrink.
	StaleAfter time.Duration `yaml:"stale_after"`
}

// DefaultPolicy is what holds where nothing is set.
func DefaultPolicy() Policy {
	return Policy{
		Min: 0, Max: 10, TargetBacklog: 1, Activation: 0,
		IdleTimeout: 300 * time.Second, StartTimeout: 30 * time.Second, StaleAfter: 10 * time.Second,
	}
}

// Validate checks the policy of one pool. Each error names the key and what is
// allowed: "pools.bash.max: got -1, want 0..1024 (...)".
func (p Policy) Validate(pool string) error {
	at := "pools." + pool + "."
	return errors.Join(
		whole(at+"max", p.Max, 0, MaxActors, "0 lets jobs wait"),
		whole(at+"min", p.Min, 0, max(0, p.Max), "at most max"),
		whole(at+"target_backlog", p.TargetBacklog, 1, maxTarget, "1 gives every job an actor"),
		whole(at+"activation", p.Activation, 0, maxTarget, "0 wakes the pool for the first job"),
		span(at+"idle_timeout", p.IdleTimeout, 0, 30*24*time.Hour, "0s stops an idle actor at once"),
		span(at+"start_timeout", p.StartTimeout, 100*time.Millisecond, time.Hour, "longer than the slowest start"),
		span(at+"stale_after", p.StaleAfter, 100*time.Millisecond, time.Hour, "several times the measuring interval"),
	)
}

func whole(key string, got, low, high int, hint string) error {
	if got >= low && got <= high {
		return nil
	}
	return fmt.Errorf("%s: got %d, want %d..%d (%s)", key, got, low, high, hint)
}

func span(key string, got, low, high time.Duration, hint string) error {
	if got >= low && got <= high {
		return nil
	}
	return fmt.Errorf("%s: got %s, want %s..%s (%s)", key, got, low, high, hint)
}
