package scaler

import (
	"maps"
	"time"

	"herosup/events"
)

// slot is what is known of one actor, and what was asked of it.
type slot struct {
	state State
	// idleSince is when it last had nothing to do; a ping does not interrupt it.
	idleSince time.Time
	changed   time.Time                     // when it came into its state
	life      events.Incarnation            // of the process that the keeper spoke of last
	jobs      map[string]events.Incarnation // that it holds, by id, and in which life; at most maxHand
	unnamed   int                           // more that it holds, whose starts were not seen
	alone     string                        // the last that was told to run alone
	lonely    bool                          // that is one of unnamed, as far as we know
	// asked is when a start was sent of which no fact came yet, leaving the same
	// for a stop; zero when none.
	asked   time.Time
	leaving time.Time
	refused time.Time // when the last request was refused
	recall  bool      // it drains because we asked for it
	blocked string    // what its start waits for; "" for nothing
	heard   uint64    // number of the last fact about it, see View.facts
}

// move follows a change of the keeper's machine. life is that of the process, if there is one.
func (s *slot) move(from, to State, life events.Incarnation, at time.Time) {
	ours := !s.leaving.IsZero() || s.recall
	if !life.IsZero() {
		s.life = life
	}
	s.state, s.changed, s.recall = to, at, false
	switch to {
	case Idle:
		if from != Pinging || s.idleSince.IsZero() {
			s.idleSince = at
		}
		s.unnamed = 0 // a job that we know of ends with its own fact
	case Draining:
		s.recall = ours
	case Running, Pinging, Recycling:
	default: // its process is gone, or is a new one
		begins := to == Starting && !life.IsZero()
		maps.DeleteFunc(s.jobs, func(_ string, of events.Incarnation) bool {
			if begins {
				return of != life
			}
			return of == s.life || s.life.IsZero() // another is a new one's, of which the keeper has not heard yet
		})
		s.unnamed, s.idleSince = 0, at
	}
	// A start that waits for the old process to go, and a stop that crossed a
	// start of work, are still to come.
	if to != Stopped && to != Stopping {
		s.asked = time.Time{}
	}
	if to != Idle && to != Running && to != Pinging && to != Starting {
		s.leaving = time.Time{}
	}
	// The keeper's word that it starts may come behind the one that this waits.
	if to != Starting && to != Restarting {
		s.blocked = ""
	}
}

// maxHand is the most jobs an actor may hold (dispatch/store.MaxSlots).
const maxHand = 1000

// holds is how many jobs are in its hands. The keeper may know of one before we do.
func (s *slot) holds() int {
	n := len(s.jobs) + s.unnamed
	if n == 0 && s.state == Running {
		return 1
	}
	return n
}

// block notes what its start waits for, or ("") that it waits no more: its time to
// come up begins now.
func (s *slot) block(why string, at time.Time) {
	if why == "" && s.blocked != "" {
		s.changed = at
	}
	s.blocked = why
}

// has reports whether it is known by name that it holds the job.
func (s *slot) has(job string) bool {
	_, ok := s.jobs[job]
	return ok
}

// work notes that it holds the job.
func (s *slot) work(job string, life events.Incarnation) {
	if s.jobs == nil {
		s.jobs = map[string]events.Incarnation{}
	}
	s.lonely = false // another one: it has ended; or this is it
	if len(s.jobs) < maxHand {
		s.jobs[job] = life
	}
}

// end notes that the job is not in its hands any more.
func (s *slot) end(job string, at time.Time) {
	switch {
	case s.has(job):
		delete(s.jobs, job)
	case s.unnamed > 0:
		s.unnamed--
	default:
		return
	}
	s.emptied(at)
}

// holdsOnly takes the word of somebody who knows all that it holds.
func (s *slot) holdsOnly(jobs []string, life events.Incarnation, at time.Time) {
	if s.holds() == 0 && len(jobs) == 0 {
		return
	}
	s.jobs, s.unnamed = nil, 0
	for _, job := range jobs {
		s.work(job, life)
	}
	s.emptied(at)
}

// emptied notes since when it holds nothing.
func (s *slot) emptied(at time.Time) {
	if len(s.jobs)+s.unnamed == 0 {
		s.idleSince = at
	}
}

// forgetNames: an end may have been missed, and another job begun.
func (s *slot) forgetNames() {
	s.lonely = s.runsAlone()
	s.jobs, s.unnamed, s.life = nil, min(len(s.jobs)+s.unnamed, maxHand), events.Incarnation{}
}

// runsAlone: it takes nothing beside what it holds.
func (s *slot) runsAlone() bool { return s.has(s.alone) || s.lonely && s.unnamed > 0 }

func (s *slot) free(at time.Time) { s.jobs, s.unnamed, s.idleSince = nil, 0, at }

// refuse notes that a request was refused.
func (s *slot) refuse(at time.Time) {
	s.asked, s.leaving, s.refused = time.Time{}, time.Time{}, at
}

// RefusalPause is how long nothing is asked of a slot after a refusal, so that
// a keeper that goes on refusing is not asked in a tight circle.
const RefusalPause = time.Second

// actor is the slot as Decide sees it. What was asked for counts as done until
// patience is over.
func (s *slot) actor(n int, now time.Time, patience time.Duration) Actor {
	a := Actor{Slot: n, State: s.state, Jobs: s.holds(), Alone: s.runsAlone(), Since: s.idleSince, Recall: s.recall, Blocked: s.blocked}
	if s.state == Starting || a.waits() {
		a.Since = s.changed
	}
	if !s.asked.IsZero() && now.Before(s.asked.Add(patience)) {
		a.State, a.Since = Starting, s.asked
	}
	if !s.leaving.IsZero() {
		a.LeavingUntil = s.leaving.Add(patience)
	}
	if !s.refused.IsZero() {
		a.RefusedUntil = s.refused.Add(RefusalPause)
	}
	return a
}
