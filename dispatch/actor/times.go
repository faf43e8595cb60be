package actor

import (
	"context"
	"time"
)

// times are the ends of a Run, each later than the one before.
type times struct {
	ask  context.Context // the caller's: after it nothing new is taken
	work context.Context // StopGrace later, with ErrStopped: the job in hand is cut short
	last context.Context // endGrace later: nothing is waited for any more
}

// newTimes starts the goroutine that brings them about; end ends all and waits for it.
func newTimes(ask context.Context, stopGrace, endGrace time.Duration) (t times, end func()) {
	work, endWork := context.WithCancelCause(context.WithoutCancel(ask))
	last, endLast := context.WithCancelCause(context.WithoutCancel(ask))
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		defer endLast(ErrStopped)
		defer endWork(ErrStopped)
		select {
		case <-ask.Done():
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
	return times{ask: ask, work: work, last: last}, func() { close(over); <-gone }
}
