package zinit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"herosup/events"
)

// order takes a start, stop or restart, which a kill that replaces is. Those of one
// actor run one after the other, in the order they came.
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

// next runs the actor's next order, if none runs and zinit is there. A kill that takes the service away has it to the
// end: it would hit what is started meanwhile, or take its file.
func (x *Executor) next(ctx context.Context, p *process) {
	if p.busy || p.ending > 0 || len(p.queue) == 0 || x.lost {
		return
	}
	m := p.queue[0]
	p.queue = p.queue[1:]
	if x.meansAnother(p, m) {
		x.next(ctx, p)
		return
	}
	p.busy, p.blocked, p.failed = true, "", false
	x.touch(p)
	switch e := m.Event.(type) {
	case events.StartProcess:
		p.wanted, p.byUs = true, false
		x.start(ctx, p, m)
	case events.StopProcess:
		p.wanted, p.byUs = false, true
		x.stop(ctx, p, m, e.Incarnation.IsZero())
	case events.RestartProcess, events.KillProcess:
		p.wanted, p.byUs = true, true
		x.restart(ctx, p, m)
	}
}

// meansAnother reports whether an order is about another life than the one that is there,
// which is told then: who asked may not know it. A stop that names none is about none.
func (x *Executor) meansAnother(p *process, m events.Message) bool {
	meant, none := events.Incarnation{}, false
	switch e := m.Event.(type) {
	case events.StopProcess:
		meant, none = e.Incarnation, e.Incarnation.IsZero()
	case events.RestartProcess:
		meant = e.Incarnation
	case events.KillProcess:
		meant = e.Incarnation
	}
	if meant.IsZero() && !none || !p.lives() || p.burying || p.life == meant {
		return false
	}
	x.tellLife(p, m)
	return true
}

// tellLife tells the life that is there as the answer to an order.
func (x *Executor) tellLife(p *process, m events.Message) {
	x.publish(events.ProcessStarted{Pool: p.pool, Actor: p.actor, Incarnation: p.life}, events.CausedBy(m))
	if p.ready {
		x.tellReady(p)
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
				x.tellFailed(p, err, events.CausedBy(m))
				x.poll(ctx, p) // it may be that zinit goes on trying
			case life == p.life && !p.burying:
				x.tellLife(p, m) // it ran already; who asked may not know that life
			default:
				x.seen(ctx, p, life, events.CausedBy(m))
			}
			x.next(ctx, p)
		}}
	})
}

// stop ends the service and removes it. The exit tells itself, when it is seen. With none
// it is to keep the next life from coming: one that zinit has started by now, and nobody
// here has seen, may hold a job and is told instead.
func (x *Executor) stop(ctx context.Context, p *process, m events.Message, none bool) {
	name, last, had, life := x.cfg.Prefix+p.actor, make(chan Status, 1), p.lives(), p.life
	p.last = last
	p.ending++
	x.work(ctx, func(ctx context.Context) result {
		next, err := events.Incarnation{}, error(nil)
		if none {
			next, err = x.present(ctx, name)
		}
		if err == nil && next.IsZero() {
			err = dropped(ctx, x.cfg.Client, name, life, last)
		}
		return result{err: err, apply: func() {
			p.ending--
			switch {
			case !x.done(p, m, err):
				return
			case next.IsZero():
				x.stopped(p, m, had, err)
			default:
				p.wanted, p.byUs, p.last = true, false, nil
				x.seen(ctx, p, next, events.CausedBy(m))
			}
			x.next(ctx, p)
		}}
	})
}

// present is the process that zinit has of a service; zero for none.
func (x *Executor) present(ctx context.Context, name string) (events.Incarnation, error) {
	st, err := x.cfg.Client.Status(ctx, name)
	return lifeOf(st), ignoring(err, ServiceNotFound)
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
// definition has changed since zinit was given it, with the new one. One whose new
// definition can not be run is left to work: no other could take its place.
func (x *Executor) restart(ctx context.Context, p *process, m events.Message) {
	life, last, begun := p.life, make(chan Status, 1), p.touched
	p.last = last
	x.work(ctx, func(ctx context.Context) result {
		touched, down, err := x.makeRoom(ctx, p.actor, p.pool, life, last, isKill(m))
		return result{err: err, apply: func() {
			if down && err == nil {
				x.start(ctx, p, m) // still this order: nothing else runs meanwhile
				return
			}
			alone := p.touched == begun // no kill came meanwhile
			if !x.done(p, m, err) {
				return
			}
			switch {
			case err != nil && !touched:
				x.notRestarted(ctx, p, m, life, alone, err)
			case err != nil:
				x.notDone(m, p, "restart", err)
			case !p.lives():
				x.poll(ctx, p)
			}
			x.next(ctx, p)
		}}
	})
}

// isKill: a restart that gives the process no time to end.
func isKill(m events.Message) bool {
	_, kill := m.Event.(events.KillProcess)
	return kill
}

// makeRoom ends what a restart replaces. down: zinit does not start the next by itself.
// While nothing is touched an error leaves all as it was.
func (x *Executor) makeRoom(ctx context.Context, actor, pool string, life events.Incarnation, last chan<- Status, kill bool) (touched, down bool, err error) {
	z, name, want := x.cfg.Client, x.cfg.Prefix+actor, x.cfg.Pools[pool].service(actor)
	st, err := z.Status(ctx, name)
	switch {
	case errors.Is(err, ServiceNotFound), err == nil && st.Target == Down:
		return false, true, nil
	case err != nil:
		return false, false, err
	}
	if err := replaceable(want); err != nil {
		return false, false, local{err}
	}
	same, err := z.isDefined(ctx, name, want)
	switch {
	case err != nil:
		return false, false, err
	case same && kill:
		return true, false, x.killOne(ctx, name, life)
	case same:
		return true, false, x.endOne(ctx, name, life, want.Grace())
	}
	if err := z.spares(ctx, name); err != nil {
		return false, false, err
	}
	if kill {
		return true, true, x.downAndKill(ctx, name, life, last)
	}
	return true, true, halted(ctx, z, name, last)
}

// replaceable says why nothing could take the place of what runs. A start does not ask for
// the folder: a service that it comes after may make it.
func replaceable(s Service) error {
	if s.Dir != "" {
		switch st, err := os.Stat(s.Dir); {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("its folder %s is not there", s.Dir)
		case err != nil:
			return fmt.Errorf("its folder: %w", err)
		case !st.IsDir():
			return fmt.Errorf("its folder %s is none", s.Dir)
		}
	}
	return Runnable(s.Exec[0])
}

// notRestarted tells of a restart that has touched nothing: the life that there is goes
// on, as if nobody had asked. If not alone, it ends by another order that came meanwhile.
func (x *Executor) notRestarted(ctx context.Context, p *process, m events.Message, life events.Incarnation, alone bool, err error) {
	e := events.ProcessStartFailed{Pool: p.pool, Actor: p.actor, Reason: oneLine(err)}
	if p.life == life {
		if alone {
			p.byUs, p.last = false, nil
		}
		if !p.burying {
			e.Kept = life
		}
	}
	if !p.lives() {
		x.poll(ctx, p)
	}
	x.publish(e, events.CausedBy(m))
}

// endOne ends one life of a service: TERM, CONT so that a stopped process sees
// it, and KILL when the grace is over.
func (x *Executor) endOne(ctx context.Context, name string, life events.Incarnation, grace time.Duration) error {
	if !life.IsZero() && !life.Alive() {
		return nil // it is over, and what zinit has is the next one
	}
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
	return x.killOne(ctx, name, life)
}

// ignoring is err, or nil if it has this code.
func ignoring(err error, code Code) error {
	if errors.Is(err, code) {
		return nil
	}
	return err
}
