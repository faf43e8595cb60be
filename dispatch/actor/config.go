package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	defaultLease     = 10 * time.Second // the store's
	defaultStopGrace = 10 * time.Second

	// endGrace is what a handler has to return after its context has ended at a stop, and the last finish to be answered: a
	// script needs its grace (5 s) and 2 s.
	endGrace = 10 * time.Second
	// waitTime bounds one wait on the wake list: then an exchange makes sure that nothing was missed. It costs some ten
	// commands inside, and a hundred idle actors should not be what Redis has to do; a lost message shows before in its connection,
	// and to the watchdog.
	waitTime = 5 * time.Minute
	// beatEvery is how often an actor at work that has nothing to say looks whether Redis was rebuilt.
	beatEvery = 500 * time.Millisecond
	// renewTime bounds one renewal, so that a slow Redis does not keep the loop from a job's end.
	renewTime = 2 * time.Second
)

var (
	// ErrSuperseded says that another process has taken the actor's name.
	ErrSuperseded = errors.New("another process has this actor's name; end one of the two or give it a name of its own")

	// ErrTimeout is the cause of a job's context when its time is up.
	ErrTimeout = errors.New("the job's time is up")

	// ErrStopped is the cause of a job's context when the actor is stopped and StopGrace has passed.
	ErrStopped = errors.New("the actor was stopped")

	// ErrCancelled is the cause of a job's context when somebody cancelled the job. What its handler then returns is
	// told; unless it is a success the job has ended as cancelled.
	ErrCancelled = errors.New("the job was cancelled")

	// ErrLost is the cause of a job's context when the job is no longer this actor's.
	ErrLost = errors.New("the job is no longer this actor's")
)

// Config is what Run needs.
type Config struct {
	Store *store.Store
	// Name is the actor's, a token; one process at a time has it.
	Name string
	// Type of the jobs it takes, a token.
	Type string
	// Types are several that it takes, each with its weight, 1 to 20: where jobs of several types wait they are taken in turns, of
	// a type with weight 2 twice as many as of one with 1. At most 32. The actor is registered, and counted, under Type, one of
	// them; "" is then the first by name. Nil: Type alone.
	Types map[string]int
	// Handler runs a job.
	Handler Handler
	// Concurrency is how many jobs it runs at once, each with a call of Handler on a goroutine of its own: 0 is 1, at most 1000.
	Concurrency int
	// Timeout of a job that names none; 0 is none.
	Timeout time.Duration
	// Healthy says whether jobs could be run, when the actor is idle and asked for a sign of life: it gives none on an error,
	// and is replaced after some. It should answer within a second: no job is taken meanwhile. Nil: it is.
	Healthy func(context.Context) error
	// Able says why no job can be run, nil if some can: it is asked before the first is taken and after an outcome with ReasonUnable,
	// then each half second, beside the jobs that still run, until none is taken for want of it any more. Nil: it is tried.
	Able func() error
	// Lease is the Store's (Options.Lease): renewed each third of it. 0 is the store's default, 10 s.
	Lease time.Duration
	// StopGrace is how long the jobs in hand may go on when Run's context has ended; 0 is 10 s.
	StopGrace time.Duration
	// Log gets the diary (registered, Redis away and back, a result dropped); jobs are at debug. Nil discards.
	Log *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if err := events.CheckToken("actor id", c.Name); err != nil {
		return c, err
	}
	if c.Type == "" && len(c.Types) > 0 {
		c.Type = slices.Min(slices.Collect(maps.Keys(c.Types)))
	}
	if err := events.CheckToken("script type", c.Type); err != nil {
		return c, err
	}
	if c.Types == nil {
		c.Types = map[string]int{c.Type: 1}
	}
	if err := store.CheckServed(c.Type, c.Types); err != nil {
		return c, err
	}
	if c.Handler == nil {
		return c, errors.New("no handler")
	}
	if c.Concurrency == 0 {
		c.Concurrency = 1
	}
	if c.Concurrency < 1 || c.Concurrency > store.MaxSlots {
		return c, fmt.Errorf("concurrency %d: want 1 to %d", c.Concurrency, store.MaxSlots)
	}
	if c.Timeout < 0 || c.Lease < 0 || c.StopGrace < 0 {
		return c, fmt.Errorf("timeout %v, lease %v, stop grace %v: none may be negative", c.Timeout, c.Lease, c.StopGrace)
	}
	if c.Lease == 0 {
		c.Lease = defaultLease
	}
	if c.StopGrace == 0 {
		c.StopGrace = defaultStopGrace
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
