package schedule

import (
	"strings"
	"time"
	_ "time/tzdata" // a schedule that was accepted must not fail on a machine without zoneinfo
)

// Zone finds a time zone of the IANA database; "" is UTC. "Local" is refused: two
// daemons, or one after a move, would not agree about it.
func Zone(name string) (*time.Location, error) {
	hint := "a name of the IANA database, such as Europe/Berlin, America/New_York or UTC"
	if name == "" {
		return time.UTC, nil
	}
	if name == "Local" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "/") || len(name) > 64 {
		return nil, fault(hint, "time zone %q is not allowed", short(name))
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fault(hint, "time zone %q is not known", short(name))
	}
	return z, nil
}

// Timetable is a rule in a zone. Its times depend on nothing else, so two daemons
// reckon the same.
type Timetable struct {
	Rule Rule
	Zone *time.Location
	// Since is where the beat of an "@every" starts.
	Since time.Time
}

// tries bounds the walk over times of the wall clock that come twice: a day of
// minutes (a zone that crosses the date line repeats a whole one).
const tries = 24*60 + 1

// Next is the first due time after this moment, in whole seconds; zero if there is
// none. What it does where a zone's clock jumps is in the package comment.
func (t Timetable) Next(after time.Time) time.Time {
	switch {
	case t.Rule.every > 0:
		return t.beat(after)
	case t.Rule.spec == nil:
		return time.Time{}
	case t.Rule.hourly:
		return t.passing(after)
	}
	return t.named(after)
}

// beat counts from Since, in both directions: the clock may have been set back
// behind it.
func (t Timetable) beat(after time.Time) time.Time {
	since, every := t.Since.Unix(), int64(t.Rule.every/time.Second)
	n := floorDiv(after.Unix()-since, every) + 1
	return time.Unix(since+n*every, 0).In(t.Zone)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// passing is for rules that name no hour: time as it passes. A time of the clock
// that is skipped is not due, one that comes twice is due twice.
func (t Timetable) passing(after time.Time) time.Time {
	after = after.In(t.Zone)
	wall := wallOf(after)
	for range tries {
		_, offset := after.Zone()
		_, end := after.ZoneBounds()
		next := t.Rule.spec.Next(wall)
		if next.IsZero() {
			return time.Time{}
		}
		due := next.Add(-time.Duration(offset) * time.Second).In(t.Zone)
		if end.IsZero() || due.Before(end) {
			return due
		}
		// The clock jumps before that: go on from the jump, whose own minute counts.
		after = end
		wall = wallOf(end).Add(-time.Nanosecond)
	}
	return time.Time{}
}

// named is for rules that name hours: a time of the clock that is skipped is due at
// the jump, one that comes twice is due the first time.
func (t Timetable) named(after time.Time) time.Time {
	wall := wallOf(after.In(t.Zone))
	// moment never decreases, and that of the wall time at after is not behind
	// after: so nothing before it can be due later.
	for range tries {
		if wall = t.Rule.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if due := moment(wall, t.Zone); due.After(after) {
			return due
		}
	}
	return time.Time{}
}

// moment is when a zone's clock first shows this time, or, if it never does, when
// it jumps over it.
func moment(wall time.Time, zone *time.Location) time.Time {
	m := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	start, end := m.ZoneBounds()
	if wallOf(m).Equal(wall) {
		// Perhaps it was shown before the clock was last set back.
		if start.IsZero() {
			return m
		}
		_, before := start.Add(-time.Nanosecond).Zone()
		if first := wall.Add(-time.Duration(before) * time.Second); first.Before(start) {
			return first.In(zone)
		}
		return m
	}
	// time.Date answers with one side of the jump, which one is not said.
	for _, jump := range []time.Time{start, end} {
		if !jump.IsZero() && wall.Before(wallOf(jump)) && wall.After(wallOf(jump.Add(-time.Nanosecond))) {
			return jump
		}
	}
	return m // two jumps within a day of each other: one side is as good as the other
}

// wallOf is what the clock on the wall shows, written as a time in UTC.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
