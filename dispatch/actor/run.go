package actor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"herosup/events"
)

// Run is an actor: it takes jobs and runs them until ctx ends, then ends the jobs in hand and returns nil (see
// the package comment for its bounds). A process is one actor: its identity is the process's, so call Run once at a time.
// Errors: a setting that can not be used, ErrSuperseded, a Redis that refuses
// us at the first hello, a result that could not be told at the stop, a handler that does not return.
func Run(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return fmt.Errorf("run actor: %w", err)
	}
	self, err := events.IncarnationOf(os.Getpid())
	if err != nil {
		return fmt.Errorf("run actor %s: identify this process: %w", cfg.Name, err)
	}
	redis, err := cfg.Store.Actor(cfg.Name, cfg.Type, self.String())
	if err != nil {
		return fmt.Errorf("run actor: %w", err)
	}
	if err := errors.Join(redis.SetSlots(cfg.Concurrency), redis.Serve(cfg.Types)); err != nil {
		return fmt.Errorf("run actor: %w", err)
	}
	if host, err := os.Hostname(); err == nil {
		redis.OnHost(host)
	}
	return run(ctx, cfg, redis, endGrace)
}

func run(ctx context.Context, cfg Config, redis side, endGrace time.Duration) error {
	t, end := newTimes(ctx, cfg.StopGrace, endGrace)
	defer end()
	log := cfg.Log.With("actor", cfg.Name, "script_type", cfg.Type)
	l := &loop{
		times: t, cfg: cfg, redis: redis, log: log, wake: newListener(), link: link{log: log},
		running: map[hold]*slot{}, tasks: make(chan task), ends: make(chan ending, cfg.Concurrency), replies: make(chan reply, 2), cut: map[string]struct{}{},
	}
	return l.run()
}
