package zinit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"herosup/events"
)

// order takes a start, stop or restart. Those of one actor run one after the
// other, in the order they came.
func (x *Executor) order(ctx context.Context, m events.Message, actor, pool string) {
	if !x.ours(m, actor, pool) {
		return
	}
	p := x.process(actor, pool)
	if len(p.queue) >= maxOrders {
		x.reject(m, &events.Refusal{
			Status: 503, Code: "busy", Actor: actor, Pool: pool,
			Reason: fmt.Sprintf("actor %s: %d orders wait already", actor, maxOrders),
		})
		return
	}
	p.queue = append(p.queue, m)
	x.next(ctx, p)
}

// ours refuses an order for what we have no template of.
func (x *Executor) ours(m events.Message, actor, pool string) bool {
	if _, ok := x.cfg.Pools[pool]; ok && poolOf(actor) == pool {
		return true
	}
	x.reject(m, &events.Refusal{
		Status: 404, Code: "unknown_pool", Actor: actor, Pool: pool,
		Reason: fmt.Sprintf("actor %s: pool %q is not configured here", actor, pool),
	})
	return false
}

// next runs the actor's next order, if none runs and zinit is there.
func (x *Executor) next(ctx context.Context, p *process) {
	if p.busy || len(p.queue) == 0 || x.lost {
		return
	}
	m := p.queue[0]
	p.queue = p.queue[1:]
	p.busy, p.blocked = true, ""
	x.touch(p)
	switch m.Event.(type) {
	case events.StartProcess:
		p.wanted, p.byUs = true, false
		x.start(ctx, p, m)
	case events.StopProcess:
		p.wanted, p.byUs = false, true
		x.stop(ctx, p, m)
	case events.RestartProcess:
		p.wanted, p.byUs = true, true
		x.restart(ctx, p, m)
	}
}

// done ends an order. false: zinit was not reached, so the order is first in the
// queue again, and ZinitBack runs it.
func (x *Executor) done(p *process, m events.Message, err error) bool {
	p.busy = false
	x.touch(p)
	if away(err) {
		p.queue = append([]events.Message{m}, p.queue...)
		return false
	}
	return true
}

// start brings the service up and tells the process, or why there is none.
func (x *Executor) start(ctx context.Context, p *process, m events.Message) {
	name, t := x.cfg.Prefix+p.actor, x.cfg.Pools[p.pool]
	x.work(ctx, func(ctx context.Context) result {
		life, err := x.bringUp(ctx, name, t.service(p.actor))
		return result{err: err, apply: func() {
			if !x.done(p, m, err) {
				return
			}
			waits, blocked := errors.AsType[*heldBack](err)
			switch {
			case blocked:
				x.tellBlocked(p, waits, events.CausedBy(m))
				x.poll(ctx, p)
			case err != nil:
				x.publish(events.ProcessStartFailed{Pool: p.pool, Actor: p.actor, Reason: oneLine(err)}, events.CausedBy(m))
				x.poll(ctx, p) // it may be that zinit goes on trying
			case life == p.life && !p.burying:
				// It ran already; who asked may not know that life.
				x.publish(events.ProcessStarted{Pool: p.pool, Actor: p.actor, Incarnation: life}, events.CausedBy(m))
				if p.ready {
					x.tellReady(p)
				}
			default:
				x.seen(ctx, p, life, events.CausedBy(m))
			}
			x.next(ctx, p)
		}}
	})
}

// stop ends the service and removes it. The exit tells itself, when it is seen.
func (x *Executor) stop(ctx context.Context, p *process, m events.Message) {
	name, last, had, life := x.cfg.Prefix+p.actor, make(chan Status, 1), p.lives(), p.life
	p.last = last
	x.work(ctx, func(ctx context.Context) result {
		err := dropped(ctx, x.cfg.Client, name, life, last)
		return result{err: err, apply: func() {
			if !x.done(p, m, err) {
				return
			}
			x.stopped(p, m, had, err)
			x.next(ctx, p)
		}}
	})
}

// stopped tells what came of a stop. had says that there was a life when it
// began: then the exit tells itself, or has.
func (x *Executor) stopped(p *process, m events.Message, had bool, err error) {
	switch {
	case err != nil:
		x.notDone(m, p, "stop", err)
	case !had && !p.lives():
		x.publish(events.ProcessObserved{Pool: p.pool, Actor: p.actor, State: absent}, events.CausedBy(m))
	}
}

// notDone rejects an order that zinit refused.
func (x *Executor) notDone(m events.Message, p *process, verb string, err error) {
	x.reject(m, &events.Refusal{
		Status: 409, Code: "zinit_refused", Actor: p.actor, Pool: p.pool,
		Reason: fmt.Sprintf("%s %s: %s", verb, p.actor, oneLine(err)),
	})
}

// restart ends the process and leaves the target up, so that zinit itself starts
// the next. A service that is not there, or was stopped, is started; so is one whose
// definition has changed since zinit was given it, with the new one. One whose program is
// gone is left to work: no other could take its place.
func (x *Executor) restart(ctx context.Context, p *process, m events.Message) {
	name, life, last := x.cfg.Prefix+p.actor, p.life, make(chan Status, 1)
	want := x.cfg.Pools[p.pool].service(p.actor)
	p.last = last
	x.work(ctx, func(ctx context.Context) result {
		st, err := x.cfg.Client.Status(ctx, name)
		down := errors.Is(err, ServiceNotFound) || err == nil && st.Target == Down
		if err == nil && !down {
			if bad := runnable(want.Exec[0]); bad != nil {
				return result{apply: func() { x.notRestarted(ctx, p, m, life, local{bad}) }}
			}
			switch same, unknown := x.cfg.Client.isDefined(ctx, name, want); {
			case unknown != nil:
				err = unknown
			case same:
				err = x.endOne(ctx, name, life, want.Grace())
			default:
				err = halted(ctx, x.cfg.Client, name, last)
				down = err == nil
			}
		}
		return result{err: err, apply: func() {
			if down {
				x.start(ctx, p, m) // still this order: nothing else runs meanwhile
				return
			}
			if !x.done(p, m, err) {
				return
			}
			switch {
			case err != nil:
				x.notDone(m, p, "restart", err)
			case !p.lives():
				x.poll(ctx, p)
			}
			x.next(ctx, p)
		}}
	})
}

// notRestarted ends a restart that has touched nothing, because nothing could follow the
// life that there is: that one goes on.
func (x *Executor) notRestarted(ctx context.Context, p *process, m events.Message, life events.Incarnation, err error) {
	x.done(p, m, err)
	if p.life == life {
		p.byUs = false
	}
	if !p.lives() {
		x.poll(ctx, p)
	}
	x.publish(events.ProcessStartFailed{Pool: p.pool, Actor: p.actor, Reason: oneLine(err)}, events.CausedBy(m))
	x.next(ctx, p)
}

// endOne ends one life of a service: TERM, CONT so that a stopped process sees
// it, and KILL when the grace is over.
func (x *Executor) endOne(ctx context.Context, name string, life events.Incarnation, grace time.Duration) error {
	for _, signal := range []string{"SIGTERM", "SIGCONT"} {
		if err := x.cfg.Client.Kill(ctx, name, signal); err != nil {
			return ignoring(err, ServiceIsDown) // between two lives: the next one comes
		}
	}
	if life.IsZero() {
		return nil // not known; its end will show
	}
	late, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if waitExit(late, life) == nil || ctx.Err() != nil {
		return nil
	}
	return ignoring(x.cfg.Client.Kill(ctx, name, "SIGKILL"), ServiceIsDown)
}

// ignoring is err, or nil if it has this code.
func ignoring(err error, code Code) error {
	if errors.Is(err, code) {
		return nil
	}
	return err
}
