package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch"
	"herosup/events"
)

const (
	// lookEvery bounds the sleep: a timer runs on the monotonic clock, and the
	// clock on the wall may be set.
	lookEvery = time.Minute
	// firstPause and longestPause bound the pace of retries while the bus does not
	// take what we write.
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// Config says how to run the component.
type Config struct {
	// Definitions are those of the configuration file: they replace what the bucket
	// has from an earlier one.
	Definitions []Definition
}

// Component fires the schedules. See the package comment.
type Component struct {
	cfg   Config
	bus   *events.Bus
	log   *slog.Logger
	ready chan struct{}

	js   jetstream.JetStream
	book *book
	// step, if set, is told before each step of a firing and may end the loop
	// there: tests die at each.
	step func(name string) error
}

// New checks the configuration and makes the component; nothing runs before Run.
// bus is this component's own; log nil discards.
func New(cfg Config, bus *events.Bus, log *slog.Logger) (*Component, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Definitions) > maxSchedules {
		return nil, fmt.Errorf("new schedule: %d schedules, at most %d are allowed", len(cfg.Definitions), maxSchedules)
	}
	for i := range cfg.Definitions {
		d := &cfg.Definitions[i]
		d.Source = FromConfig
		if err := d.Check(); err != nil {
			return nil, fmt.Errorf("new schedule: %q: %w", d.Name, err)
		}
	}
	return &Component{cfg: cfg, bus: bus, log: log, ready: make(chan struct{}), step: func(string) error { return nil }}, nil
}

// Ready is closed once the schedules are read, those of the configuration are
// among them, and commands reach the component.
func (c *Component) Ready() <-chan struct{} { return c.ready }

// Run works until ctx ends (nil), or the bucket can not be opened.
func (c *Component) Run(ctx context.Context) error {
	err := c.run(ctx)
	if ctx.Err() != nil {
		return nil // that is why, whatever it looks like
	}
	return err
}

func (c *Component) run(ctx context.Context) (err error) {
	if c.js, err = jetstream.New(c.bus.Conn()); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	if c.book, err = openBook(ctx, c.js, c.log); err != nil {
		return err
	}
	defer func() { _ = c.book.watch.Stop() }() // it ends with the connection at the latest
	if err := c.configure(ctx, time.Now()); err != nil {
		return err
	}
	svc, err := c.serve()
	if err != nil {
		return err
	}
	defer svc.Stop() //nolint:errcheck // as above
	close(c.ready)

	timer := time.NewTimer(0)
	defer timer.Stop()
	var pause time.Duration
	for {
		wait, err := c.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errStopped) {
			return err
		}
		if err == nil {
			pause = 0
		} else {
			if pause == 0 {
				c.log.Warn("fire schedules", "err", err)
			}
			pause = min(max(2*pause, firstPause), longestPause)
			wait = pause
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case m := <-svc.C:
			c.command(ctx, m)
		case u, open := <-c.book.watch.Updates():
			switch {
			case !open:
				if err := c.reopen(ctx); err != nil {
					return err
				}
			case u != nil:
				c.book.fold(u)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// errStopped is what a test's step ends the loop with.
var errStopped = errors.New("stopped by a test")

// look does what is due and says how long to sleep.
func (c *Component) look(ctx context.Context) (time.Duration, error) {
	for _, a := range Due(c.book.plans(), time.Now()) {
		if err := c.act(ctx, a); err != nil && !errors.Is(err, errConflict) {
			return 0, err
		}
	}
	// Afterwards, not before: an action takes time, and a conflict or a found job
	// leaves something due.
	next := NextLook(c.book.plans())
	if next.IsZero() {
		return lookEvery, nil
	}
	return min(max(0, time.Until(next)), lookEvery), nil
}

// act carries one decision out: the job into the log, then the decision into the
// bucket, then the fact. A crash behind the first step repeats it, under the same
// id, which the log drops for two minutes and the intake for as long as the job's
// record is there; what is older than that is looked up in the history of facts.
func (c *Component) act(ctx context.Context, a Action) error {
	e := c.book.find(a.Schedule)
	if e == nil {
		return nil
	}
	p := e.run
	p.Since, p.Decided = e.def.Since, a.Decided
	if known, err := c.firedBefore(ctx, e, a.First); err != nil {
		return err
	} else if known {
		p.Decided, p.Fired = a.First, p.Fired+1
		p.LastDue, p.LastJob = a.First, JobID(a.Schedule, a.First)
		return c.book.putRun(ctx, e, p)
	}
	if err := c.step("publish"); err != nil {
		return err
	}
	var job string
	if !a.Fire.IsZero() {
		job = JobID(a.Schedule, a.Fire)
		refused, err := c.submitOnce(ctx, e, a, job)
		if err != nil {
			return err
		}
		if refused != nil { // it was fit when it was added: another version judges otherwise
			a.Fire, a.Missed, a.Reason = time.Time{}, a.Missed+1, "refused: "+refused.Reason
			a.Last = a.Decided
		} else {
			p.Fired, p.LastDue, p.LastJob = p.Fired+1, a.Fire, job
		}
	}
	p.Missed += a.Missed
	if err := c.step("record"); err != nil {
		return err
	}
	if err := c.book.putRun(ctx, e, p); err != nil {
		return err
	}
	if err := c.step("tell"); err != nil {
		return err
	}
	c.tell(e, a, job)
	return nil
}

// submitOnce submits the job for the last of several due times, unless somebody did who died before noting it; the first of them
// was looked up.
func (c *Component) submitOnce(ctx context.Context, e *entry, a Action, job string) (refused *events.Refusal, err error) {
	if !a.Fire.Equal(a.First) {
		if known, err := c.firedBefore(ctx, e, a.Fire); known || err != nil {
			return nil, err
		}
	}
	return c.submit(ctx, e, job)
}

// firedBefore reports whether a due time got its job from somebody who died before noting
// it, so long ago that the log may not know its id any more.
func (c *Component) firedBefore(ctx context.Context, e *entry, due time.Time) (bool, error) {
	if due.IsZero() || time.Since(due) < onTime {
		return false, nil
	}
	subject, err := c.bus.Subject(events.JobQueued{Type: e.def.Type, Job: JobID(e.def.Name, due)})
	if err != nil {
		return false, err
	}
	err = limited(ctx, func(ctx context.Context) error {
		s, err := c.js.Stream(ctx, events.EventsStream)
		if err != nil {
			return err
		}
		_, err = s.GetLastMsgForSubject(ctx, subject)
		return err
	})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	}
	return false, fmt.Errorf("look for %s: %w", subject, err)
}

// reopen reads the bucket again when the watch over it has ended: the library gives it up
// where a server that has just started can not have its consumer yet. It tries until ctx
// ends.
func (c *Component) reopen(ctx context.Context) error {
	if c.bus.Conn().IsClosed() { // there is nobody to write to either
		return errors.New("the watch over " + events.SchedulesBucket + " has ended, with the connection")
	}
	c.log.Warn("read the schedules again", "reason", "the watch over "+events.SchedulesBucket+" has ended")
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b, err := openBook(ctx, c.js, c.log)
		if err == nil {
			c.book = b
			return nil
		}
		c.log.Debug("read the schedules", "err", err)
	}
}

func (c *Component) submit(ctx context.Context, e *entry, job string) (refused *events.Refusal, err error) {
	err = limited(ctx, func(ctx context.Context) error {
		_, err := dispatch.SubmitOnce(ctx, c.js, c.bus.Prefix(), e.def.Type, job, e.def.header(), []byte(e.def.Script))
		return err
	})
	if errors.As(err, &refused) {
		return refused, nil
	}
	return nil, err
}

func (c *Component) tell(e *entry, a Action, job string) {
	if !a.Fire.IsZero() {
		c.publish(events.ScheduleFired{
			Schedule: a.Schedule, Type: e.def.Type, Job: job, Due: a.Fire.UTC(), Late: events.SecondsOf(a.Late), Reason: a.Reason,
		})
	}
	if a.Missed > 0 {
		c.publish(events.ScheduleMissed{
			Schedule: a.Schedule, Count: a.Missed, First: a.First.UTC(), Last: a.Last.UTC(), Policy: e.def.Missed, Reason: a.Reason,
		})
	}
	if a.Fire.IsZero() && a.Missed == 0 {
		c.log.Warn("schedule moved back", "schedule", a.Schedule, "reason", a.Reason)
	}
}

func (c *Component) publish(e events.Event, opts ...events.Option) {
	if err := c.bus.Publish(e, opts...); err != nil {
		c.log.Warn("publish", "err", err)
	}
}
