package zinit

import (
	"context"
	"errors"
	"fmt"
	"herosup/events"
	"reflect"
	"syscall"
	"time"
)

// errGoneAtOnce says that a service ran and ended before it could be looked at.
var errGoneAtOnce = errors.New("it ended at once")

// order takes a start, stop or restart. Those of one actor run one after the
// other, in the order they came.
func (x *Executor) order(ctx context.Context, m events.Message, actor, pool string) {
	if _, ok := x.cfg.Pools[pool]; !ok || poolOf(actor) != pool {
		x.refuse(m, actor, "unknown_pool", fmt.Sprintf("actor %s: pool %q is not configured here", actor, pool))
		return
	}
	p := x.process(actor, pool)
	if len(p.queue) >= maxOrders {
		x.refuse(m, actor, "busy", fmt.Sprintf("actor %s: %d orders wait already", actor, maxOrders))
		return
	}
	p.queue = append(p.queue, m)
	x.next(ctx, p)
}

func (x *Executor) refuse(m events.Message, actor, code, reason string) {
	if err := x.bus.Reject(m, &events.Refusal{Status: 409, Code: code, Reason: reason, Actor: actor}); err != nil {
		x.log.Error("reject", "actor", actor, "err", err)
	}
}

// next runs the actor's next order, if none runs and zinit is there.
func (x *Executor) next(ctx context.Context, p *process) {
	if p.busy || len(p.queue) == 0 || x.lost {
		return
	}
	m := p.queue[0]
	p.queue = p.queue[1:]
	p.busy = true
	done := func(err error) bool {
		p.busy = false
		if away(err) { // first in the queue again; ZinitBack runs it
			p.queue = append([]events.Message{m}, p.queue...)
			return false
		}
		return true
	}
	switch e := m.Event.(type) {
	case events.StartProcess:
		p.wanted, p.byUs = true, false
		x.start(ctx, p, m, done)
	case events.StopProcess:
		if x.another(p, m, e.Incarnation) {
			p.busy = false
			x.next(ctx, p)
			return
		}
		p.wanted, p.byUs = false, true
		x.stop(ctx, p, m, done)
	case events.RestartProcess:
		if x.another(p, m, e.Incarnation) {
			p.busy = false
			x.next(ctx, p)
			return
		}
		p.wanted, p.byUs = true, true
		x.restart(ctx, p, e, done)
	}
}

// another tells that a life runs which the order does not mean: whoever gave it
// did not know of that one, and decides anew when it is told.
func (x *Executor) another(p *process, m events.Message, meant events.Incarnation) bool {
	if p.life.IsZero() || p.life == meant || p.burying {
		return false
	}
	x.tellLife(p, events.CausedBy(m))
	return true
}

// tellLife tells the present life again.
func (x *Executor) tellLife(p *process, cause events.Option) {
	x.publish(events.ProcessStarted{Pool: p.pool, Actor: p.actor, Incarnation: p.life}, cause)
	if p.ready {
		x.tellReady(p)
	}
}

func (x *Executor) start(ctx context.Context, p *process, m events.Message, done func(error) bool) {
	name, t := x.cfg.Prefix+p.actor, x.cfg.Pools[p.pool]
	x.work(ctx, func(ctx context.Context) result {
		life, err := x.bringUp(ctx, name, t.service(p.actor), t.Exec[0])
		return result{err: err, apply: func() {
			switch {
			case !done(err):
				return
			case err != nil:
				x.publish(events.ProcessStartFailed{Pool: p.pool, Actor: p.actor, Reason: err.Error()}, events.CausedBy(m))
			case life == p.life && !p.burying:
				// It ran already; who asked may not know that life.
				x.tellLife(p, events.CausedBy(m))
			default:
				x.seen(ctx, p, life)
			}
			x.next(ctx, p)
		}}
	})
}

// bringUp writes the service's file if it is another, lets zinit take it up and
// returns the process. An already running one is kept.
func (x *Executor) bringUp(ctx context.Context, name string, want Service, program string) (events.Incarnation, error) {
	if err := runnable(program); err != nil {
		return events.Incarnation{}, refusedStart{err}
	}
	z := x.cfg.Client
	st, err := z.Status(ctx, name)
	switch {
	case errors.Is(err, ServiceNotFound):
	case err != nil:
		return events.Incarnation{}, err
	case st.PID != 0 && st.Target == Up:
		return x.shown(ctx, name)
	default:
		// Files are read when a service is taken up, so an old one is dropped.
		if err := drop(ctx, z, name); err != nil {
			return events.Incarnation{}, err
		}
	}
	if err := z.Create(ctx, name, want); errors.Is(err, ServiceAlreadyExists) {
		if have, getErr := z.Get(ctx, name); getErr != nil || !reflect.DeepEqual(have, want) {
			if err := z.Delete(ctx, name); err != nil {
				return events.Incarnation{}, err
			}
			if err := z.Create(ctx, name, want); err != nil {
				return events.Incarnation{}, err
			}
		}
	} else if err != nil {
		return events.Incarnation{}, err
	}
	if err := z.Monitor(ctx, name); err != nil && !errors.Is(err, ServiceAlreadyMonitored) {
		return events.Incarnation{}, err
	}
	return x.shown(ctx, name)
}

// refusedStart is a fault of ours, not of zinit's absence.
type refusedStart struct{ err error }

func (r refusedStart) Error() string { return r.err.Error() }

func (r refusedStart) Is(target error) bool { return target == errGoneAtOnce }

// shown waits until zinit shows the service's process.
func (x *Executor) shown(ctx context.Context, name string) (events.Incarnation, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for wait := firstPoll; ; wait = min(2*wait, x.cfg.PollEvery) {
		st, err := x.cfg.Client.Status(ctx, name)
		if err != nil {
			return events.Incarnation{}, err
		}
		if st.PID != 0 {
			if life, err := events.IncarnationOf(st.PID); err == nil {
				return life, nil
			}
		}
		if st.State.Ended() || st.State.Kind == Failure || st.State.Kind == TestFailure {
			return events.Incarnation{}, fmt.Errorf("%w: %s (see its output with logs)", errGoneAtOnce, st.State)
		}
		select {
		case <-ctx.Done():
			return events.Incarnation{}, fmt.Errorf("%w: no process after %s, zinit says %s", errGoneAtOnce, startPatience, st.State)
		case <-time.After(wait):
		}
	}
}

// drop ends a service and removes it, also when parts of it are gone already.
func drop(ctx context.Context, z *Client, name string) error {
	for _, step := range []func(context.Context, string) error{z.Stop, z.Forget, z.Delete} {
		if err := step(ctx, name); err != nil && !errors.Is(err, ServiceNotFound) {
			return err
		}
	}
	return nil
}

func (x *Executor) stop(ctx context.Context, p *process, m events.Message, done func(error) bool) {
	name := x.cfg.Prefix + p.actor
	x.work(ctx, func(ctx context.Context) result {
		err := drop(ctx, x.cfg.Client, name)
		return result{err: err, apply: func() {
			if !done(err) {
				return
			}
			switch {
			case err != nil:
				x.refuse(m, p.actor, "not_stopped", fmt.Sprintf("stop %s: %v", p.actor, err))
			case p.life.IsZero() && !p.burying:
				// There was nothing to stop; an exit tells itself.
				x.publish(events.ProcessObserved{Pool: p.pool, Actor: p.actor, State: "absent"}, events.CausedBy(m))
			}
			x.next(ctx, p)
		}}
	})
}

// restart ends the process and leaves the target up, so that zinit itself starts
// the next.
func (x *Executor) restart(ctx context.Context, p *process, _ events.RestartProcess, done func(error) bool) {
	name, life := x.cfg.Prefix+p.actor, p.life
	grace := x.cfg.Pools[p.pool].service(p.actor).Grace()
	x.work(ctx, func(ctx context.Context) result {
		err := x.cfg.Client.Kill(ctx, name, "SIGTERM")
		if err == nil && !life.IsZero() {
			late, cancel := context.WithTimeout(ctx, grace)
			if waitExit(late, life) != nil && ctx.Err() == nil {
				err = x.cfg.Client.Kill(ctx, name, "SIGKILL")
			}
			cancel()
		}
		if errors.Is(err, ServiceIsDown) {
			err = nil // it is between two lives: the next one comes
		}
		return result{err: err, apply: func() {
			if done(err) && p.life.IsZero() && !p.burying {
				x.poll(ctx, p)
			}
			x.next(ctx, p)
		}}
	})
}

// kill does not wait for an order that runs: it is what ends one that hangs.
func (x *Executor) kill(ctx context.Context, m events.Message, e events.KillProcess) {
	p := x.process(e.Actor, e.Pool)
	if x.another(p, m, e.Incarnation) {
		return
	}
	p.byUs, p.wanted = true, !e.Down
	name, life := x.cfg.Prefix+e.Actor, p.life
	x.work(ctx, func(ctx context.Context) result {
		var err error
		if e.Down {
			err = x.downAndKill(ctx, name, life)
		} else if err = x.cfg.Client.Kill(ctx, name, "SIGKILL"); away(err) && life.Alive() {
			// zinit is away; the process need not live on for that.
			_ = syscall.Kill(-life.PID, syscall.SIGKILL)
		}
		return result{err: err, apply: func() {
			if p.life.IsZero() && !p.burying && !away(err) {
				if e.Down {
					x.publish(events.ProcessObserved{Pool: p.pool, Actor: p.actor, State: "absent"}, events.CausedBy(m))
				} else {
					x.poll(ctx, p)
				}
			}
		}}
	})
}

// downAndKill sets the target down first, or zinit would start the service again;
// then it does not wait for the grace that a stop gives.
func (x *Executor) downAndKill(ctx context.Context, name string, life events.Incarnation) error {
	stopped := make(chan error, 1)
	x.workers.Go(func() { stopped <- drop(ctx, x.cfg.Client, name) })
	for wait := firstPoll; ; wait = min(2*wait, x.cfg.PollEvery) {
		st, err := x.cfg.Client.Status(ctx, name)
		if err != nil || st.Target == Down {
			break
		}
		select {
		case err := <-stopped:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	if life.Alive() {
		_ = syscall.Kill(-life.PID, syscall.SIGKILL) // gone is what we want
	}
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
