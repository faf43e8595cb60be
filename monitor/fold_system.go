package monitor

import (
	"fmt"
	"strings"
	"time"

	"herosup/events"
)

func (v *View) foldSystem(e events.Event, at time.Time) {
	s := &v.status
	switch e := e.(type) {
	case events.SystemStarted:
		s.PID, s.Version, s.State, s.Started = e.PID, e.Version, e.State, utc(at)
		for _, l := range []*Link{&s.Redis, &s.Zinit, &s.Log} { // all parts have found them there
			l.works(at)
		}
		if len(e.Moved) > 0 {
			v.warn(Warning{At: at, Event: "system-started", Text: fmt.Sprintf("the zinit at %s had %s: stopped there, to be started by the one in use now", e.From, strings.Join(e.Moved, ", "))})
		}
	case events.SystemStopping:
		s.Stopping = true
	case events.RedisLost:
		s.Redis = Link{State: LinkLost, Since: utc(at), Reason: e.Reason}
		v.suspendPings()
		v.warn(Warning{At: at, Event: "redis-lost", Text: "redis is lost: " + e.Reason})
	case events.RedisBack:
		s.Redis = Link{State: LinkOK, Since: utc(at)}
		v.resumePings(at)
	case events.RedisChecked:
		s.RedisFindings = e.Findings
		v.status.Redis.works(at)
		for _, f := range e.Findings {
			v.warn(Warning{At: at, Event: "redis-" + f.Code, Text: f.Reason})
		}
	case events.RedisRefilled:
		v.warn(Warning{At: at, Event: "redis-refilled", Text: fmt.Sprintf("redis was filled from the log again, with %d jobs: %s", e.Jobs, e.Reason)})
	case events.ZinitLost:
		s.Zinit = Link{State: LinkLost, Since: utc(at), Reason: e.Reason}
		v.warn(Warning{At: at, Event: "zinit-lost", Text: "zinit is lost: " + e.Reason})
	case events.ZinitBack:
		s.Zinit = Link{State: LinkOK, Since: utc(at)}
	case events.LogLost:
		if s.Log.State == LinkLost { // as long as it lasts
			s.Log.Reason = e.Reason
			return
		}
		s.Log = Link{State: LinkLost, Since: utc(at), Reason: e.Reason}
		v.warn(Warning{At: at, Event: "log-lost", Text: "the log of jobs takes nothing: " + e.Reason})
	case events.LogBack:
		s.Log = Link{State: LinkOK, Since: utc(at)}
	case events.FactsLost:
		v.warn(Warning{At: at, Event: "facts-lost", Text: "facts of actors were lost: " + e.Reason})
	case events.CommandRejected:
		v.rejected(e, at)
	}
}

func (v *View) rejected(e events.CommandRejected, at time.Time) {
	v.status.Rejected++
	v.warn(Warning{At: at, Event: "rejected", Pool: e.Pool, Actor: e.Actor, Job: e.Job, Text: fmt.Sprintf("%s was refused: %s", e.Command, e.Reason)})
	if a := v.actors[e.Actor]; a != nil && e.Command == "actor-ping" {
		a.pings.refused(at, a.health)
		v.look(a)
	}
}

// works ends the time in which nothing was heard. What was told to be lost is back only when that is told.
func (l *Link) works(at time.Time) {
	if l.State == LinkUnknown {
		*l = Link{State: LinkOK, Since: utc(at)}
	}
}
