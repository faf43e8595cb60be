package fsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nuid"

	"herosup/events"
)

// Component is the keeper's name in Resynchronised.
const Component = "fsm"

// Keeper owns the machines of all actors of one node. It alone turns intents
// into orders (hero.int.process.*, hero.int.intake.*).
type Keeper struct {
	cfg     Config
	bus     *events.Bus
	log     *slog.Logger
	chart   *Chart
	salt    string
	ready   chan struct{}
	ignored atomic.Uint64

	// What follows belongs to the loop in Run.
	slots                map[string]*slot
	due                  deadlines
	redisLost, zinitLost bool
	observe              observation
	reassertAt           time.Time       // when to repeat orders that could not be sent; zero: none
	strangers            map[string]bool // pools warned about, at most maxStrangers
}

// New makes a keeper. The error says what is wrong with the configuration or,
// a fault of ours, with the table. log may be nil.
func New(cfg Config, bus *events.Bus, log *slog.Logger) (*Keeper, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	chart, err := NewChart()
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{
		cfg: cfg, bus: bus, log: log, chart: chart, salt: nuid.Next(), ready: make(chan struct{}),
		slots: map[string]*slot{}, strangers: map[string]bool{},
	}, nil
}

// Ready is closed when every fact and command reaches the keeper. It does not
// wait for the executor to say what runs: that may start later.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// Ignored counts facts that changed nothing because they were late, about
// another incarnation, or not in the table. Safe for concurrent use.
func (k *Keeper) Ignored() uint64 { return k.ignored.Load() }

// Run keeps the machines until ctx ends, then returns nil. Any other return is a
// fault: no subscription, or a table that contradicts itself. Call it once.
func (k *Keeper) Run(ctx context.Context) error {
	sub, err := k.bus.Subscribe(events.Facts)
	if err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	defer sub.Unsubscribe()
	svc, err := k.bus.Serve(events.ServiceConfig{
		Name: "keeper", Description: "life cycles of the actors",
		// One pattern, so that start and stop of one actor keep their order.
		Patterns: []events.Pattern{events.CommandsOf("actor")},
	})
	if err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	defer k.turnAway(ctx, svc)
	k.wantObservation(events.Message{}, "the keeper started")
	close(k.ready)

	// Half of all facts are its own. They say nothing new, so they are dropped
	// unread.
	own := []byte(`"source":"` + k.bus.Source() + `"`)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		k.setTimer(timer)
		select {
		case raw := <-sub.C:
			if bytes.Contains(raw.Data, own) {
				continue
			}
			m, err := sub.Open(raw)
			if err != nil {
				k.ignored.Add(1) // whoever watches the branch of facts says so
				continue
			}
			if err := k.fact(ctx, m); err != nil {
				return err
			}
		case m := <-svc.C:
			if err := k.command(ctx, m); err != nil {
				return err
			}
		case <-timer.C:
			if err := k.elapse(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// fact hands one fact to the machines that it is about.
func (k *Keeper) fact(ctx context.Context, m events.Message) error {
	if m.Missed > 0 {
		k.wantObservation(m, fmt.Sprintf("%d facts of %s were lost", m.Missed, m.Source))
	}
	switch m.Event.(type) {
	case events.RedisLost:
		k.redisLost = true
	case events.RedisBack:
		k.redisLost = false
	case events.ZinitLost:
		k.zinitLost = true
	case events.ZinitBack:
		k.zinitLost = false
	case events.RedisRefilled:
	default:
		s := k.about(m.Event)
		if s == nil {
			return nil
		}
		return k.fold(ctx, s, m)
	}
	for _, s := range k.slots {
		if err := k.fold(ctx, s, m); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) fold(ctx context.Context, s *slot, m events.Message) error {
	a, out := k.chart.Fold(ctx, s.actor, m.Event, time.Now())
	return k.take(s, a, out, m)
}

// take puts the new record in place, then does what follows from it.
func (k *Keeper) take(s *slot, a Actor, out Output, m events.Message) error {
	moved := !a.Due.Equal(s.actor.Due)
	s.actor = a
	if moved {
		k.due.settle(s)
	}
	for _, e := range out.Publish {
		k.publish(e, m)
		k.diary(e)
	}
	if out.Ignored != "" {
		k.ignored.Add(1)
		k.log.Debug("ignored", "actor", a.ID, "state", a.State, "event", m.On, "reason", out.Ignored)
	}
	switch {
	case out.Answer != nil:
		if err := m.Respond(out.Answer); err != nil {
			k.log.Debug("answer", "actor", a.ID, "err", err) // who asked is gone
		}
	case out.Refusal != nil:
		k.reject(m, out.Refusal)
	}
	if out.Fault != nil {
		return fmt.Errorf("keeper: actor %s: %w", a.ID, out.Fault)
	}
	return nil
}

// reassertAfter is how long to wait before orders that could not be sent are
// said again. It is repeated as long as the bus is away.
const reassertAfter = time.Second

func (k *Keeper) publish(e events.Event, m events.Message) {
	if err := k.bus.Publish(e, events.CausedBy(m)); err != nil {
		k.log.Warn("publish", "err", err)
		if k.reassertAt.IsZero() {
			k.reassertAt = time.Now().Add(reassertAfter)
		}
	}
}

// diary writes what an operator wants to read; jobs come and go too fast for it.
func (k *Keeper) diary(e events.Event) {
	c, ok := e.(events.ActorStateChanged)
	if !ok {
		return
	}
	level := slog.LevelInfo
	if on := Event(c.On); on == JobStarted || on == JobEnded {
		level = slog.LevelDebug
	}
	k.log.Log(context.Background(), level, "actor", "actor", c.Actor, "state", c.To, "event", c.On, "reason", c.Reason)
}

// elapse does everything whose time has come.
func (k *Keeper) elapse(ctx context.Context) error {
	now := time.Now()
	for at := k.due.next(); !at.IsZero() && !now.Before(at); at = k.due.next() {
		s := k.due[0]
		a, out := k.chart.Elapse(ctx, s.actor, now)
		if err := k.take(s, a, out, events.Message{}); err != nil {
			return err
		}
	}
	if at := k.reassertAt; !at.IsZero() && !now.Before(at) {
		k.reassertAt = time.Time{}
		for _, s := range k.slots {
			a, out := k.chart.Reassert(ctx, s.actor, now)
			if err := k.take(s, a, out, events.Message{}); err != nil {
				return err
			}
		}
		k.wantObservation(events.Message{}, "the bus was away")
	}
	k.observeDue(now)
	return nil
}

// setTimer arms the one timer for whatever comes first.
func (k *Keeper) setTimer(t *time.Timer) {
	next := k.due.next()
	for _, at := range []time.Time{k.reassertAt, k.observe.at} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		t.Stop()
		return
	}
	t.Reset(time.Until(next))
}

// lastRequests is how long requests that reached this process before the service
// ended may take to come through; they are in memory already.
const lastRequests = 50 * time.Millisecond

// turnAway ends the service: who still waits is told so.
func (k *Keeper) turnAway(ctx context.Context, svc *events.Service) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	// After the flush the server sends none any more. Errors: the bus is gone,
	// and with it who asked.
	err := errors.Join(svc.Stop(), k.bus.Flush(ctx))
	timer := time.NewTimer(lastRequests)
	defer timer.Stop()
	for {
		select {
		case m := <-svc.C:
			err = errors.Join(err, k.bus.Reject(m, &events.Refusal{
				Status: 503, Code: "stopping", Reason: "the daemon stops", Hint: "try again when it is up",
			}))
		case <-timer.C:
			if err != nil {
				k.log.Debug("stop service", "err", err)
			}
			return
		}
	}
}
