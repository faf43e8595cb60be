package dispatch

import (
	"context"
	"time"
)

const (
	// firstPause and longestPause bound the pace of every retry. The longest is
	// short, because the store answers "away" by itself after two seconds at most
	// and a Redis that is back must be noticed soon.
	firstPause   = 10 * time.Millisecond
	longestPause = 500 * time.Millisecond
	// callTimeout bounds one call of the store: a frozen Redis is away.
	callTimeout = 3 * time.Second
)

// pace is the pause before the next try: doubled each time, up to the longest.
type pace struct{ last time.Duration }

func (p *pace) next() time.Duration {
	p.last = min(max(2*p.last, firstPause), longestPause)
	return p.last
}

func (p *pace) reset() { p.last = 0 }

// pause waits, or returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// kick wakes the reader of a channel of one: it will look at the truth, so one
// kick that waits stands for all.
func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
