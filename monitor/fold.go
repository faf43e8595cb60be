package monitor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"herosup/events"
)

// Fold takes one fact into the picture.
func (v *View) Fold(e events.Event, at time.Time) {
	switch e := e.(type) {
	case events.JobQueued, events.JobStarted, events.JobEnded, events.JobRetried, events.JobDead, events.JobCancelled,
		events.JobOverran, events.JobStale, events.QueueMeasured, events.QueueUnserved:
		v.foldJob(e, at)
	case events.ActorStateChanged, events.ActorRegistered, events.ActorPinged, events.ActorPonged, events.ActorOrphaned,
		events.ActorUnresponsive, events.ActorQuarantined, events.ProcessStarted, events.ProcessReady, events.ProcessExited,
		events.ProcessObserved, events.ProcessBlocked, events.ProcessStartFailed:
		v.foldActor(e, at)
	case events.PoolDecided, events.PoolScaled, events.PoolPaused, events.PoolResumed, events.PoolDegraded,
		events.PoolBlocked, events.PoolUnblocked:
		v.foldPool(e, at)
	default:
		v.foldSystem(e, at)
	}
}

func (v *View) foldActor(e events.Event, at time.Time) {
	name := ""
	switch e := e.(type) {
	case events.ActorStateChanged:
		name = e.Actor
		if a := v.actor(e.Pool, e.Actor); a != nil {
			a.moved(e, at)
		}
	case events.ActorRegistered:
		name = e.Actor
		v.alive(e.Pool, e.Actor, e.Incarnation)
		if a := v.actors[e.Actor]; a != nil {
			a.registered(e)
		}
	case events.ProcessStarted:
		name = e.Actor
		v.alive(e.Pool, e.Actor, e.Incarnation)
		v.status.Zinit.works(at)
	case events.ProcessReady:
		name = e.Actor
		v.alive(e.Pool, e.Actor, e.Incarnation)
	case events.ProcessObserved:
		name = e.Actor
		if !e.Incarnation.IsZero() {
			v.alive(e.Pool, e.Actor, e.Incarnation)
		} else if a := v.actors[e.Actor]; a != nil {
			a.dies(e.Incarnation)
		}
		v.status.Zinit.works(at)
	case events.ProcessExited:
		name = e.Actor
		if a := v.actors[e.Actor]; a != nil {
			a.exited(e, at)
		}
	case events.ProcessBlocked:
		name = e.Actor
		v.blocked(e, at)
	case events.ProcessStartFailed:
		v.startFailed(e, at)
	case events.ActorPinged:
		name = e.Actor
		if a := v.actors[e.Actor]; a != nil {
			a.pings.delivered(at)
		}
	case events.ActorPonged:
		name = e.Actor
		if a := v.actors[e.Actor]; a != nil && (a.Incarnation.IsZero() || a.Incarnation == e.Incarnation) {
			a.alive(at)
		}
	case events.ActorOrphaned:
		v.warn(Warning{At: at, Event: "actor-orphaned", Pool: e.Pool, Actor: e.Actor, Text: orphaned(e)})
	case events.ActorUnresponsive:
		v.warn(Warning{At: at, Event: "actor-unresponsive", Pool: e.Pool, Actor: e.Actor, Text: fmt.Sprintf("%s did not answer %d pings", e.Actor, e.Lost)})
	case events.ActorQuarantined:
		if a := v.actors[e.Actor]; a != nil {
			a.Reason = e.Reason
		}
		v.warn(Warning{At: at, Event: "actor-quarantined", Pool: e.Pool, Actor: e.Actor, Text: fmt.Sprintf("%s is quarantined: %s", e.Actor, e.Reason)})
	}
	if a := v.actors[name]; a != nil {
		v.forget(a)
		v.look(a)
	}
}

// blocked notes what a start waits for. It is told anew now and then; that is no
// news.
func (v *View) blocked(e events.ProcessBlocked, at time.Time) {
	a := v.actor(e.Pool, e.Actor)
	if a == nil || a.Blocked == e.Reason {
		return
	}
	a.Blocked = e.Reason
	v.warn(Warning{At: at, Event: "process-blocked", Pool: e.Pool, Actor: e.Actor, Text: fmt.Sprintf("%s is blocked: %s", e.Actor, e.Reason)})
}

// startFailed notes a start of which nothing came, or a restart that left all as it was.
func (v *View) startFailed(e events.ProcessStartFailed, at time.Time) {
	text := "did not start"
	if a := v.actors[e.Actor]; a != nil && !e.Kept.IsZero() && e.Kept == a.Incarnation {
		a.NotRestarted, text = e.Reason, "was not restarted and works on as it was"
	}
	v.warn(Warning{At: at, Event: "process-failed", Pool: e.Pool, Actor: e.Actor, Text: fmt.Sprintf("%s %s: %s", e.Actor, text, e.Reason)})
}

// alive notes a process. It makes the actor, since the keeper's word about it
// may come later.
func (v *View) alive(poolName, name string, i events.Incarnation) {
	if a := v.actor(poolName, name); a != nil {
		a.lives(i)
	}
}

func (v *View) foldPool(e events.Event, at time.Time) {
	switch e := e.(type) {
	case events.PoolDecided:
		if p := v.pools[e.Pool]; p != nil {
			p.shown.Want, p.shown.Limiting, p.shown.Reason = e.Want, e.Limiting, e.Reason
			if e.Limiting != "crash_loop" { // else PoolDegraded follows where it is news
				p.shown.Degraded = ""
			}
		}
	case events.PoolScaled:
		if p := v.pools[e.Pool]; p != nil {
			p.shown.Override = nil
			if e.Count >= 0 {
				p.shown.Override = &Override{Count: e.Count, Until: e.Until.UTC()}
			}
		}
	case events.PoolPaused:
		if p := v.pools[e.Pool]; p != nil {
			p.shown.Paused = true
		}
	case events.PoolResumed:
		if p := v.pools[e.Pool]; p != nil {
			p.shown.Paused = false
		}
	case events.PoolBlocked:
		v.block(e, at)
	case events.PoolUnblocked:
		if p := v.pools[e.Pool]; p != nil {
			p.blocked = ""
		}
	case events.PoolDegraded:
		if p := v.pools[e.Pool]; p != nil {
			p.shown.Degraded = e.Reason
		}
		v.warn(Warning{At: at, Event: "pool-degraded", Pool: e.Pool, Text: fmt.Sprintf("pool %s %s", e.Pool, e.Reason)})
	}
}

// block notes what a pool lacks. It is told anew now and then; that is no news.
func (v *View) block(e events.PoolBlocked, at time.Time) {
	p := v.pools[e.Pool]
	text := "can not start actors: " + e.Reason
	if e.Hint != "" {
		text += " (hint: " + e.Hint + ")"
	}
	if p == nil || p.blocked == text {
		return
	}
	p.blocked = text
	v.warn(Warning{At: at, Event: "pool-blocked", Pool: e.Pool, Text: fmt.Sprintf("pool %s %s", e.Pool, text)})
}

func orphaned(e events.ActorOrphaned) string {
	var groups []string
	for _, g := range e.Groups {
		groups = append(groups, strconv.Itoa(g.PGID))
	}
	return fmt.Sprintf("%s is gone, but process groups of its scripts are not: %s", e.Actor, strings.Join(groups, " "))
}
