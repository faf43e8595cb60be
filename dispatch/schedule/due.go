package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// What a schedule says of due times that nobody looked at in time.
const (
	// Once makes one job for all of them, under the id of the last.
	Once = "once"
	// Skip makes none.
	Skip = "skip"
)

const (
	// onTime is how late a job may be made for a due time without that counting as
	// missed: a daemon that restarts is back by then.
	onTime = time.Minute
	// maxMissed bounds the count of missed times.
	maxMissed = 10_000
	// setBack is how far a decision may lie in the future before we believe that
	// the clock was set back, and not that another host's differs.
	setBack = time.Hour
)

// Plan is what Due must know of one schedule.
type Plan struct {
	Name   string
	Times  Timetable
	Missed string // Once or Skip
	Paused bool
	// Decided is the last due time that was decided about: only what comes after
	// it is due.
	Decided time.Time
}

// Action is one decision: everything up to Decided is settled by it.
type Action struct {
	Schedule string
	// Fire is the due time that gets a job; zero for none.
	Fire time.Time
	Late time.Duration
	// Missed due times get none; the last of them. First is the first due time that
	// this settles, with a job or without.
	Missed      int
	First, Last time.Time
	// Decided is what the schedule's Decided is to be.
	Decided time.Time
	Reason  string
}

// Due says what is to be done at this moment, in the order of the due times. One
// decision makes at most one job of a schedule, so that a daemon that comes back
// does not start a day's jobs at once.
func Due(plans []Plan, now time.Time) []Action {
	var all []Action
	for _, p := range plans {
		if a, ok := p.due(now); ok {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b Action) int {
		return cmp.Or(a.Decided.Compare(b.Decided), cmp.Compare(a.Schedule, b.Schedule))
	})
	return all
}

func (p Plan) due(now time.Time) (Action, bool) {
	if p.Paused {
		return Action{}, false
	}
	if p.Decided.After(now.Add(setBack)) {
		return Action{
			Schedule: p.Name, Decided: now.Truncate(time.Second),
			Reason: fmt.Sprintf("the clock was set back: the last decision was for %s", stamp(p.Decided)),
		}, true
	}
	first := p.Times.Next(p.Decided)
	if first.IsZero() || first.After(now) {
		return Action{}, false
	}
	before, last, n := first, first, 1 // before: the one before last
	for ; n <= maxMissed; n++ {
		next := p.Times.Next(last)
		if next.IsZero() || next.After(now) {
			break
		}
		before, last = last, next
	}
	if n > maxMissed {
		before, last = p.Times.latest(last, now)
	}
	a := Action{Schedule: p.Name, Decided: last, Late: now.Sub(last), First: first}
	late := a.Late > onTime
	switch {
	case late && p.Missed == Skip:
		a.Missed, a.Last = min(n, maxMissed), last
		a.Reason = fmt.Sprintf("not looked at for %s after %s; the schedule skips what it missed", round(a.Late), stamp(last))
		return a, true
	case late:
		a.Reason = fmt.Sprintf("not looked at for %s after %s; the schedule makes one job for what it missed", round(a.Late), stamp(last))
	case n > 1:
		a.Reason = fmt.Sprintf("due at %s; only the last of %d due times gets a job", stamp(last), n)
	default:
		a.Reason = "due at " + stamp(last)
	}
	a.Fire, a.Missed = last, n-1
	if a.Missed > 0 {
		a.Last = before
	}
	return a, true
}

// latest finds the last two due times up to now, of very many behind from: it looks
// back by twice as much until it sees both.
func (t Timetable) latest(from, now time.Time) (before, last time.Time) {
	for back := time.Minute; ; back *= 2 {
		at := now.Add(-back)
		if at.Before(from) {
			at = from
		}
		before, last = from, from
		seen := 0
		for next := t.Next(at); !next.IsZero() && !next.After(now); next = t.Next(next) {
			before, last = last, next
			seen++
		}
		if seen >= 2 || !at.After(from) {
			return before, last
		}
	}
}

// NextLook is when something will be due: zero for never.
func NextLook(plans []Plan) time.Time {
	var soonest time.Time
	for _, p := range plans {
		if p.Paused {
			continue
		}
		if next := p.Times.Next(p.Decided); !next.IsZero() && (soonest.IsZero() || next.Before(soonest)) {
			soonest = next
		}
	}
	return soonest
}

// JobID names the job of a due time. Whoever makes it makes the same one.
func JobID(schedule string, due time.Time) string { return fmt.Sprintf("%s-%d", schedule, due.Unix()) }

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

func round(d time.Duration) time.Duration { return d.Round(time.Second) }
