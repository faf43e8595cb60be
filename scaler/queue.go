package scaler

import (
	"strconv"
	"time"

	"herosup/events"
)

// overtakersKept bounds how many starts are remembered that came before the
// JobQueued of their job. The two are published within a millisecond of each
// other, so more than a few are never in the air; the oldest is forgotten.
const overtakersKept = 64

// queue counts the waiting jobs of one script type.
type queue struct {
	ready      int
	alone      int       // of them, those that need an empty hand
	measuredAt time.Time // of the last measurement that still counts
	delayed    int
	tookAt     time.Time // when the last job was taken
	// raised: the last measurement said more than we counted and was not
	// believed yet.
	raised bool
	// ahead is by how much the last measurements were above our count and were believed.
	ahead int
	// overtakers are attempts whose start was seen before they were queued.
	overtakers []string
	told       int // the number last published as unserved; 0 when none
}

// trusted reports whether the count is built on a recent measurement.
func (q *queue) trusted(at time.Time, staleAfter time.Duration) bool {
	return !q.measuredAt.IsZero() && at.Sub(q.measuredAt) < staleAfter
}

// add counts a job that became ready. depth is the queue's length as the
// publisher saw it right after a batch, so behind the others of it; it is believed only without a recent
// measurement, because starts that we have seen already may not be in it.
func (q *queue) add(attempt string, depth int, alone bool, at time.Time, trusted bool) {
	for i, o := range q.overtakers {
		if o == attempt {
			q.overtakers = append(q.overtakers[:i], q.overtakers[i+1:]...)
			return
		}
	}
	if q.ahead > 0 && at.Sub(q.measuredAt) <= crossing {
		q.ahead-- // the measurement overtook this fact
		return
	}
	if alone {
		q.alone++
	}
	if trusted || depth == 0 {
		q.ready++
		return
	}
	q.ready = max(q.ready, depth) // a batch is counted with its first
}

// take counts a job that an actor has now.
func (q *queue) take(attempt string, at time.Time) {
	q.tookAt = at
	if q.ready > 0 {
		q.ready--
		return
	}
	if len(q.overtakers) == overtakersKept {
		q.overtakers = q.overtakers[1:]
	}
	q.overtakers = append(q.overtakers, attempt)
}

// crossing is how long a measurement and the fact of a claim, or of a job that was queued, can be on their way
// at the same time.
const crossing = 200 * time.Millisecond

// measure resets the count to what Redis holds. A rise right after a claim is
// believed only when the next measurement says it too (unless our own count is
// not trusted, or delayed jobs became due): one that crossed the claim on its way
// counts a job as waiting that is running, and would start an actor for it. One that
// is believed may have in it what is told as queued a moment later (ahead): all but
// what became due, which nobody tells.
func (q *queue) measure(m events.QueueMeasured, at time.Time, trusted bool) {
	believe := !trusted || m.Ready <= q.ready || q.raised || q.delayed > 0 || at.Sub(q.tookAt) > crossing
	if at.Sub(q.measuredAt) > crossing {
		q.ahead = 0
	}
	if at.Sub(q.tookAt) > crossing {
		q.overtakers = nil // what they overtook would be here: it was not told
	}
	if q.raised = !believe; believe {
		if trusted {
			q.ahead += max(0, m.Ready-q.ready-max(0, q.delayed-m.Delayed))
		}
		q.ready, q.alone = m.Ready, m.Alone
	}
	q.delayed = m.Delayed
	q.measuredAt = at
}

// attemptOf names one attempt of one job, so that a second attempt is not taken
// for a repeat of the first.
func attemptOf(job string, n int) string { return job + "/" + strconv.Itoa(n) }

// unserved reports whether it is time to say that the type's jobs wait for
// nothing: when the first one waits, and again when their number is ten times
// as large or as small.
func (q *queue) unserved() bool {
	switch {
	case q.ready == 0:
		q.told = 0
		return false
	case q.told == 0 || q.ready >= 10*q.told || q.told >= 10*q.ready:
		q.told = q.ready
		return true
	}
	return false
}
