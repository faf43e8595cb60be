package doctor

import "slices"

// Grade is how a finding is meant.
type Grade string

// The grades.
const (
	// OK is as it should be.
	OK Grade = "ok"
	// Note works, and is worth a word.
	Note Grade = "note"
	// Bad does not work.
	Bad Grade = "bad"
)

// Finding is what one check has found.
type Finding struct {
	// Check is what was looked at: "redis".
	Check string `json:"check"`
	Grade Grade  `json:"grade"`
	// Text says what was seen, in one line.
	Text string `json:"text"`
	// Hint is what to do; "" for what is OK.
	Hint string `json:"hint,omitempty"`
}

// Well reports whether nothing is bad.
func Well(all []Finding) bool {
	return !slices.ContainsFunc(all, func(f Finding) bool { return f.Grade == Bad })
}

// what collects the findings of one check.
type what struct {
	check string
	found []Finding
}

func (w *what) ok(text string)         { w.add(OK, text, "") }
func (w *what) note(text, hint string) { w.add(Note, text, hint) }
func (w *what) bad(text, hint string)  { w.add(Bad, text, hint) }

func (w *what) add(g Grade, text, hint string) {
	w.found = append(w.found, Finding{Check: w.check, Grade: g, Text: text, Hint: hint})
}
