package zinit

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	// ending counts the orders under way that end whatever life zinit has of it.
	ending int
	// wanted: zinit is to keep it up.
	wanted bool
	// burying: life has ended and its group is being cleared.
	burying bool
	// last receives what zinit said of this life at its end, before it was told
	// to forget it; nil when no order does that.
	last <-chan Status
	// next is a life that showed up before the last one was buried.
	next      events.Incarnation
	nextReady bool
	// busy: an order runs; queue holds those behind it.
	busy  bool
	queue []events.Message
	// blocked is what was told of a start that zinit holds back; "" for none.
	blocked string
	// failed: that no process comes of its start was told.
	failed bool
	// polling: a worker waits for zinit to show the next life.
	polling bool
	// touched is when an order last changed something (Executor.clock): a look
	// that began before that may have seen the service as it was.
	touched uint64
}

// lives reports whether there is a life whose exit has not been told.
func (p *process) lives() bool { return !p.life.IsZero() }

// absent is the state of a service that zinit does not know.
const absent = "absent"

// touch notes that an order changes something of the actor.
func (x *Executor) touch(p *process) {
	x.clock++
	p.touched = x.clock
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
	p.life, p.ready, p.byUs, p.last, p.blocked, p.failed = life, false, p.ending > 0, nil, "", false
	x.publish(events.ProcessStarted{Pool: p.pool, Actor: p.actor, Incarnation: life}, cause...)
	x.watch(ctx, p, life)
}

func (x *Executor) tellReady(p *process) {
	p.ready = true
	x.publish(events.ProcessReady{Pool: p.pool, Actor: p.actor, Incarnation: p.life})
}

// tellFailed tells that no process comes of a start.
func (x *Executor) tellFailed(p *process, err error, cause ...events.Option) {
	p.failed = true
	_, gone := errors.AsType[missing](err)
	x.publish(events.ProcessStartFailed{Pool: p.pool, Actor: p.actor, Reason: oneLine(err), Missing: gone}, cause...)
}

// seen is a life that zinit or a hello showed.
func (x *Executor) seen(ctx context.Context, p *process, life events.Incarnation, cause ...events.Option) {
	switch {
	case life == p.life, life.IsZero():
	case life == p.next:
		x.onlyOne(ctx, p, life) // zinit may not have said so at the first time
	case p.life.IsZero():
		x.live(ctx, p, life, cause...)
	default:
		p.next, p.nextReady = life, false // told when the one before is buried
		x.onlyOne(ctx, p, life)
	}
}

// onlyOne ends the first of two processes of an actor, if it lives and the second is
// the one that zinit has: one that was killed and adopts nothing starts second copies.
// The first is out of zinit's hand, and in the end is told as any other.
func (x *Executor) onlyOne(ctx context.Context, p *process, second events.Incarnation) {
	first, name := p.life, x.cfg.Prefix+p.actor
	x.work(ctx, func(ctx context.Context) result {
		st, err := x.cfg.Client.Status(ctx, name)
		return result{err: err, apply: func() {
			if p.life != first || p.burying || err != nil || lifeOf(st) != second || !first.Alive() {
				return
			}
			x.log.Warn("zinit runs a second process of an actor: the first is ended", "actor", p.actor, "first", first.String(), "second", second.String())
			p.byUs = true
			x.work(ctx, func(ctx context.Context) result {
				killGroup(ctx, first.PID, first)
				return result{apply: func() {}} // its watch sees the end
			})
		}}
	})
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
		gone := waitExit(ctx, life) == nil
		return result{apply: func() {
			if gone && p.life == life && !p.burying {
				x.bury(ctx, p)
			}
		}}
	})
}

// bury clears what a dead actor left and only then tells its exit: until then
// something of its last attempt may still run.
func (x *Executor) bury(ctx context.Context, p *process) {
	p.burying = true
	// An order that comes from now on did not cause this.
	life, name, byUs, last, seen := p.life, x.cfg.Prefix+p.actor, p.byUs, p.last, time.Now()
	x.work(ctx, func(ctx context.Context) result {
		clear := killGroup(ctx, life.PID, life)
		exit := events.ProcessExited{Pool: p.pool, Actor: p.actor, Incarnation: life, ByUs: byUs}
		exit.ExitCode, exit.Signal, exit.OutOfMemory = x.cause(ctx, name, life, last) // first: it is not kept for long
		var scripts events.ScriptGroups
		ask, cancel := context.WithTimeout(ctx, askGroup)
		err := x.bus.Request(ask, events.AskScriptGroups{Node: x.cfg.Node, Actor: p.actor, Incarnation: life}, &scripts)
		cancel()
		if err == nil {
			clear = killGroups(ctx, scripts.Groups) && clear
		}
		exit.Ago = events.SecondsOf(time.Since(seen))
		return result{apply: func() { x.buried(ctx, p, exit, clear) }}
	})
}

// cause reads how a life ended. zinit learns of an end a moment later than we
// do, so it is asked a few times; it may have begun the next life already, or
// have been told to forget this one.
func (x *Executor) cause(ctx context.Context, name string, life events.Incarnation, last <-chan Status) (code int, signal string, outOfMemory bool) {
	ctx, cancel := context.WithTimeout(ctx, causePatience)
	defer cancel()
	for wait := firstPoll; ; wait *= 2 {
		st, err := x.cfg.Client.Status(ctx, name)
		select {
		case st := <-last: // what has the name now may be another
			return st.exitOf(life.PID)
		default:
		}
		if err == nil && st.PID != life.PID {
			return st.exitOf(life.PID)
		}
		if errors.Is(err, ServiceNotFound) && last != nil {
			select {
			case st := <-last:
				return st.exitOf(life.PID)
			case <-ctx.Done():
			}
		}
		if err != nil {
			return -1, "", false
		}
		select {
		case <-ctx.Done():
			return -1, "", false
		case <-time.After(wait):
		}
	}
}

func (x *Executor) buryingSome() bool {
	for _, p := range x.actors {
		if p.burying {
			return true
		}
	}
	return false
}

func (x *Executor) buried(ctx context.Context, p *process, exit events.ProcessExited, clear bool) {
	if !clear {
		x.log.Error("processes survive SIGKILL", "actor", p.actor, "reason", fmt.Sprintf("group of %s", exit.Incarnation))
	}
	explained := x.oom.explains(exit) // asked in any case: a kill that zinit tells of explains no other end
	exit.OutOfMemory = exit.OutOfMemory || explained
	x.publish(exit)
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

// orphan ends scripts that outlived their actor while nobody watched.
func (x *Executor) orphan(ctx context.Context, e events.ActorOrphaned) {
	if p := x.actors[e.Actor]; len(e.Groups) == 0 || p != nil && p.life == e.Incarnation {
		return // its burial is on the way
	}
	x.work(ctx, func(ctx context.Context) result {
		clear := killGroups(ctx, e.Groups)
		return result{apply: func() {
			if clear {
				x.publish(events.ProcessExited{Pool: e.Pool, Actor: e.Actor, Incarnation: e.Incarnation, ExitCode: -1})
			}
		}}
	})
}
