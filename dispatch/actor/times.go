package actor

import (
	"context"
	"time"
)

// times are the ends of a Run, each later than the one before.
type times struct {
	caller   context.Context // after its end nothing new is taken
	work     context.Context // StopGrace later, with ErrStopped: the jobs in hand are cut short
	last     context.Context // endGrace later: nothing is waited for any more
	endGrace time.Duration
}

// newTimes starts the goroutine that brings them about; end ends all and waits for it.
func newTimes(caller context.Context, stopGrace, endGrace time.Duration) (t times, end func()) {
	work, endWork := context.WithCancelCause(context.WithoutCancel(caller))
	last, endLast := context.WithCancelCause(context.WithoutCancel(caller))
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		defer endLast(ErrStopped)
		defer endWork(ErrStopped)
		select {
		case <-caller.Done():
		case <-over:
			return
		}
		for _, e := range []struct {
			after time.Duration
			end   context.CancelCauseFunc
		}{{stopGrace, endWork}, {endGrace, endLast}} {
			timer := time.NewTimer(e.after)
			select {
			case <-timer.C:
				e.end(ErrStopped)
			case <-over:
				timer.Stop()
				return
			}
		}
	}()
	return times{caller: caller, work: work, last: last, endGrace: endGrace}, func() { close(over); <-gone }
}
