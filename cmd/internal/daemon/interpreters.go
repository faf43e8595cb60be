package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"herosup/cmd/internal/config"
	"herosup/events"
)

// lookEvery is the pace at which missing interpreters are looked for.
const lookEvery = 30 * time.Second

// interpreters tells which pools can start no actor because the interpreter of
// their type, or their command's program, is not on this machine, and when it has come or gone. It looks at
// the start, every lookEvery, when a pool is resumed, an actor gave a job back that it could not
// begin or a start failed for it, and tells all anew when a
// component resynchronises. Whoever starts actors obeys the fact; an actor whose
// interpreter went takes no job until it is there, one whose program went works on.
type interpreters struct {
	pools map[string]config.Pool
	every time.Duration
	bus   *events.Bus
	log   *slog.Logger
	ready chan struct{}

	blocked map[string]bool // of Run's loop
}

func newInterpreters(pools map[string]config.Pool, every time.Duration, bus *events.Bus, log *slog.Logger) *interpreters {
	if every <= 0 {
		every = lookEvery
	}
	return &interpreters{pools: pools, every: every, bus: bus, log: log, ready: make(chan struct{}), blocked: map[string]bool{}}
}

// Ready is closed when the state of each pool has been told.
func (i *interpreters) Ready() <-chan struct{} { return i.ready }

// Run looks and tells until ctx ends.
func (i *interpreters) Run(ctx context.Context) error {
	sub, err := i.bus.Subscribe(events.Of(events.PoolResumed{}), events.Of(events.Resynchronised{}), events.Of(events.JobRetried{}),
		events.Of(events.ProcessStartFailed{}))
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	i.look(false)
	soon, cancel := context.WithTimeout(ctx, readyTimeout)
	err = i.bus.Flush(soon)
	cancel()
	if err != nil {
		return err
	}
	close(i.ready)
	tick := time.NewTicker(i.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			i.look(false)
		case raw := <-sub.C:
			m, err := sub.Open(raw)
			if err != nil {
				continue // the monitor reports what does not decode
			}
			switch e := m.Event.(type) {
			case events.JobRetried:
				if !e.Failed || !e.Interrupted {
					continue // it was tried
				}
			case events.ProcessStartFailed:
				if !e.Missing {
					continue
				}
			}
			_, anew := m.Event.(events.Resynchronised)
			i.look(anew)
		}
	}
}

// look compares what is here with what was told. anew tells all blocked pools again.
func (i *interpreters) look(anew bool) {
	for _, name := range slices.Sorted(maps.Keys(i.pools)) {
		reason, hint := i.pools[name].Missing(name)
		was := i.blocked[name]
		i.blocked[name] = reason != ""
		switch {
		case reason != "" && (!was || anew):
			i.publish(events.PoolBlocked{Pool: name, Reason: reason, Hint: hint})
		case reason == "" && (was || anew):
			i.publish(events.PoolUnblocked{Pool: name})
		default:
			continue
		}
		if was != i.blocked[name] {
			i.log.Info("interpreter", "pool", name, "state", map[bool]string{true: "missing", false: "found"}[!was], "reason", reason)
		}
	}
}

func (i *interpreters) publish(e events.Event) {
	if err := i.bus.Publish(e); err != nil {
		i.log.Warn("publish", "event", events.KindOf(e).Name(), "err", err)
	}
}
