package schedule

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func table(t testing.TB, line, zone string) Timetable {
	t.Helper()
	r, err := Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	z, err := Zone(zone)
	if err != nil {
		t.Fatal(err)
	}
	return Timetable{Rule: r, Zone: z}
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The days on which the clocks of two zones jump, and some others.
func TestWhereTheClockJumps(t *testing.T) {
	for _, c := range []struct {
		name, line, zone, after string
		want                    []string
	}{
		{"New York, spring: 02:30 does not exist", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", []string{
			"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00",
		}},
		{"New York, spring: several times of the jump, and its end, are one", "*/20 2,3 * * *", "America/New_York", "2026-03-07T23:00:00-05:00", []string{
			"2026-03-08T03:00:00-04:00", "2026-03-08T03:20:00-04:00", "2026-03-08T03:40:00-04:00", "2026-03-09T02:00:00-04:00",
		}},
		{"New York, spring: each half hour skips the hour that is none", "*/30 * * * *", "America/New_York", "2026-03-08T01:00:00-05:00", []string{
			"2026-03-08T01:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00",
		}},
		{"New York, spring: a quarter past each hour is no time at the jump", "15 * * * *", "America/New_York", "2026-03-08T01:00:00-05:00", []string{
			"2026-03-08T01:15:00-05:00", "2026-03-08T03:15:00-04:00",
		}},
		{"New York, autumn: 01:30 comes twice and is due the first time", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00", []string{
			"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00",
		}},
		{"New York, autumn: asked between the two", "30 1 * * *", "America/New_York", "2026-11-01T01:10:00-05:00", []string{
			"2026-11-02T01:30:00-05:00",
		}},
		{"New York, autumn: each half hour is served through both", "*/30 * * * *", "America/New_York", "2026-11-01T00:45:00-04:00", []string{
			"2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:00:00-05:00",
		}},
		{"Berlin, spring", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", []string{
			"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00",
		}},
		{"Berlin, autumn: every second hour names hours", "0 */2 * * *", "Europe/Berlin", "2026-10-25T00:30:00+02:00", []string{
			"2026-10-25T02:00:00+02:00", "2026-10-25T04:00:00+01:00",
		}},
		{"Berlin, autumn: @hourly", "@hourly", "Europe/Berlin", "2026-10-25T01:00:00+02:00", []string{
			"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00",
		}},
		{"Lord Howe: a jump of half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", []string{
			"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30",
		}},
		{"Apia, 2011: a whole day that is none", "0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00-10:00", []string{
			"2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00",
		}},
		{"midnight that does not exist", "@daily", "America/Asuncion", "2023-09-30T12:00:00-04:00", []string{
			"2023-10-01T01:00:00-03:00", "2023-10-02T00:00:00-03:00",
		}},
		{"29 February, over a century that has none", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"either day field", "0 0 13 * FRI", "UTC", "2026-11-05T00:00:00Z", []string{
			"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z",
		}},
		{"Sunday is 7 as well", "0 0 * * 7", "UTC", "2026-11-25T00:00:00Z", []string{"2026-11-29T00:00:00Z"}},
	} {
		tt := table(t, c.line, c.zone)
		from := at(t, c.after)
		for _, want := range c.want {
			got := tt.Next(from)
			if !got.Equal(at(t, want)) {
				t.Errorf("%s: %q after %s: got %s, want %s", c.name, c.line, stamp(from), stamp(got), want)
				break
			}
			from = got
		}
	}
}

func TestEvery(t *testing.T) {
	tt := table(t, "@every 90s", "UTC")
	tt.Since = at(t, "2026-11-25T00:00:10Z")
	for after, want := range map[string]string{
		"2026-11-25T00:00:10Z":      "2026-11-25T00:01:40Z",
		"2026-11-25T00:01:39.9Z":    "2026-11-25T00:01:40Z",
		"2026-11-25T00:01:40Z":      "2026-11-25T00:03:10Z",
		"2026-11-25T00:01:40.0001Z": "2026-11-25T00:03:10Z",
		"2026-11-26T00:00:10Z":      "2026-11-26T00:01:40Z",
		"2026-11-24T23:59:00Z":      "2026-11-25T00:00:10Z", // the clock was set back
		"2026-11-24T23:58:40Z":      "2026-11-25T00:00:10Z",
	} {
		if got := tt.Next(at(t, after)); !got.Equal(at(t, want)) {
			t.Errorf("after %s: got %s, want %s", after, stamp(got), want)
		}
	}
}

// The clever way agrees with a dumb one: look at the clock on the wall each minute.
// The dumb one says what "due" means in one line for each of the two kinds.
func TestNextAgreesWithAWalkByMinutes(t *testing.T) {
	zones := []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"}
	rapid.Check(t, func(t *rapid.T) {
		minute := rapid.SampledFrom([]string{"*", "0", "30", "*/15", "*/20", "5,35", "59"}).Draw(t, "minute")
		hour := rapid.SampledFrom([]string{"*", "0", "1", "2", "3", "1-3", "*/2", "0-23"}).Draw(t, "hour")
		day := rapid.SampledFrom([]string{"*", "8", "25-31", "*/3"}).Draw(t, "day")
		week := rapid.SampledFrom([]string{"*", "0", "1-5"}).Draw(t, "week")
		line := minute + " " + hour + " " + day + " * " + week
		r, err := Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		z, err := Zone(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		tt := Timetable{Rule: r, Zone: z}
		// Near a jump, if the zone has one: that is where it matters.
		start := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "unix"), 0).In(z)
		if _, end := start.ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(t, "near a jump") {
			start = end.Add(-time.Duration(rapid.IntRange(0, 5*3600).Draw(t, "before")) * time.Second)
		}
		until := start.Add(30 * time.Hour)
		want := walk(tt, start, until)
		var got []time.Time
		for next := tt.Next(start); !next.IsZero() && !next.After(until); next = tt.Next(next) {
			got = append(got, next)
		}
		if len(got) != len(want) {
			t.Fatalf("%q in %s from %s: got %v\nwant %v", line, z, stamp(start), got, want)
		}
		for i := range got {
			if !got[i].Equal(want[i]) {
				t.Fatalf("%q in %s from %s: number %d: got %s, want %s", line, z, stamp(start), i, stamp(got[i]), stamp(want[i]))
			}
		}
	})
}

func walk(tt Timetable, start, until time.Time) []time.Time {
	shows := func(wall time.Time) bool { return tt.Rule.spec.Next(wall.Add(-time.Second)).Equal(wall) }
	var due []time.Time
	seen := map[time.Time]bool{} // readings of the clock that were due before
	// A day earlier, so that a reading that comes twice has been seen the first time.
	for m := start.Add(-24 * time.Hour).Truncate(time.Minute).In(tt.Zone); !m.After(until); m = m.Add(time.Minute) {
		wall := wallOf(m)
		is := shows(wall)
		if !tt.Rule.hourly {
			is = is && !seen[wall]
			seen[wall] = true
			// What the clock jumped over since the minute before.
			for w := wallOf(m.Add(-time.Minute)).Add(time.Minute); w.Before(wall); w = w.Add(time.Minute) {
				is = is || shows(w)
			}
		}
		if is && m.After(start) {
			due = append(due, m)
		}
	}
	return due
}
