package zinit

import (
	"context"
	"fmt"
	"herosup/events"
)

// process is what the executor knows of one actor. It belongs to the loop.
type process struct {
	actor, pool string
	// life is the process that was told; zero when there is none.
	life  events.Incarnation
	ready bool // its ProcessReady was told
	// byUs: we ordered this life's end.
	byUs bool
	// wanted: zinit is to keep it up.
	wanted bool
	// burying: life has ended and its group is being cleared.
	burying bool
	// next is a life that showed up before the last one was buried.
	next      events.Incarnation
	nextReady bool
	// busy: an order runs; queue holds those behind it.
	busy  bool
	queue []events.Message
	// polling: a worker waits for zinit to show the next life.
	polling bool
}

func (x *Executor) process(actor, pool string) *process {
	p := x.actors[actor]
	if p == nil {
		p = &process{actor: actor, pool: pool}
		x.actors[actor] = p
	}
	return p
}

// live takes a life for the actor's, tells it and watches it.
func (x *Executor) live(ctx context.Context, p *process, life events.Incarnation, cause ...events.Option) {
	p.life, p.ready, p.byUs = life, false, false
	x.publish(events.ProcessStarted{Pool: p.pool, Actor: p.actor, Incarnation: life}, cause...)
	x.watch(ctx, p, life)
}

func (x *Executor) tellReady(p *process) {
	p.ready = true
	x.publish(events.ProcessReady{Pool: p.pool, Actor: p.actor, Incarnation: p.life})
}

// seen is a life that zinit or a hello showed.
func (x *Executor) seen(ctx context.Context, p *process, life events.Incarnation) {
	switch {
	case life == p.life, life.IsZero():
	case p.life.IsZero():
		x.live(ctx, p, life)
	default:
		p.next, p.nextReady = life, false
	}
}

// hello: the process itself said that it is there and fit for work.
func (x *Executor) hello(ctx context.Context, e events.ActorRegistered) {
	if _, ours := x.cfg.Pools[e.Pool]; !ours || !e.Incarnation.Alive() {
		return // of another Herosup, or told late
	}
	p := x.process(e.Actor, e.Pool)
	x.seen(ctx, p, e.Incarnation)
	switch e.Incarnation {
	case p.life:
		if !p.ready && !p.burying {
			x.tellReady(p)
		}
	case p.next:
		p.nextReady = true
	}
}

// watch waits for the end of a life and begins its burial.
func (x *Executor) watch(ctx context.Context, p *process, life events.Incarnation) {
	x.work(ctx, func(ctx context.Context) result {
		err := waitExit(ctx, life)
		return result{apply: func() {
			if err != nil {
				if ctx.Err() == nil {
					x.log.Error("watch", "actor", p.actor, "err", err)
				}
				return
			}
			if p.life == life && !p.burying {
				x.bury(ctx, p)
			}
		}}
	})
}

// bury clears what a dead actor left and only then tells its exit: until then
// something of its last attempt may still run.
func (x *Executor) bury(ctx context.Context, p *process) {
	p.burying = true
	life, name := p.life, x.cfg.Prefix+p.actor
	x.work(ctx, func(ctx context.Context) result {
		clear := killGroup(ctx, life.PID, life)
		var g events.ScriptGroup
		ask, cancel := context.WithTimeout(ctx, askGroup)
		err := x.bus.Request(ask, events.AskScriptGroup{Node: x.cfg.Node, Actor: p.actor, Incarnation: life}, &g)
		cancel()
		if err == nil && g.PGID > 1 {
			clear = killGroup(ctx, g.PGID, g.Leader) && clear
		}
		code, signal := x.cause(ctx, name, life)
		return result{apply: func() { x.buried(ctx, p, life, code, signal, clear) }}
	})
}

// cause reads how a life ended, if zinit has not already begun the next.
func (x *Executor) cause(ctx context.Context, name string, life events.Incarnation) (code int, signal string) {
	st, err := x.cfg.Client.Status(ctx, name)
	if err != nil {
		return -1, ""
	}
	return st.State.exitOf(life.PID)
}

func (x *Executor) buried(ctx context.Context, p *process, life events.Incarnation, code int, signal string, clear bool) {
	if !clear {
		x.log.Error("processes survive SIGKILL", "actor", p.actor, "reason", fmt.Sprintf("group of %s", life))
	}
	x.publish(events.ProcessExited{Pool: p.pool, Actor: p.actor, Incarnation: life, ExitCode: code, Signal: signal, ByUs: p.byUs})
	p.life, p.ready, p.burying, p.byUs = events.Incarnation{}, false, false, false
	next, ready := p.next, p.nextReady
	p.next, p.nextReady = events.Incarnation{}, false
	switch {
	case next.Alive():
		x.live(ctx, p, next)
		if ready {
			x.tellReady(p)
		}
	case p.wanted:
		x.poll(ctx, p)
	}
}

// orphan ends a script that outlived its actor while nobody watched.
func (x *Executor) orphan(ctx context.Context, e events.ActorOrphaned) {
	if p := x.actors[e.Actor]; e.Group.PGID < 2 || p != nil && p.life == e.Incarnation {
		return // its burial is on the way
	}
	x.work(ctx, func(ctx context.Context) result {
		clear := killGroup(ctx, e.Group.PGID, e.Group.Leader)
		return result{apply: func() {
			if clear {
				x.publish(events.ProcessExited{Pool: e.Pool, Actor: e.Actor, Incarnation: e.Incarnation, ExitCode: -1})
			}
		}}
	})
}
