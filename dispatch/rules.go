package dispatch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// Prerequisite is a job that must have ended before another begins. As text it is
// its id, or "<id>:run" or "<id>:hold".
type Prerequisite = store.Prerequisite

// Rule says what a job does whose prerequisite did not finish well.
type Rule = store.Rule

// whole reads a whole number of a header.
func whole(name, value string, least, most int) (int, *events.Refusal) {
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, bad("bad_header", fmt.Sprintf("header %s: %q is no whole number", name, short(value)), fmt.Sprintf("want %d to %d, or leave it out", least, most))
	}
	if n < least || n > most {
		return 0, bad("bad_header", fmt.Sprintf("header %s: %d is out of range", name, n), fmt.Sprintf("want %d to %d", least, most))
	}
	return n, nil
}

// startBy reads a deadline: seconds from the acceptance on, or a moment.
func startBy(name, value string, at time.Time) (time.Time, *events.Refusal) {
	if value == "" {
		return time.Time{}, nil
	}
	if !strings.ContainsAny(value, "T:") {
		in, r := seconds(name, value, maxDelay)
		if r == nil && in == 0 {
			r = bad("bad_header", fmt.Sprintf("header %s: 0 seconds leave no time to begin", name), "give the job some seconds, or leave the header out")
		}
		return at.Add(in), r
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	switch {
	case err != nil:
		return time.Time{}, bad("bad_header", fmt.Sprintf("header %s: %q is no time", name, short(value)), "want seconds from now, or a time as 2026-01-02T15:04:05Z")
	case !t.After(at):
		return time.Time{}, bad("bad_header", fmt.Sprintf("header %s: %s has passed", name, short(value)), "give a time to come: the job could never begin")
	case t.Sub(at) > maxDelay:
		return time.Time{}, bad("bad_header", fmt.Sprintf("header %s: %s is too far away", name, short(value)), fmt.Sprintf("at most %.0f days are allowed", maxDelay.Hours()/24))
	}
	return t.UTC(), nil
}

// prerequisites reads a list "id,id:run,id:hold".
func prerequisites(name, value string) ([]Prerequisite, *events.Refusal) {
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	parts := strings.Split(value, ",")
	if len(parts) > store.MaxPrerequisites {
		return nil, bad("bad_prerequisite", fmt.Sprintf("header %s: %d prerequisites are too many", name, len(parts)),
			fmt.Sprintf("at most %d are allowed; let a job in between wait for some", store.MaxPrerequisites))
	}
	var out []Prerequisite
	seen := map[string]bool{}
	for _, part := range parts {
		id, rule, ruled := strings.Cut(strings.TrimSpace(part), ":")
		p := Prerequisite{ID: id, Rule: store.RuleFail}
		if ruled {
			p.Rule = store.Rule(rule)
		}
		if err := events.CheckToken("prerequisite", id); err != nil {
			return nil, bad("bad_prerequisite", err.Error(), "want job ids, separated by commas")
		}
		switch p.Rule {
		case store.RuleFail, store.RuleRun, store.RuleHold:
		default:
			return nil, bad("bad_prerequisite", fmt.Sprintf("prerequisite %s: rule %q is not known", id, short(rule)), "one of fail, run, hold")
		}
		if seen[id] {
			return nil, bad("bad_prerequisite", fmt.Sprintf("prerequisite %s is named twice", id), "name it once")
		}
		seen[id] = true
		out = append(out, p)
	}
	return out, nil
}

// writePrerequisites is what prerequisites reads.
func writePrerequisites(all []Prerequisite) string {
	parts := make([]string, len(all))
	for i, p := range all {
		parts[i] = p.ID
		switch {
		case p.ID == "":
			parts[i] = ":" // is refused; nothing would ask for nothing
		case p.Rule != "" && p.Rule != store.RuleFail:
			parts[i] += ":" + string(p.Rule)
		}
	}
	return strings.Join(parts, ",")
}

// together judges what no header alone can tell.
func together(s store.Submission) *events.Refusal {
	for _, p := range s.Prerequisites {
		if p.ID == s.ID {
			return bad("bad_prerequisite", fmt.Sprintf("job %s is its own prerequisite", s.ID), "a job can not wait for itself")
		}
	}
	if !s.StartBy.IsZero() && !s.Due.IsZero() && !s.StartBy.After(s.Due) {
		return bad("bad_header", "the job is to begin before its delay is over", "give "+HeaderStartBy+" a time behind "+HeaderDelay)
	}
	return nil
}
