package monitor

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
)

// Monitor watches. Make one with New and call Run once.
type Monitor struct {
	bus   *events.Bus
	log   *slog.Logger
	ready chan struct{}
	gate  *gate

	// What follows belongs to Run's loop.
	view      *View
	malformed map[string]bool // kinds of facts that were reported as such
	resyncAt  time.Time       // when a hole in the facts may be told again
}

// New makes a monitor for a valid configuration. log may be nil. The bus must be
// its own.
func New(cfg Config, bus *events.Bus, log *slog.Logger) (*Monitor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Monitor{
		bus: bus, log: log, ready: make(chan struct{}), gate: newGate(bus.Prefix(), cfg.Served),
		view: NewView(cfg), malformed: map[string]bool{},
	}, nil
}

// Ready is closed when no fact or command that is published later is missed.
func (m *Monitor) Ready() <-chan struct{} { return m.ready }

// farAway is when the loop looks around with nothing due.
const farAway = time.Hour

// Run works until ctx ends, and returns nil then. An error says that it could
// not start.
func (m *Monitor) Run(ctx context.Context) error {
	facts, err := m.bus.Subscribe(events.Facts)
	if err != nil {
		return err
	}
	defer facts.Unsubscribe()
	commands, err := m.bus.Subscribe(events.Commands)
	if err != nil {
		return err
	}
	defer commands.Unsubscribe()
	svc, err := m.bus.Serve(events.ServiceConfig{
		Name: "monitor", Description: "knows how everything looks",
		Patterns: []events.Pattern{events.Of(events.SystemStatus{}), events.Of(events.PoolList{}), events.Of(events.ActorList{})},
	})
	if err != nil {
		return err
	}
	defer m.leave(svc)
	timer := time.NewTimer(farAway)
	defer timer.Stop()
	close(m.ready)
	for {
		select {
		case <-ctx.Done():
			return nil
		case raw := <-facts.C:
			m.fact(facts, raw)
		case raw := <-commands.C:
			m.pass(commands, raw)
		case q := <-svc.C:
			for range len(facts.C) { // told before it was asked, and so in the answer
				m.fact(facts, <-facts.C)
			}
			m.query(q)
		case <-timer.C:
		}
		now := time.Now()
		wake := now.Add(farAway)
		if next := m.view.NextCare(); !next.IsZero() {
			if !now.Before(next) {
				m.care(now)
				next = m.view.NextCare()
			}
			if !next.IsZero() && next.Before(wake) {
				wake = next
			}
		}
		timer.Reset(wake.Sub(now))
	}
}

// leave ends the service; who still waits is told so.
func (m *Monitor) leave(svc *events.Service) {
	if err := svc.Stop(); err != nil {
		m.log.Debug("stop service", "err", err)
	}
	for {
		select {
		case q := <-svc.C:
			m.reject(q, &events.Refusal{Status: 503, Code: "stopping", Reason: "the monitor is stopping"})
		default:
			return
		}
	}
}

func (m *Monitor) fact(sub *events.Subscription, raw *nats.Msg) {
	msg, err := sub.Open(raw)
	if err != nil {
		m.unreadable(msg, err)
		return
	}
	now := time.Now()
	if msg.Missed > 0 {
		m.log.Warn("facts lost", "depth", msg.Missed, "reason", msg.Source)
		m.view.Missed(msg.Missed, msg.Source, now)
		if !now.Before(m.resyncAt) {
			m.resyncAt = now.Add(resyncPause)
			m.publish(events.Resynchronised{Component: "monitor", Reason: fmt.Sprintf("%d facts of %s were lost", msg.Missed, msg.Source)}, msg)
		}
	}
	m.view.Fold(msg.Event, now)
}

// resyncPause is between two tellings of a hole, so that a stream of holes does
// not become a stream of repeats.
const resyncPause = time.Second

// unreadable reports a fact that does not decode, once for each kind: at the
// worst one for each entry of the catalogue and one for all others.
func (m *Monitor) unreadable(msg events.Message, err error) {
	kind := "unknown"
	t := strings.Split(strings.TrimPrefix(msg.On, m.bus.Prefix()+"."), ".")
	for _, k := range events.Catalogue() {
		if len(t) >= 3 && k.Branch == events.Fact && k.Entity == t[1] && k.Verb == t[2] {
			kind = k.Name()
		}
	}
	if m.malformed[kind] {
		return
	}
	m.malformed[kind] = true
	m.log.Warn("malformed fact", "event", kind, "err", err)
	m.reject(msg, events.Malformed(err))
}

// pass looks at a command on its way, and rejects what nobody serves.
func (m *Monitor) pass(sub *events.Subscription, raw *nats.Msg) {
	if !m.gate.unserved(raw.Subject) {
		return
	}
	msg, err := sub.Open(raw)
	if err == nil {
		return // somebody's after all; nothing comes here
	}
	m.reject(msg, m.gate.refusal(raw.Subject, err))
}

func (m *Monitor) query(q events.Message) {
	now := time.Now()
	var answer any
	switch e := q.Event.(type) {
	case events.SystemStatus:
		answer = m.view.Status(now)
	case events.PoolList:
		answer = m.view.Pools(now)
	case events.ActorList:
		if r := m.view.unknownPool(e.Pool); r != nil {
			m.reject(q, r)
			return
		}
		answer = m.view.Actors(e.Pool)
	default:
		return
	}
	if err := q.Respond(answer); err != nil {
		m.log.Debug("answer", "event", q.On, "err", err) // who asked is gone
	}
}

// care asks for signs of life and tells who gives none.
func (m *Monitor) care(now time.Time) {
	for _, e := range m.view.Care(now) {
		switch e := e.(type) {
		case events.ActorUnresponsive:
			m.log.Warn("actor unresponsive", "pool", e.Pool, "actor", e.Actor, "depth", e.Lost)
		case events.JobOverran:
			m.log.Warn("job overran", "job", e.Job, "actor", e.Actor, "dur", e.Ran.Duration())
		}
		m.publish(e, events.Message{})
	}
}

func (m *Monitor) reject(msg events.Message, r *events.Refusal) {
	if err := m.bus.Reject(msg, r); err != nil {
		m.log.Warn("reject", "reason", r.Reason, "err", err)
	}
}

func (m *Monitor) publish(e events.Event, cause events.Message) {
	if err := m.bus.Publish(e, events.CausedBy(cause)); err != nil {
		m.log.Warn("publish", "event", events.KindOf(e).Name(), "err", err)
	}
}
