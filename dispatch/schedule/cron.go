package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"

	"herosup/events"
)

const (
	// leastEvery is also the grain of job ids, which carry the due second.
	leastEvery = time.Second
	mostEvery  = 366 * 24 * time.Hour
	// maxLine bounds a cron line: lists may be long, books are not.
	maxLine = 256
	// searchYears is how far the calendar looks for a match: 29 February can be
	// eight years away.
	searchYears = 12
)

// Rule is a cron line that was understood: times of a wall clock, or a beat.
type Rule struct {
	every  time.Duration      // of "@every"; 0 for a calendar
	spec   *cron.SpecSchedule // the calendar, used in UTC only: zones are ours (next.go)
	hourly bool               // every hour matches: a beat in all but name
}

// LineError is a cron line that can not be: Error says what is wrong and where,
// Hint what would work.
type LineError struct{ reason, hint string }

func (e *LineError) Error() string { return e.reason }

// Hint says what would work.
func (e *LineError) Hint() string { return e.hint }

func fault(hint, format string, a ...any) error {
	return &LineError{reason: fmt.Sprintf(format, a...), hint: hint}
}

// field is one of the five, in the words that errors use.
type field struct{ name, allowed string }

var fields = [...]field{
	{"minute", "0-59"},
	{"hour", "0-23"},
	{"day of month", "1-31"},
	{"month", "1-12 or JAN-DEC"},
	{"day of week", "0-7 or SUN-SAT (0 and 7 are Sunday)"},
}

const forms = "*, a value, a list 1,5, a range 1-5, or a step */5"

// shorthands are lines by name. The library knows them too; here they are so that
// there is one way through Parse.
var shorthands = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

var shorthandNames = []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@every"}

// parser reads five fields. Day of month and day of week, both given, are "or", as
// every crontab has it.
var parser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.DowOrDom).WithMaxSearchYears(searchYears)

// Parse reads a cron line. The error is a *LineError.
func Parse(line string) (Rule, error) {
	line = strings.TrimSpace(line)
	words := strings.Fields(line)
	switch {
	case len(words) == 0:
		return Rule{}, fault(`for example "0 3 * * *" for 03:00 each day, or "@every 10m"`, "the cron line is empty")
	case len(line) > maxLine:
		return Rule{}, fault(fmt.Sprintf("at most %d are allowed; make two schedules of it", maxLine), "the cron line is %d bytes long", len(line))
	case strings.HasPrefix(line, "TZ=") || strings.HasPrefix(line, "CRON_TZ="):
		return Rule{}, fault("give the zone as timezone", "the cron line begins with a time zone")
	case words[0] == "@every":
		return parseEvery(words[1:])
	case strings.HasPrefix(line, "@"):
		full, ok := shorthands[line]
		if !ok {
			return Rule{}, unknownShorthand(words[0])
		}
		words = strings.Fields(full)
	}
	if len(words) != len(fields) {
		hint := "five are wanted: minute, hour, day of month, month, day of week"
		if len(words) == 6 || len(words) == 7 {
			hint += `; there is no field for seconds: "@every 30s" is for those`
		}
		return Rule{}, fault(hint, "the cron line has %d fields", len(words))
	}
	return parseFields(words)
}

func unknownShorthand(word string) error {
	if word == "@reboot" {
		return fault("submit the job where the daemon is started", "@reboot is no time")
	}
	hint := "one of " + strings.Join(shorthandNames, " ")
	if near := events.Nearest(word, shorthandNames); near != "" {
		hint = "did you mean " + near + "?"
	}
	return fault(hint, "%q is not known", short(word))
}

func parseEvery(words []string) (Rule, error) {
	hint := fmt.Sprintf(`whole seconds from %s to %s, such as "@every 90s" or "@every 1h30m"`, leastEvery, mostEvery)
	if len(words) != 1 {
		return Rule{}, fault(hint, "@every wants one duration and has %d words", len(words))
	}
	d, err := time.ParseDuration(words[0])
	if err != nil {
		return Rule{}, fault(hint, "@every: %q is no duration", short(words[0]))
	}
	if d < leastEvery || d > mostEvery || d%time.Second != 0 {
		return Rule{}, fault(hint, "@every: %s is not allowed", words[0])
	}
	return Rule{every: d}, nil
}

func parseFields(words []string) (Rule, error) {
	// Each alone first: the library's errors do not say which field is meant.
	for i, f := range fields {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = words[i]
		_, err := parser.Parse(strings.Join(alone, " "))
		switch { // what the library lets pass
		case err != nil:
		case slices.Contains(strings.Split(words[i], ","), ""):
			err = errors.New("a comma with nothing beside it")
		case strings.Contains(words[i], "*-"), strings.Contains(words[i], "?-"): // it would be every hour, not those up to 5
			err = errors.New("a range that begins with all")
		}
		if err != nil {
			return Rule{}, fault("allowed: "+f.allowed+", as "+forms, "%s %q: %s", f.name, short(words[i]), err)
		}
	}
	s, err := parser.Parse(strings.Join(words, " "))
	if err != nil {
		return Rule{}, fault("five fields: minute, hour, day of month, month, day of week", "%s", err)
	}
	spec, ok := s.(*cron.SpecSchedule)
	if !ok {
		return Rule{}, fault("write its five fields", "%q is not a calendar", short(strings.Join(words, " ")))
	}
	spec.Location = time.UTC
	if spec.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Rule{}, fault("look at day of month and month", "day of month %q never comes in month %q", short(words[2]), short(words[3]))
	}
	const allHours = 1<<24 - 1
	return Rule{spec: spec, hourly: spec.Hour&allHours == allHours}, nil
}

// short keeps a foreign word from filling the line.
func short(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
