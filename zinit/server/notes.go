package server

import (
	"context"
	"sync"
)

// notes writes standings down, beside the loop, so that a slow disk holds up no
// service. Of several standings of one service that wait only the latest is
// written, so at most one waits for each.
type notes struct {
	records records

	mu      sync.Mutex
	waiting map[string]note
	some    chan struct{} // holds a token while there may be some
}

type note struct {
	standing
	done func(error)
}

func newNotes(r records) *notes {
	return &notes{records: r, waiting: make(map[string]note), some: make(chan struct{}, 1)}
}

// put has a standing written; done is called when it is, unless a later one of
// the service takes its place.
func (n *notes) put(service string, s standing, done func(error)) {
	n.mu.Lock()
	n.waiting[service] = note{s, done}
	n.mu.Unlock()
	select {
	case n.some <- struct{}{}:
	default:
	}
}

// run writes until ctx ends.
func (n *notes) run(ctx context.Context) {
	for {
		select {
		case <-n.some:
		case <-ctx.Done():
			return
		}
		n.mu.Lock()
		all := n.waiting
		n.waiting = make(map[string]note)
		n.mu.Unlock()
		for service, w := range all {
			w.done(n.records.writeStanding(service, w.standing))
		}
	}
}
