package monitor

import (
	"time"

	"herosup/events"
)

// The keeper's states that are told apart here.
const (
	starting    = "starting"
	running     = "running"
	idle        = "idle"
	pinging     = "pinging"
	failed      = "failed"
	restarting  = "restarting"
	stopped     = "stopped"
	quarantined = "quarantined"
)

// actor is one actor: what is shown, and what care needs to know.
type actor struct {
	Actor
	health   Health
	stranger bool // of no configured slot
	hand     hand
	pings    pings
}

func (a *actor) moved(e events.ActorStateChanged, at time.Time) {
	if !e.Incarnation.IsZero() {
		a.lives(e.Incarnation)
	}
	if a.State == e.To && e.From == "" {
		return // told anew for those who came late
	}
	if e.To == starting && (e.From == failed || e.From == restarting) {
		a.Restarts++
	}
	a.State, a.Since, a.Reason = e.To, utc(at), e.Reason
	if e.To != starting && e.To != restarting {
		a.Blocked = ""
	}
	switch e.To {
	case idle: // it is ready, its job has ended, or it has answered
		a.alive(at)
	case pinging:
		a.pings.out(at)
	default:
		a.pings, a.PingsLost = pings{}, 0
	}
	switch e.To {
	case failed, stopped, quarantined:
		a.drop(func(j job) bool { return !e.Incarnation.IsZero() && e.Incarnation != j.incarnation })
		a.dies(e.Incarnation)
	}
}

// alive notes a sign of life.
func (a *actor) alive(at time.Time) { a.pings, a.PingsLost = pings{last: at}, 0 }

// lives notes the process that runs for it. A new one owes nothing for the old;
// a late word about the old one does not bring it back.
func (a *actor) lives(i events.Incarnation) {
	if a.Incarnation == i || i.Boot == a.Incarnation.Boot && i.Start < a.Incarnation.Start {
		return
	}
	a.drop(func(j job) bool { return j.incarnation == i })
	a.PID, a.Incarnation, a.pings, a.PingsLost, a.Blocked, a.NotRestarted = i.PID, i, pings{}, 0, "", ""
}

// dies notes that the process is gone; the zero value means whichever it was.
func (a *actor) dies(i events.Incarnation) {
	if i.IsZero() || i == a.Incarnation {
		a.PID, a.Incarnation, a.NotRestarted = 0, events.Incarnation{}, ""
	}
}

func (a *actor) exited(e events.ProcessExited, at time.Time) {
	a.LastExit = &Exit{At: utc(at), ExitCode: e.ExitCode, Signal: e.Signal, OutOfMemory: e.OutOfMemory, ByUs: e.ByUs}
	a.drop(func(j job) bool { return j.incarnation != e.Incarnation })
	a.dies(e.Incarnation)
}
