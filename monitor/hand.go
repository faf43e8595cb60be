package monitor

import (
	"slices"
	"time"

	"herosup/events"
)

// maxHand is the most slots an actor may have (dispatch/store.MaxSlots); a job beyond is not shown.
const maxHand = 1000

// hand are the jobs that an actor holds, the one that it has held longest first.
type hand []job

// job is a running job.
type job struct {
	id, script  string
	incarnation events.Incarnation
	timeout     time.Duration
	since       time.Time
	told        bool // that it overran
}

// due is when the job will have overrun; zero: never, or that was told.
func (j job) due(grace time.Duration) time.Time {
	if j.timeout <= 0 || j.told {
		return time.Time{}
	}
	return j.since.Add(j.timeout + grace)
}

// due is when the first of them will have overrun; zero: none will.
func (h hand) due(grace time.Duration) (first time.Time) {
	for _, j := range h {
		if at := j.due(grace); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// holds reports whether one attempt of a job is in its hands.
func (a *actor) holds(id string, i events.Incarnation) bool {
	return slices.ContainsFunc(a.hand, func(j job) bool { return j.id == id && j.incarnation == i })
}

func (a *actor) begins(e events.JobStarted, at time.Time) {
	if a.holds(e.Job, e.Incarnation) || len(a.hand) == maxHand {
		return // told anew
	}
	a.hand = append(a.hand, job{
		id: e.Job, script: e.Type, incarnation: e.Incarnation, timeout: e.Timeout.Duration(), since: at,
	})
	a.show()
	a.alive(at)
}

func (a *actor) ends(id string, at time.Time) {
	a.drop(func(j job) bool { return j.id != id })
	a.LastJob = utc(at)
	a.JobsDone++
	a.alive(at)
}

// drop takes jobs out of its hands, all but those to keep.
func (a *actor) drop(keep func(job) bool) {
	if len(a.hand) > 0 {
		a.hand = slices.DeleteFunc(a.hand, func(j job) bool { return !keep(j) })
		a.show()
	}
}

// show puts what is in its hands into what is shown.
func (a *actor) show() {
	a.Job, a.JobSince, a.Holds = "", time.Time{}, len(a.hand)
	if len(a.hand) > 0 {
		a.Job, a.JobSince = a.hand[0].id, utc(a.hand[0].since)
	}
}

// told anew, what it holds is all it holds: the ends of the others were lost.
func (a *actor) registered(e events.ActorRegistered) {
	if e.Anew {
		a.drop(func(j job) bool { return j.incarnation != e.Incarnation || slices.Contains(e.Holds, j.id) })
	}
}

// overran are the jobs that have run for longer than they may. It notes that they are told.
func (a *actor) overran(now time.Time, grace time.Duration) (out []events.Event) {
	for i := range a.hand {
		j := &a.hand[i]
		if due := j.due(grace); due.IsZero() || now.Before(due) {
			continue
		}
		j.told = true
		out = append(out, events.JobOverran{
			Type: j.script, Job: j.id, Actor: a.Name, Incarnation: j.incarnation, Ran: events.SecondsOf(now.Sub(j.since)),
		})
	}
	return out
}
