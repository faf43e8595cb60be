package monitor

import (
	"errors"
	"fmt"
	"time"

	"herosup/events"
)

// Config says which pools there are and when an actor counts as unwell.
type Config struct {
	Pools []PoolConfig
	// OverrunGrace is how much longer than its timeout a job may run before it
	// is JobOverran; 0 means 10 s. The actor itself ends it at the timeout.
	OverrunGrace time.Duration
	// Served are the patterns whose servers reject unknown verbs themselves. nil
	// means those of the keeper and the scaler. Other servers are known by the
	// catalogue: they serve exactly their own commands.
	Served []events.Pattern
}

// PoolConfig is what must be known of a pool to show it.
type PoolConfig struct {
	Name string
	// Types are the script types whose jobs its actors run, one at least.
	Types    []string
	Min, Max int
	// Concurrency is how many jobs each actor may hold; 0 means 1.
	Concurrency int
	Health      Health
}

// Health says when an idle actor is asked for a sign of life.
type Health struct {
	// PingEvery is how long it may be silent; 0 means that it is never asked.
	PingEvery time.Duration
	// PingTimeout is how long an answer may take.
	PingTimeout time.Duration
	// PingLost is how many lost pings in a row make it unresponsive.
	PingLost int
}

// DefaultHealth is what holds where nothing is set.
func DefaultHealth() Health {
	return Health{PingEvery: 10 * time.Minute, PingTimeout: 5 * time.Second, PingLost: 3}
}

const defaultGrace = 10 * time.Second

func (c Config) withDefaults() Config {
	if c.OverrunGrace <= 0 {
		c.OverrunGrace = defaultGrace
	}
	if c.Served == nil {
		c.Served = []events.Pattern{events.CommandsOf("actor"), events.CommandsOf("pool")}
	}
	return c
}

// Validate checks all pools. The error joins one per fault:
// "pools.x.health.ping_lost: got 0, want 1..100 (hint)".
func (c Config) Validate() error {
	var errs []error
	seen := map[string]bool{}
	for _, p := range c.Pools {
		at := "pools." + p.Name
		errs = append(errs, events.CheckToken(at+": name", p.Name))
		if len(p.Types) == 0 {
			errs = append(errs, fmt.Errorf("%s: runs jobs of no type", at))
		}
		for _, t := range p.Types {
			errs = append(errs, events.CheckToken(at+".type", t))
		}
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("%s: is there twice", at))
		}
		seen[p.Name] = true
		h := p.Health
		if h.PingEvery != 0 {
			errs = append(errs, span(at+".health.ping_every", h.PingEvery, 10*time.Millisecond, 30*24*time.Hour, "0s never pings"),
				span(at+".health.ping_timeout", h.PingTimeout, 10*time.Millisecond, time.Hour, "longer than the slowest answer"))
			if h.PingLost < 1 || h.PingLost > 100 {
				errs = append(errs, fmt.Errorf("%s.health.ping_lost: got %d, want 1..100 (pings in a row before a restart)", at, h.PingLost))
			}
		}
	}
	return errors.Join(errs...)
}

func span(key string, got, low, high time.Duration, hint string) error {
	if got >= low && got <= high {
		return nil
	}
	return fmt.Errorf("%s: got %s, want %s..%s (%s)", key, got, low, high, hint)
}
