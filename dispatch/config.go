package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// Pool is what dispatch must know of a configured pool.
type Pool struct {
	// Name is the first part of its actors' ids: "<pool>_<n>".
	Name string
	// Types are the script types that its actors run, one at least.
	Types []string
}

// Config says how to run the component. Zero durations mean the defaults; nothing
// depends on a poll for being correct, so each may be an hour.
type Config struct {
	// Store is Redis. The caller opened it, and closes it after Run has returned.
	Store *store.Store
	// State is the state folder's id, which owns the Redis prefix.
	State string
	// Node is the token of this host in orders; "" means events.LocalNode.
	Node string
	// Pools are the configured pools. Types that no pool has are served as well:
	// their jobs wait.
	Pools []Pool
	// Defaults are for jobs whose submission does not say it, by script type (lower case); those of "" are for
	// all other types.
	Defaults map[string]Defaults
	// MaxCrashes is how many actors a job may take with it before it is dead; 0
	// means 3.
	MaxCrashes int
	// CancelGrace is the time between TERM and KILL for the script of a job that is
	// cancelled while it runs, and until its actor is given up; default 5 s.
	CancelGrace time.Duration
	// DeadMost and DeadAge bound the dead jobs that are kept; defaults 10,000 and 30
	// days. The store's bounds of the same name should be the same.
	DeadMost int
	DeadAge  time.Duration
	// WatchAfter is how long a backlog beside an actor that has room may stand still
	// before the watchdog does something about it, and again until it does the
	// next thing; default 5 s.
	WatchAfter time.Duration
	// SweepEvery is the pace at which registered incarnations are compared with
	// /proc; default 1 s. An exit that was told is acted on at once.
	SweepEvery time.Duration
	// MeasureEvery is the pace of the depth measure; default 1 s. An unchanged
	// depth is told again each five of them. While nothing waits or runs, and nothing is told, Redis is
	// asked each 300 of them only.
	MeasureEvery time.Duration
	// LookEvery is the pace at which a queue that is not empty is searched for jobs
	// that others pushed; default 1 s. A push into an empty queue is seen at once.
	LookEvery time.Duration
	// PingEvery is the pace of the question to Redis whether it is there; default
	// 1 s.
	PingEvery time.Duration
	// AdriftEvery is the pace at which records are compared with the lists, AdriftAge how long a job may be in none
	// of them; default 15 s and 10 s.
	AdriftEvery, AdriftAge time.Duration
	// CheckEvery is the pace at which the server's settings are looked at; default 1 min.
	CheckEvery time.Duration
	// OwnerLease is how long the prefix stays ours without a renewal; default 15 s.
	OwnerLease time.Duration
}

// defaults fills in what is not set and checks the rest.
func (c Config) defaults() (Config, error) {
	if c.Store == nil {
		return c, errors.New("new dispatch: no store")
	}
	if err := events.CheckToken("state id", c.State); err != nil {
		return c, fmt.Errorf("new dispatch: %w", err)
	}
	if c.Node == "" {
		c.Node = events.LocalNode
	}
	if err := events.CheckToken("node", c.Node); err != nil {
		return c, fmt.Errorf("new dispatch: %w", err)
	}
	pools := make([]Pool, len(c.Pools))
	for i, p := range c.Pools {
		err := events.CheckToken("pool", p.Name)
		if len(p.Types) == 0 {
			err = errors.Join(err, errors.New("no script type"))
		}
		pools[i] = Pool{Name: p.Name}
		for _, t := range p.Types {
			t = strings.ToLower(t)
			err = errors.Join(err, events.CheckToken("script type", t))
			pools[i].Types = append(pools[i].Types, t)
		}
		if err != nil {
			return c, fmt.Errorf("new dispatch: pool %q: %w", p.Name, err)
		}
	}
	c.Pools = pools
	for jobType, d := range c.Defaults {
		if err := d.check(); err != nil {
			return c, fmt.Errorf("new dispatch: defaults of type %q: %w", jobType, err)
		}
	}
	if c.MaxCrashes == 0 {
		c.MaxCrashes = 3
	}
	if c.DeadMost == 0 {
		c.DeadMost = 10_000
	}
	if c.MaxCrashes < 0 || c.DeadMost < 0 {
		return c, fmt.Errorf("new dispatch: max crashes %d, dead %d: neither may be negative", c.MaxCrashes, c.DeadMost)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		std   time.Duration
	}{
		{"sweep", &c.SweepEvery, time.Second},
		{"measure", &c.MeasureEvery, time.Second},
		{"look", &c.LookEvery, time.Second},
		{"ping", &c.PingEvery, time.Second},
		{"adrift", &c.AdriftEvery, 15 * time.Second},
		{"adrift age", &c.AdriftAge, 10 * time.Second},
		{"check", &c.CheckEvery, time.Minute},
		{"owner lease", &c.OwnerLease, 15 * time.Second},
		{"cancel grace", &c.CancelGrace, 5 * time.Second},
		{"dead age", &c.DeadAge, 30 * 24 * time.Hour},
		{"watch after", &c.WatchAfter, 5 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.std
		}
		if *d.value < 10*time.Millisecond {
			return c, fmt.Errorf("new dispatch: %s %v: want 10ms at least", d.name, *d.value)
		}
	}
	return c, nil
}

// poolOf reads the pool out of an actor's id, "<pool>_<n>": what is before the
// last underscore. A pool that is not configured is told by that name too: its
// actors may outlive their configuration.
func poolOf(actor string) string {
	if i := strings.LastIndexByte(actor, '_'); i > 0 {
		return actor[:i]
	}
	return actor
}
