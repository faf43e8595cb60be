package scaler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
)

// Scaler sizes the pools. Make one with New and call Run once.
type Scaler struct {
	cfg   Config
	bus   *events.Bus
	log   *slog.Logger
	ready chan struct{}

	// What follows belongs to Run's loop.
	view    *View
	touched map[string]events.Message // pools to decide, with the last fact that touched them
	next    map[string]time.Time      // when a pool is to be decided without one
	told    map[string]told
	open    bool      // decisions are made; until then:
	started bool      // SystemStarted was heard
	listed  bool      // the first question for the actors' states is settled
	over    bool      // the daemon stops: they are made no more
	settle  time.Time // when decisions begin at the latest
	answers chan answer
	asking  bool
	askAt   time.Time // when to ask for the actors' states; zero: not
}

// New makes a scaler for valid pools. log may be nil. The bus must be its own.
func New(cfg Config, bus *events.Bus, log *slog.Logger) (*Scaler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Settle <= 0 {
		cfg.Settle = defaultSettle
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Scaler{
		cfg: cfg, bus: bus, log: log, ready: make(chan struct{}),
		view:    NewView(cfg.Pools),
		touched: map[string]events.Message{}, next: map[string]time.Time{}, told: map[string]told{},
		answers: make(chan answer, 1),
	}, nil
}

// Ready is closed when no fact or command that is published later is missed.
func (s *Scaler) Ready() <-chan struct{} { return s.ready }

// turn bounds how many messages are taken in before decisions are made.
const turn = 4096

// Run works until ctx ends, and returns nil then. An error says that it could
// not start.
func (s *Scaler) Run(ctx context.Context) error {
	facts, err := s.bus.Subscribe(events.Facts)
	if err != nil {
		return err
	}
	defer facts.Unsubscribe()
	svc, err := s.bus.Serve(events.ServiceConfig{
		Name: "scaler", Description: "sizes the pools", Patterns: []events.Pattern{events.CommandsOf("pool")},
	})
	if err != nil {
		return err
	}
	defer s.leave(svc)
	ctx, cancel := context.WithCancel(ctx)
	var asked sync.WaitGroup
	defer asked.Wait()
	defer cancel()

	now := time.Now()
	s.settle, s.askAt = now.Add(s.cfg.Settle), now
	timer := time.NewTimer(0)
	defer timer.Stop()
	close(s.ready)
	for {
		select {
		case <-ctx.Done():
			return nil
		case raw := <-facts.C:
			s.fact(facts, raw)
		case m := <-svc.C:
			s.command(m)
		case a := <-s.answers:
			s.answered(facts, a)
		case <-timer.C:
		}
		s.drain(facts, svc)
		now := time.Now()
		if !s.asking && !s.askAt.IsZero() && !now.Before(s.askAt) {
			s.asking, s.askAt = true, time.Time{}
			n := s.view.facts
			asked.Go(func() { s.answers <- ask(ctx, s.bus, n) })
		}
		timer.Reset(s.decide(now).Sub(now))
	}
}

// drain takes in what is pending, so that a burst costs one decision.
func (s *Scaler) drain(facts *events.Subscription, svc *events.Service) {
	for range turn {
		select {
		case raw := <-facts.C:
			s.fact(facts, raw)
		case m := <-svc.C:
			s.command(m)
		default:
			return
		}
	}
}

// leave ends the service; who still waits is told so.
func (s *Scaler) leave(svc *events.Service) {
	if err := svc.Stop(); err != nil {
		s.log.Debug("stop service", "err", err)
	}
	for {
		select {
		case m := <-svc.C:
			s.reject(m, &events.Refusal{Status: 503, Code: "stopping", Reason: "the scaler is stopping"})
		default:
			return
		}
	}
}

func (s *Scaler) fact(sub *events.Subscription, raw *nats.Msg) {
	m, err := sub.Open(raw)
	if err != nil {
		return // the monitor reports what does not decode
	}
	now := time.Now()
	if m.Missed > 0 {
		s.log.Warn("facts lost", "depth", m.Missed, "reason", m.Source)
		s.touch(m, s.view.Missed())
		if s.askAt.IsZero() {
			s.askAt = now.Add(askPause)
			// Who can says anew what is so.
			s.publish(events.Resynchronised{Component: "scaler", Reason: fmt.Sprintf("%d facts of %s were lost", m.Missed, m.Source)}, m)
		}
	}
	switch m.Event.(type) {
	case events.SystemStarted:
		s.started = true
		s.touch(m, s.view.Names())
		return
	case events.SystemStopping:
		s.over = true
		return
	}
	s.touch(m, s.view.Fold(m.Event, now))
	if u, say := s.view.unserved(typeOf(m.Event)); say {
		s.publish(u, m)
	}
}

func (s *Scaler) touch(m events.Message, pools []string) {
	for _, name := range pools {
		s.touched[name] = m
	}
}

// answered takes in the actors' states, behind the facts that whoever told them had heard: a job that is among what an actor holds, and
// is told as started after that, would count twice.
func (s *Scaler) answered(facts *events.Subscription, a answer) {
	for range len(facts.C) {
		s.fact(facts, <-facts.C)
	}
	s.asking, s.listed = false, true
	if a.err != nil {
		s.log.Warn("read states of actors", "err", a.err)
		s.askAt = time.Now().Add(askPause)
		return
	}
	s.touch(events.Message{}, s.view.adopt(a, time.Now()))
}

func (s *Scaler) command(m events.Message) {
	fact, answer, refusal := s.view.command(m.Event, time.Now())
	if refusal != nil {
		s.reject(m, refusal)
		return
	}
	s.publish(fact, m)
	if err := m.Respond(answer); err != nil {
		s.log.Debug("answer", "pool", answer.Pool, "err", err)
	}
	s.touch(m, []string{answer.Pool})
}

func (s *Scaler) reject(m events.Message, r *events.Refusal) {
	if err := s.bus.Reject(m, r); err != nil {
		s.log.Warn("reject", "reason", r.Reason, "err", err)
	}
}

func (s *Scaler) publish(e events.Event, cause events.Message) {
	if err := s.bus.Publish(e, events.CausedBy(cause)); err != nil {
		s.log.Warn("publish", "event", events.KindOf(e).Name(), "err", err)
	}
}
