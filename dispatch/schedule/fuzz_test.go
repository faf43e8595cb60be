package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Any line is a rule whose times go forward, in whole seconds, or a fault in one line with a hint.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"0 3 * * *", "*/15 1-3 29 2 MON-FRI", "30 2 * * 0,7", "@every 90s", "@every 8784h", "@hourly", "59 23 31 12 *", "TZ=0", "1,,2 * * * *",
		"0 0 30 2 *", "22-4/3 * * NOV-FEB *", "* * * * * *", "@", "- - - - -", "0-0/99999999999 * * * *", "\x00 * * * *", "* * L * 5#2", "H * * * *", "? ? ? ? ?",
	} {
		f.Add(line, int64(1_793_500_000), byte(0))
		f.Add(line, int64(1_772_950_000), byte(1))
	}
	zones := []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"}
	f.Fuzz(func(t *testing.T, line string, unix int64, zone byte) {
		r, err := Parse(line)
		if err != nil {
			var e *LineError
			if !errors.As(err, &e) || e.Error() == "" || e.Hint() == "" || strings.ContainsAny(e.Error()+e.Hint(), "\n\r") {
				t.Fatalf("%q: %#v", line, err)
			}
			return
		}
		z, err := Zone(zones[int(zone)%len(zones)])
		if err != nil {
			t.Fatal(err)
		}
		const span = 200 * 365 * 24 * 3600 // from 1970 to 2170: where zones have rules, and years have four digits
		after := time.Unix(((unix%span)+span)%span, 0)
		tt := Timetable{Rule: r, Zone: z, Since: time.Unix(1_793_500_000, 0)}
		for range 5 {
			next := tt.Next(after)
			if next.IsZero() {
				return // none within the years that are searched
			}
			if !next.After(after) || next.Nanosecond() != 0 {
				t.Fatalf("%q in %s after %s: %s", line, z, stamp(after), next)
			}
			if again := tt.Next(next.Add(-time.Nanosecond)); !again.Equal(next) {
				t.Fatalf("%q in %s: %s is due, and just before it %s is next", line, z, stamp(next), stamp(again))
			}
			after = next
		}
	})
}
