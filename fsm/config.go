package fsm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"herosup/events"
)

// Config is what the keeper must know.
type Config struct {
	// Node is the node token of process and intake orders; "" means
	// events.LocalNode.
	Node string
	// Pools are the configured pools by name. An actor of any other is not ours.
	Pools map[string]PoolConfig
}

// PoolConfig is what the machines of one pool obey. Zero values mean the
// defaults named here.
type PoolConfig struct {
	// Max is the highest number an actor may be started under; 0 means that
	// none may be.
	Max int
	// StartTimeout is how long a process may take until it is ready; 30 s.
	StartTimeout time.Duration
	// StopTimeout is how long a stop may take before it is answered with a kill,
	// and each kill before the next. Longer than the time that the process
	// manager itself waits between TERM and KILL; 15 s.
	StopTimeout time.Duration
	// Backoff is how long to wait, after a process ended by itself, before we
	// start one (the process manager is usually faster); 1 s to 1 min.
	Backoff BackoffConfig
	// CrashLoop is when to give up; 5 exits within 2 min.
	CrashLoop CrashLimit
}

// BackoffConfig bounds a wait that doubles.
type BackoffConfig struct{ Min, Max time.Duration }

// CrashLimit is how many failures within which time are too many.
type CrashLimit struct {
	Exits  int
	Within time.Duration
}

func (c Config) withDefaults() Config {
	if c.Node == "" {
		c.Node = events.LocalNode
	}
	c.Pools = maps.Clone(c.Pools)
	for name, p := range c.Pools {
		c.Pools[name] = p.withDefaults()
	}
	return c
}

func (p PoolConfig) withDefaults() PoolConfig {
	fill(&p.StartTimeout, 30*time.Second)
	fill(&p.StopTimeout, 15*time.Second)
	fill(&p.Backoff.Min, time.Second)
	fill(&p.Backoff.Max, max(p.Backoff.Min, time.Minute))
	fill(&p.CrashLoop.Within, 2*time.Minute)
	fill(&p.CrashLoop.Exits, 5)
	return p
}

func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// maxExits bounds the failures that are kept per actor.
const maxExits = 1000

func (c Config) validate() error {
	var errs []error
	bad := func(path string, got any, want string) {
		errs = append(errs, fmt.Errorf("%s: got %v, want %s", path, got, want))
	}
	if err := events.CheckToken("node", c.Node); err != nil {
		errs = append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		p, at := c.Pools[name], "pools."+name
		if err := events.CheckToken("pool name", name); err != nil {
			errs = append(errs, err)
		}
		if p.Max < 0 || p.Max > maxIndex {
			bad(at+".max", p.Max, fmt.Sprintf("0..%d", maxIndex))
		}
		if p.StartTimeout < 0 {
			bad(at+".start_timeout", p.StartTimeout, "more than 0")
		}
		if p.StopTimeout < 0 {
			bad(at+".stop_timeout", p.StopTimeout, "more than 0")
		}
		if p.Backoff.Min < 0 || p.Backoff.Max < p.Backoff.Min {
			bad(at+".restart.backoff", []time.Duration{p.Backoff.Min, p.Backoff.Max}, "0 < first <= second")
		}
		if p.CrashLoop.Exits < 1 || p.CrashLoop.Exits > maxExits {
			bad(at+".restart.crash_loop.exits", p.CrashLoop.Exits, fmt.Sprintf("1..%d", maxExits))
		}
		if p.CrashLoop.Within < 0 {
			bad(at+".restart.crash_loop.within", p.CrashLoop.Within, "more than 0")
		}
	}
	return errors.Join(errs...)
}
