package schedule

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func plan(t testing.TB, line, missed, decided string) Plan {
	p := Plan{Name: "s", Times: table(t, line, "UTC"), Missed: missed, Decided: at(t, decided)}
	p.Times.Since = p.Decided
	return p
}

func TestDue(t *testing.T) {
	for _, c := range []struct {
		name          string
		line, missed  string
		decided, now  string
		fire          string // "" for none
		missedN       int
		first, last   string
		reason        string
		nothing       bool
		decidedAfters string
	}{
		{name: "not yet", line: "0 3 * * *", missed: Once, decided: "2026-11-25T00:00:00Z", now: "2026-11-25T02:59:59Z", nothing: true},
		{
			name: "on the second", line: "0 3 * * *", missed: Skip, decided: "2026-11-25T00:00:00Z", now: "2026-11-25T03:00:00Z",
			fire: "2026-11-25T03:00:00Z", reason: "due at",
		},
		{name: "decided before", line: "0 3 * * *", missed: Once, decided: "2026-11-25T03:00:00Z", now: "2026-11-25T03:00:01Z", nothing: true},
		{
			name: "a minute late is on time", line: "0 3 * * *", missed: Skip, decided: "2026-11-25T00:00:00Z", now: "2026-11-25T03:01:00Z",
			fire: "2026-11-25T03:00:00Z",
		},
		{
			name: "skip: more is missed", line: "0 3 * * *", missed: Skip, decided: "2026-11-25T00:00:00Z", now: "2026-11-25T03:01:01Z",
			missedN: 1, first: "2026-11-25T03:00:00Z", last: "2026-11-25T03:00:00Z", reason: "skips",
		},
		{
			name: "once: one job for three days", line: "0 3 * * *", missed: Once, decided: "2026-11-22T03:00:00Z", now: "2026-11-25T08:00:00Z",
			fire: "2026-11-25T03:00:00Z", missedN: 2, first: "2026-11-23T03:00:00Z", last: "2026-11-24T03:00:00Z", reason: "5h0m0s",
		},
		{
			name: "skip: three days", line: "0 3 * * *", missed: Skip, decided: "2026-11-22T03:00:00Z", now: "2026-11-25T08:00:00Z",
			missedN: 3, first: "2026-11-23T03:00:00Z", last: "2026-11-25T03:00:00Z",
		},
		{
			name: "skip: the last is on time, those before are not", line: "*/10 * * * *", missed: Skip, decided: "2026-11-25T08:00:00Z", now: "2026-11-25T08:30:30Z",
			fire: "2026-11-25T08:30:00Z", missedN: 2, first: "2026-11-25T08:10:00Z", last: "2026-11-25T08:20:00Z", reason: "only the last of 3",
		},
		{
			name: "each second, a year away", line: "@every 1s", missed: Skip, decided: "2025-11-25T08:00:00Z", now: "2026-11-25T08:00:00.5Z",
			fire: "2026-11-25T08:00:00Z", missedN: maxMissed, first: "2025-11-25T08:00:01Z", last: "2026-11-25T07:59:59Z",
		},
		{
			name: "each minute, a year away", line: "* * * * *", missed: Once, decided: "2025-11-25T08:00:00Z", now: "2026-11-25T08:00:00.5Z",
			fire: "2026-11-25T08:00:00Z", missedN: maxMissed, first: "2025-11-25T08:01:00Z", last: "2026-11-25T07:59:00Z",
		},
		{
			name: "each minute of a January, in August", line: "* * * 1 *", missed: Once, decided: "2025-11-25T08:00:00Z", now: "2026-08-25T08:00:00Z",
			fire: "2026-01-31T23:59:00Z", missedN: maxMissed, first: "2026-01-01T00:00:00Z", last: "2026-01-31T23:58:00Z",
		},
		{
			name: "the clock was set back", line: "0 3 * * *", missed: Once, decided: "2030-01-01T03:00:00Z", now: "2026-11-25T08:00:00Z",
			reason: "set back", decidedAfters: "2026-11-25T08:00:00Z",
		},
		{name: "another host's clock is ahead", line: "* * * * *", missed: Once, decided: "2026-11-25T08:30:00Z", now: "2026-11-25T08:00:00Z", nothing: true},
	} {
		p := plan(t, c.line, c.missed, c.decided)
		now := at(t, c.now)
		got := Due([]Plan{p}, now)
		if c.nothing {
			if len(got) != 0 {
				t.Errorf("%s: got %+v", c.name, got)
			}
			continue
		}
		if len(got) != 1 {
			t.Errorf("%s: %d actions, want 1", c.name, len(got))
			continue
		}
		a := got[0]
		zeroOr := func(s string) time.Time {
			if s == "" {
				return time.Time{}
			}
			return at(t, s)
		}
		if !a.Fire.Equal(zeroOr(c.fire)) || a.Missed != c.missedN || !strings.Contains(a.Reason, c.reason) || !a.Last.Equal(zeroOr(c.last)) {
			t.Errorf("%s: got %+v", c.name, a)
		}
		if c.first != "" && !a.First.Equal(at(t, c.first)) {
			t.Errorf("%s: first %s, want %s", c.name, stamp(a.First), c.first)
		}
		if c.decidedAfters != "" && !a.Decided.Equal(at(t, c.decidedAfters)) {
			t.Errorf("%s: decided %s", c.name, stamp(a.Decided))
		}
		// A decision settles the moment.
		p.Decided = a.Decided
		if again := Due([]Plan{p}, now); len(again) != 0 {
			t.Errorf("%s: decided again: %+v", c.name, again)
		}
	}
}

func TestPausedIsNotDue(t *testing.T) {
	p := plan(t, "* * * * *", Once, "2026-11-25T08:00:00Z")
	p.Paused = true
	if got := Due([]Plan{p}, at(t, "2026-11-26T08:00:00Z")); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if next := NextLook([]Plan{p}); !next.IsZero() {
		t.Errorf("next look at %s", next)
	}
}

// Whenever somebody looks, each due time is accounted for exactly once: by a job or
// as missed.
func TestEachDueTimeIsAccountedForOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"* * * * *", "*/7 * * * *", "0 3 * * *", "30 2 * * *", "@hourly", "@every 37s", "@every 25m"}).Draw(t, "line")
		z, _ := Zone(rapid.SampledFrom([]string{"UTC", "America/New_York"}).Draw(t, "zone"))
		r, err := Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		// Two days around a jump.
		start := time.Unix(1_772_900_000, 0)
		p := Plan{Name: "s", Times: Timetable{Rule: r, Zone: z, Since: start}, Decided: start, Missed: rapid.SampledFrom([]string{Once, Skip}).Draw(t, "missed")}
		now, jobs, missed := start, 0, 0
		ids := map[string]bool{}
		for range rapid.IntRange(1, 20).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3*3600).Draw(t, "gap")) * time.Second)
			for _, a := range Due([]Plan{p}, now) {
				if !a.Decided.After(p.Decided) || a.Decided.After(now) {
					t.Fatalf("decided %s after %s at %s", stamp(a.Decided), stamp(p.Decided), stamp(now))
				}
				p.Decided = a.Decided
				missed += a.Missed
				if a.Fire.IsZero() {
					continue
				}
				jobs++
				if id := JobID("s", a.Fire); ids[id] {
					t.Fatalf("%s twice", id)
				} else {
					ids[id] = true
				}
			}
		}
		due := 0
		for next := p.Times.Next(start); !next.After(now); next = p.Times.Next(next) {
			due++
		}
		if jobs+missed != due {
			t.Fatalf("%d due, %d jobs, %d missed", due, jobs, missed)
		}
	})
}
