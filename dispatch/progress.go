package dispatch

import (
	"context"
	"sync/atomic"
)

// progress is how far the log has been told: the sequence of the last message
// whose fact (queued, adopted or refused) is on the bus. The intake writes it;
// whoever must not speak of a job before that waits for it.
type progress struct {
	seq   atomic.Uint64
	moved atomic.Pointer[chan struct{}]
}

func newProgress() *progress {
	p := &progress{}
	c := make(chan struct{})
	p.moved.Store(&c)
	return p
}

// set wakes everybody who waits. It may also go back: a refill tells the log anew.
func (p *progress) set(seq uint64) {
	p.seq.Store(seq)
	next := make(chan struct{})
	close(*p.moved.Swap(&next))
}

// reached reports whether seq is told; if not, the channel closes when to ask again.
func (p *progress) reached(seq uint64) (bool, <-chan struct{}) {
	moved := *p.moved.Load() // before the look, so that no move falls between
	return p.seq.Load() >= seq, moved
}

// wait returns when seq is told or ctx ends.
func (p *progress) wait(ctx context.Context, seq uint64) bool {
	for {
		ok, moved := p.reached(seq)
		if ok {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}
