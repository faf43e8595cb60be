package fsm

import (
	"slices"
	"strings"
	"time"

	"herosup/events"
)

// Job is one that an actor holds.
type Job struct {
	ID          string
	Attempt     int
	Incarnation events.Incarnation
	Started     time.Time
	Timeout     time.Duration
}

func (j Job) same(k Job) bool {
	return j.ID == k.ID && j.Attempt == k.Attempt && j.Incarnation == k.Incarnation
}

// Hand are the jobs that an actor holds, in the order in which they were told. It is a value like the record that it
// is part of: nothing changes one in place.
type Hand []Job

const (
	// maxHand is the most slots an actor may ask jobs for (dispatch/store.MaxSlots). A job beyond is not counted.
	maxHand = 1000
	// maxEnded is how many ended jobs are remembered. A start that is told again after its end comes within a few facts.
	maxEnded = 16
)

func (h Hand) has(j Job) bool { return slices.ContainsFunc(h, j.same) }

func (h Hand) hasID(id string) bool {
	return slices.ContainsFunc(h, func(j Job) bool { return j.ID == id })
}

// String names them for people.
func (h Hand) String() string {
	ids := make([]string, len(h))
	for i, j := range h {
		ids[i] = j.ID
	}
	return strings.Join(ids, " ")
}

// with adds a job; above the bound the oldest is forgotten.
func (h Hand) with(j Job, bound int) Hand {
	kept := h[max(0, len(h)-bound+1):]
	more := make(Hand, len(kept)+1) // and no larger: each job makes two of these
	more[copy(more, kept)] = j
	return more
}

func (h Hand) without(j Job) Hand { return h.only(func(k Job) bool { return !k.same(j) }) }

func (h Hand) only(keep func(Job) bool) Hand {
	var kept Hand
	for _, j := range h {
		if keep(j) {
			if kept == nil {
				kept = make(Hand, 0, len(h))
			}
			kept = append(kept, j)
		}
	}
	return kept
}
