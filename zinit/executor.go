package zinit

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"herosup/events"
	"herosup/zinit/wire"
)

// Executor is the component: see the package comment. One loop owns its state;
// it never waits for a zinit, a process or the bus: short workers do, and what
// they found comes back to the loop as a message.
type Executor struct {
	cfg   ExecutorConfig
	bus   *events.Bus
	log   *slog.Logger
	ready chan struct{}

	// What follows belongs to the loop.
	actors  map[string]*process
	lost    bool               // zinit does not answer
	server  events.Incarnation // zinit's process as of the last look
	retry   time.Duration
	waiting []events.Message // requests that wait for the next look
	looking bool
	clock   uint64 // counts orders, to tell what is newer than a look
	oom     oomWatch

	results chan result
	workers sync.WaitGroup
}

// result is what a worker found; apply runs in the loop.
type result struct {
	apply func()
	// err, if it means that zinit is away, is told once.
	err error
}

// resultsBuffer is room for what workers find while the loop is busy; more of
// them wait, nothing is lost.
const resultsBuffer = 256

// NewExecutor checks the configuration. Nothing runs before Run.
func NewExecutor(cfg ExecutorConfig, bus *events.Bus, log *slog.Logger) (*Executor, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Executor{
		cfg: cfg, bus: bus, log: log, ready: make(chan struct{}),
		actors: map[string]*process{}, results: make(chan result, resultsBuffer), oom: newOOMWatch(),
	}, nil
}

// Ready is closed when orders are obeyed and the services that there are have
// been told.
func (x *Executor) Ready() <-chan struct{} { return x.ready }

// Run obeys until ctx ends. Actors do not notice.
func (x *Executor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	x.cfg.Client.standInFor(x.cfg.Prefix)
	defer x.cfg.Client.standInFor("")
	defer x.workers.Wait()
	defer cancel()
	sub, err := x.bus.Subscribe(
		events.OrdersOf("process", x.cfg.Node), events.Of(events.ObserveProcesses{}),
		events.Of(events.ActorRegistered{}), events.Of(events.ActorOrphaned{}),
	)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	x.look(ctx)
	again := time.NewTimer(maxRetry)
	again.Stop()
	defer again.Stop()
	health := time.NewTicker(max(healthEvery, x.cfg.PollEvery))
	defer health.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case raw := <-sub.C:
			m, err := sub.Open(raw)
			if err != nil {
				x.reject(m, events.Malformed(err))
				continue
			}
			x.handle(ctx, m)
		case r := <-x.results:
			if ctx.Err() != nil {
				return nil // it may be of what was broken off by that, and says nothing
			}
			if away(r.err) {
				again.Reset(x.missed(r.err))
			}
			r.apply()
		case <-again.C:
			x.look(ctx)
		case <-health.C:
			if !x.buryingSome() {
				x.oom.look()
			}
			x.check(ctx)
		}
	}
}

// check asks whether zinit is there when nothing else needs it: orders show it
// by themselves. One that was killed and started again between two questions shows by
// its process: what it has may be other than what the one before had.
func (x *Executor) check(ctx context.Context) {
	if x.lost || x.looking {
		return
	}
	x.work(ctx, func(ctx context.Context) result {
		_, err := x.cfg.Client.List(ctx)
		server := serverOf(x.cfg.Client)
		return result{err: err, apply: func() {
			if err == nil && server != x.server {
				x.look(ctx)
			}
		}}
	})
}

// serverOf is the process that listens at the client's socket; zero where that is not
// to be seen.
func serverOf(c *Client) events.Incarnation {
	pid, err := wire.PeerPID(c.Socket())
	if err != nil {
		return events.Incarnation{}
	}
	life, err := events.IncarnationOf(pid)
	if err != nil {
		return events.Incarnation{}
	}
	return life
}

// missed notes that zinit was not reached, tells it once, and returns the pause
// before the next try.
func (x *Executor) missed(err error) (pause time.Duration) {
	if !x.lost {
		x.lost, x.retry = true, firstRetry
		x.publish(events.ZinitLost{Reason: err.Error()})
	}
	pause = x.retry
	x.retry = min(2*x.retry, maxRetry)
	return pause
}

// errLocal is for what went wrong on our side or in the service itself, so that
// asking zinit again would not help.
var errLocal = errors.New("not zinit's fault")

// local marks an error as one that says nothing about zinit.
type local struct{ error }

func (local) Is(target error) bool { return target == errLocal }

// missing marks a program that can not be run: zinit was not asked.
type missing struct{ local }

// away tells that zinit was not reached from a refusal by it.
func away(err error) bool {
	if err == nil || errors.Is(err, errLocal) || errors.Is(err, context.Canceled) {
		return false
	}
	_, refused := errors.AsType[*Error](err)
	return !refused
}

func (x *Executor) publish(e events.Event, o ...events.Option) {
	if err := x.bus.Publish(e, o...); err != nil {
		x.log.Error("fact not published", "event", e, "err", err)
	}
}

func (x *Executor) reject(m events.Message, r *events.Refusal) {
	if err := x.bus.Reject(m, r); err != nil {
		x.log.Error("order not rejected", "actor", r.Actor, "reason", r.Reason, "err", err)
	}
}

// work runs f beside the loop; what it returns is applied in the loop.
func (x *Executor) work(ctx context.Context, f func(context.Context) result) {
	x.workers.Go(func() {
		r := f(ctx)
		select {
		case x.results <- r:
		case <-ctx.Done():
		}
	})
}

func (x *Executor) handle(ctx context.Context, m events.Message) {
	switch e := m.Event.(type) {
	case events.StartProcess:
		x.order(ctx, m, e.Actor, e.Pool)
	case events.StopProcess:
		x.order(ctx, m, e.Actor, e.Pool)
	case events.RestartProcess:
		x.order(ctx, m, e.Actor, e.Pool)
	case events.KillProcess:
		if e.Replace && !e.Down {
			x.order(ctx, m, e.Actor, e.Pool)
		} else {
			x.kill(ctx, m, e)
		}
	case events.ObserveProcesses:
		if e.Node == x.cfg.Node {
			x.waiting = append(x.waiting, m)
			x.look(ctx)
		}
	case events.ActorRegistered:
		x.hello(ctx, e)
	case events.ActorOrphaned:
		x.orphan(ctx, e)
	}
}

// poolOf is the pool of an actor's id "<pool>_<n>".
func poolOf(actor string) string {
	if i := strings.LastIndexByte(actor, '_'); i > 0 {
		return actor[:i]
	}
	return actor
}
