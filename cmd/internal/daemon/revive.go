package daemon

import (
	"context"
	"log/slog"
	"time"

	"herosup/events"
)

// Bounds of the pause between attempts to start our zinit again.
const (
	firstRevival = 100 * time.Millisecond
	maxRevival   = 30 * time.Second
)

// reviver starts our own zinit again when it is lost: killed, or ended by
// somebody. The new one adopts the processes that the old one left, so nobody
// but the executor notices. One that hangs still holds its lock and is left
// alone: start refuses, and says so.
type reviver struct {
	start func(context.Context) error
	bus   *events.Bus
	log   *slog.Logger
	ready chan struct{}
}

func newReviver(start func(context.Context) error, bus *events.Bus, log *slog.Logger) *reviver {
	return &reviver{start: start, bus: bus, log: log, ready: make(chan struct{})}
}

// Ready is closed when no loss can be missed any more.
func (r *reviver) Ready() <-chan struct{} { return r.ready }

// Run watches until ctx ends.
func (r *reviver) Run(ctx context.Context) error {
	sub, err := r.bus.Subscribe(events.Of(events.ZinitLost{}), events.Of(events.ZinitBack{}))
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	close(r.ready)
	var due <-chan time.Time // nil: it is there
	pause := firstRevival
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-due:
			due = nil
			if err := r.start(ctx); err != nil && ctx.Err() == nil {
				r.log.Warn("zinit not started again", "err", err, "next_try", pause)
				due = time.After(pause)
				pause = min(2*pause, maxRevival)
			}
		case raw := <-sub.C:
			m, err := sub.Open(raw)
			if err != nil {
				continue // the monitor reports what does not decode
			}
			if due, pause = nil, firstRevival; isLoss(m.Event) {
				due = time.After(0)
			}
		}
	}
}

func isLoss(e events.Event) bool { _, lost := e.(events.ZinitLost); return lost }
