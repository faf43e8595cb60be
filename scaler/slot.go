package scaler

import "time"

// slot is what is known of one actor, and what was asked of it.
type slot struct {
	state State
	// idleSince is when it last had nothing to do; a ping does not interrupt it.
	idleSince time.Time
	changed   time.Time // when it came into its state
	busy      bool
	job       string // "" when busy with a job whose start was not seen
	// asked is when a start was sent of which no fact came yet, leaving the same
	// for a stop; zero when none.
	asked   time.Time
	leaving time.Time
	refused time.Time // when the last request was refused
	recall  bool      // it drains because we asked for it
	heard   uint64    // number of the last fact about it, see View.facts
}

// move follows a change of the keeper's machine.
func (s *slot) move(from, to State, at time.Time) {
	ours := !s.leaving.IsZero() || s.recall
	s.state, s.changed, s.recall = to, at, false
	switch to {
	case Idle:
		if from != Pinging || s.idleSince.IsZero() {
			s.idleSince = at
		}
		if s.job == "" { // a job that we know of ends with its own fact
			s.busy = false
		}
	case Running:
		s.busy = true
	case Draining:
		s.recall = ours
	case Pinging, Recycling:
	default: // its process is gone, or is a new one
		s.free(at)
	}
	// A start that waits for the old process to go, and a stop that crossed a
	// start of work, are still to come.
	if to != Stopped && to != Stopping {
		s.asked = time.Time{}
	}
	if to != Idle && to != Running && to != Pinging && to != Starting {
		s.leaving = time.Time{}
	}
}

// work notes that it holds the job.
func (s *slot) work(job string) { s.busy, s.job = true, job }

// end notes that the job is not in its hands any more.
func (s *slot) end(job string, at time.Time) {
	if s.job == job || s.job == "" {
		s.free(at)
	}
}

func (s *slot) free(at time.Time) { s.busy, s.job, s.idleSince = false, "", at }

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
	a := Actor{Slot: n, State: s.state, Busy: s.busy, Since: s.idleSince, Recall: s.recall}
	if s.state == Starting {
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
