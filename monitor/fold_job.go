package monitor

import (
	"fmt"
	"time"

	"herosup/events"
)

// The counts between two measurements follow the facts; they are for people, so
// a crossing of facts may show a wrong number for a moment.
func (v *View) foldJob(e events.Event, at time.Time) {
	switch e := e.(type) {
	case events.JobQueued:
		v.status.Redis.works(at)
		if q := v.queue(e.Type); q != nil && !at.Before(e.DelayedUntil) {
			q.Ready = e.Ready
		}
	case events.JobStarted:
		if q := v.queue(e.Type); q != nil {
			q.Ready, q.InFlight = max(0, q.Ready-1), q.InFlight+1
			q.settle()
		}
		if a := v.actors[e.Actor]; a != nil {
			a.begins(e, at)
			v.look(a)
		}
	case events.JobEnded:
		v.ended(e, at)
	case events.JobRetried:
		if q := v.queue(e.Type); q != nil {
			q.InFlight, q.Ready = max(0, q.InFlight-1), e.Ready
			q.Retried++
		}
		if a := v.actors[e.Actor]; a != nil && a.holds(e.Job, e.Incarnation) {
			if e.Failed {
				a.ends(e.Job, at)
				v.look(a)
			} else {
				a.drop(func(j job) bool { return j.id != e.Job })
			}
		}
	case events.JobDead:
		if q := v.queue(e.Type); q != nil {
			q.Dead++
			if e.Actor != "" {
				q.InFlight = max(0, q.InFlight-1)
			}
		}
		if a := v.actors[e.Actor]; a != nil && e.Failed { // else it died, which is another fact
			a.ends(e.Job, at)
			v.look(a)
		}
		v.warn(Warning{At: at, Event: "job-dead", Job: e.Job, Type: e.Type, Text: fmt.Sprintf("job %s is given up: %s", e.Job, e.Reason)})
	case events.JobCancelled:
		if q := v.queue(e.Type); q != nil {
			q.Ready = max(0, q.Ready-1)
			q.settle()
		}
	case events.JobStale:
		if q := v.queue(e.Type); q != nil {
			q.Stale += 1 + uint64(max(0, e.Untold))
		}
	case events.JobOverran:
		v.warn(Warning{At: at, Event: "job-overran", Job: e.Job, Type: e.Type, Actor: e.Actor, Text: fmt.Sprintf("job %s runs on %s for %s, longer than it may", e.Job, e.Actor, e.Ran.Duration().Round(time.Millisecond))})
	case events.QueueMeasured:
		v.measured(e, at)
	case events.QueueUnserved:
		since := utc(at)
		if was, known := v.unserved[e.Type]; known {
			since = was.Since
		}
		if len(v.unserved) < maxTypes {
			v.unserved[e.Type] = Unserved{Type: e.Type, Ready: e.Ready, Since: since, Reason: e.Reason}
		}
		v.warn(Warning{At: at, Event: "queue-unserved", Type: e.Type, Text: fmt.Sprintf("%d jobs of type %s wait: %s", e.Ready, e.Type, e.Reason)})
	}
}

func (v *View) ended(e events.JobEnded, at time.Time) {
	if q := v.queue(e.Type); q != nil {
		if e.Actor != "" { // else it ended without having run
			q.InFlight = max(0, q.InFlight-1)
		}
		if e.Outcome == events.Finished {
			q.Finished++
		} else {
			q.Failed++
		}
	}
	if a := v.actors[e.Actor]; a != nil {
		a.ends(e.Job, at)
		v.look(a)
	}
}

func (v *View) measured(e events.QueueMeasured, at time.Time) {
	v.status.Redis.works(at)
	q := v.queue(e.Type)
	if q == nil {
		return
	}
	q.Ready, q.Delayed, q.InFlight, q.OldestWait, q.MeasuredAt = e.Ready, e.Delayed, e.InFlight, seconds(e.OldestWait), utc(at)
	q.settle()
	if u, waits := v.unserved[e.Type]; waits {
		if u.Ready = e.Ready; u.Ready == 0 {
			delete(v.unserved, e.Type)
		} else {
			v.unserved[e.Type] = u
		}
	}
}

// settle: nobody waits, so nobody waits for long.
func (q *Queue) settle() {
	if q.Ready == 0 {
		q.OldestWait = 0
	}
}
