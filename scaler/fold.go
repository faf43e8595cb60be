package scaler

import (
	"strings"
	"time"

	"herosup/events"
)

// Fold takes one fact into the picture and returns the names of the pools whose
// decision it may change, in order. The slice must not be changed.
func (v *View) Fold(e events.Event, at time.Time) []string {
	switch e := e.(type) {
	case events.ActorStateChanged:
		return v.moved(e, at)
	case events.JobQueued:
		if !e.DelayedUntil.IsZero() && at.Before(e.DelayedUntil) {
			return nil // it is measured, and queued again when it is due
		}
		return v.ready(e.Type, attemptOf(e.Job, 1), e.Ready, false, at)
	case events.JobStarted:
		return v.started(e, at)
	case events.JobEnded:
		return v.freed(e.Type, e.Actor, e.Job, at)
	case events.JobRetried:
		pools := v.freed(e.Type, e.Actor, e.Job, at)
		if at.Before(e.Next) {
			return pools // as a delayed one: it is measured when it is due
		}
		return v.ready(e.Type, attemptOf(e.Job, e.Attempt+1), e.Ready, e.Suspected, at)
	case events.JobDead:
		return v.dead(e, at)
	case events.JobCancelled:
		if q := v.queue(e.Type); q != nil && q.ready > 0 {
			q.ready--
		}
		return v.byType[e.Type]
	case events.ActorRegistered:
		return v.registered(e, at)
	case events.QueueMeasured:
		if q := v.queue(e.Type); q != nil {
			q.measure(e, at, v.trusted(q, e.Type, at))
		}
		return v.byType[e.Type]
	case events.ProcessBlocked:
		return v.waits(e.Actor, e.Reason, at)
	case events.ProcessStarted:
		return v.waits(e.Actor, "", at)
	case events.ProcessStartFailed:
		return v.waits(e.Actor, "", at)
	case events.RedisLost:
		v.redisLost = true
		return v.names
	case events.RedisBack, events.RedisRefilled, events.FactsLost:
		// What is known is from before; the next measurement settles it.
		if _, back := e.(events.RedisBack); back {
			v.redisLost = false
		}
		v.distrust()
		return v.names
	case events.PoolBlocked:
		return v.block(e.Pool, e.Reason)
	case events.PoolUnblocked:
		return v.block(e.Pool, "")
	case events.CommandRejected:
		if e.Command == "actor-start" || e.Command == "actor-stop" {
			return v.refuse(refusedActor(e), at)
		}
	}
	return nil
}

// block notes that no actor can be started, and why, or ("") that one can. Pools of the same type share
// jobs, so their decisions may change too.
func (v *View) block(name, why string) []string {
	p := v.pools[name]
	if p == nil {
		return nil
	}
	p.blocked = why
	return v.beside(p)
}

// Missed says that facts were lost: nothing may shrink before it is measured
// again, and running jobs are no longer known by name.
func (v *View) Missed() []string {
	v.distrust()
	for _, p := range v.pools {
		for _, s := range p.slots {
			s.forgetNames()
		}
	}
	return v.names
}

func (v *View) distrust() {
	for _, q := range v.queues {
		q.measuredAt, q.raised = time.Time{}, false
	}
}

// trusted uses the shortest patience of the type's pools.
func (v *View) trusted(q *queue, script string, at time.Time) bool {
	patience := DefaultPolicy().StaleAfter
	for _, name := range v.byType[script] {
		patience = min(patience, v.pools[name].Policy.StaleAfter)
	}
	return !v.redisLost && q.trusted(at, patience)
}

func (v *View) moved(e events.ActorStateChanged, at time.Time) []string {
	s, p := v.slot(e.Actor)
	if s == nil || p.Name != e.Pool {
		return nil
	}
	s.move(State(e.From), State(e.To), e.Incarnation, at)
	v.facts++
	s.heard = v.facts
	return v.beside(p)
}

// waits notes what an actor's start waits for, "" for nothing.
func (v *View) waits(actor, why string, at time.Time) []string {
	s, p := v.slot(actor)
	if s == nil || s.blocked == why {
		return nil
	}
	s.block(why, at)
	v.facts++
	s.heard = v.facts
	return v.beside(p)
}

func (v *View) ready(script, attempt string, depth int, alone bool, at time.Time) []string {
	if q := v.queue(script); q != nil {
		q.add(attempt, depth, alone, at, v.trusted(q, script, at))
	}
	return v.byType[script]
}

func (v *View) started(e events.JobStarted, at time.Time) []string {
	s, _ := v.slot(e.Actor)
	if s != nil && e.Alone {
		s.alone = e.Job
	}
	if s != nil && s.has(e.Job) {
		return nil // told anew for those who came late
	}
	if q := v.queue(e.Type); q != nil {
		q.take(attemptOf(e.Job, e.Attempt), at)
		if e.Alone {
			q.alone = max(0, q.alone-1)
		}
	}
	if s != nil {
		s.work(e.Job, e.Incarnation)
	}
	return v.byType[e.Type]
}

func (v *View) freed(script, actor, job string, at time.Time) []string {
	if s, _ := v.slot(actor); s != nil {
		s.end(job, at)
	}
	return v.byType[script]
}

// registered: told anew, what it holds is all it holds. The ends of the others were lost.
func (v *View) registered(e events.ActorRegistered, at time.Time) []string {
	s, p := v.slot(e.Actor)
	if s == nil || !e.Anew {
		return nil
	}
	s.holdsOnly(e.Holds, e.Incarnation, at)
	return v.beside(p)
}

// dead: a job that is given up was in an actor's hands (its fact names none), or
// waited; a waiting one leaves the count with the next measurement.
func (v *View) dead(e events.JobDead, at time.Time) []string {
	for _, name := range v.byType[e.Type] {
		for _, s := range v.pools[name].slots {
			if s.has(e.Job) {
				s.end(e.Job, at)
			}
		}
	}
	return v.byType[e.Type]
}

// refusedActor is whom a refusal is about; the subject ends in the actor's id
// where the refusal does not name it.
func refusedActor(e events.CommandRejected) string {
	if e.Actor != "" {
		return e.Actor
	}
	return e.On[strings.LastIndexByte(e.On, '.')+1:]
}
