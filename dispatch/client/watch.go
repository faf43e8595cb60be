package client

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/dispatch"
	"herosup/events"
)

// Fact is what was told about a job: its Event is one of the events.Job... types.
type Fact = events.Message

// Watch follows a job. It is for one goroutine at a time; close it.
type Watch struct {
	c     *Client
	job   string // "" for all jobs
	sub   *events.Subscription
	back  chan nats.Status
	ended bool
	over  time.Time // it has ended, and from then on nothing more is waited for; zero: not known

	ctx     context.Context // of the looks
	stop    context.CancelFunc
	looks   sync.WaitGroup
	looking sync.Mutex
	looked  chan bool // whether the job has ended
}

// Watch begins to follow the facts about a job, from now on; job "" follows all jobs.
// The job need not exist yet. events.Backlog facts wait for who reads slowly, further
// ones are lost; so are those that are told while the connection is away. The end of
// one job is found all the same (by the role operator, which may ask for it). The role
// submitter hears nothing, and nobody says so: Await tells it the end.
func (c *Client) Watch(job string) (*Watch, error) {
	pattern := events.Pattern("evt.job.>")
	if job != "" {
		if err := named(job); err != nil {
			return nil, err
		}
		pattern = events.Pattern("evt.job.*.*." + job)
	}
	back := c.bus.Conn().StatusChanged(nats.CONNECTED, nats.CLOSED)
	sub, err := c.bus.Subscribe(pattern)
	if err != nil {
		c.bus.Conn().RemoveStatusListener(back)
		return nil, err
	}
	w := &Watch{c: c, job: job, sub: sub, back: back, looked: make(chan bool, 1)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.look()
	return w, nil
}

// lookEvery is how often a job that is quiet is looked at, should its last fact be lost.
const lookEvery = 30 * time.Second

// lastFact is how long a fact may be on its way behind what it tells.
const lastFact = time.Second

// Next waits for the next fact. The error is io.EOF when the job has ended, also if it
// had before the Watch began, nats.ErrConnectionClosed when the Client is closed; or ctx's.
func (w *Watch) Next(ctx context.Context) (Fact, error) {
	quiet := time.NewTicker(lookEvery)
	defer quiet.Stop()
	for !w.ended {
		if len(w.sub.C) == 0 && w.c.bus.Conn().IsClosed() {
			return Fact{}, nats.ErrConnectionClosed
		}
		var late <-chan time.Time
		if !w.over.IsZero() {
			late = time.After(time.Until(w.over))
		}
		select {
		case raw := <-w.sub.C:
			if m, ok := w.read(raw); ok {
				return m, nil
			}
		case <-w.back:
			w.look()
		case <-quiet.C:
			w.look()
		case over := <-w.looked:
			if over { // its last fact may be on its way, and says so itself
				w.over = time.Now().Add(lastFact)
			}
		case <-late:
			w.ended = len(w.sub.C) == 0
		case <-ctx.Done():
			return Fact{}, context.Cause(ctx)
		}
	}
	return Fact{}, io.EOF
}

// look asks whether the job has ended. A role that may not ask has no answer, and goes
// on with what it is told.
func (w *Watch) look() {
	if w.job == "" || !w.looking.TryLock() {
		return
	}
	w.looks.Go(func() {
		defer w.looking.Unlock()
		j, err := w.c.Show(w.ctx, w.job)
		if err == nil {
			select {
			case w.looked <- ended(j.State):
			case <-w.ctx.Done():
			}
		}
	})
}

// read decodes a fact. What is not one, of a newer daemon perhaps, is passed over.
func (w *Watch) read(raw *nats.Msg) (Fact, bool) {
	m, err := w.sub.Open(raw)
	if err != nil {
		return Fact{}, false
	}
	switch m.Event.(type) {
	case events.JobEnded, events.JobDead, events.JobCancelled, events.JobRemoved:
		w.ended = w.job != ""
	}
	return m, true
}

// ended tells the states that a job does not leave by itself.
func ended(state string) bool {
	switch state {
	case dispatch.StateFinished, dispatch.StateError, dispatch.StateCancelled, dispatch.StateExpired, dispatch.StateDead:
		return true
	}
	return false
}

// Close ends the Watch.
func (w *Watch) Close() {
	w.stop()
	w.sub.Unsubscribe()
	w.c.bus.Conn().RemoveStatusListener(w.back)
	w.looks.Wait()
}
