package zinit

import (
	"context"
	"sync"
	"time"
)

// crateMemory is what a client has to know of a zinit of the crate dialect beyond its
// answers. It is for concurrent use.
type crateMemory struct {
	// changing is held by who adds or removes a service: between the look at who
	// would be moved and the removal no other may come last in the list.
	changing chan struct{}

	mu sync.Mutex
	// prefix begins the names of what is ours alone to remove; "": nothing is.
	prefix string
	// ended is since when a service is seen to have ended well, which one that was
	// stopped and one that will be started again both show. Zero: it was stopped.
	ended map[string]time.Time
}

func newCrateMemory() *crateMemory {
	return &crateMemory{changing: make(chan struct{}, 1), ended: map[string]time.Time{}}
}

// change waits for its turn to add or remove services, which done ends.
func (m *crateMemory) change(ctx context.Context) (done func(), err error) {
	select {
	case m.changing <- struct{}{}:
		return func() { <-m.changing }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// rests tells of a service that has ended well whether that is for good: it was
// stopped by us, or no next life has come for longer than any pause of ours.
func (m *crateMemory) rests(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	since, seen := m.ended[name]
	if !seen {
		m.ended[name] = time.Now()
		return false
	}
	return time.Since(since) > crateDelayMax+crateLost
}

// wasStopped reports whether it was we who stopped it.
func (m *crateMemory) wasStopped(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	since, seen := m.ended[name]
	return seen && since.IsZero()
}

// stopped notes that a service was stopped, and has no next life.
func (m *crateMemory) stopped(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended[name] = time.Time{}
}

// lives forgets what was: the service runs, is started, or is no more.
func (m *crateMemory) lives(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ended, name)
}

// decided is a status that tells for certain whether a service that has no process
// will have one: in the crate dialect that takes, once, as long as its longest pause.
func (c *Client) decided(ctx context.Context, name string) (Status, error) {
	for end := time.Now().Add(crateDelayMax + 2*crateLost); ; {
		st, err := c.Status(ctx, name)
		open := st.PID == 0 && st.Target == Up && st.State.Kind == Success && c.keeps(ctx)
		if err != nil || !open || time.Now().After(end) {
			return st, err
		}
		select {
		case <-time.After(crateLost / 10):
		case <-ctx.Done():
			return st, context.Cause(ctx)
		}
	}
}
