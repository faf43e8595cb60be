package monitor

import (
	"fmt"
	"strings"

	"herosup/events"
)

// gate tells commands that nobody serves from all others, by their subject alone.
type gate struct {
	prefix   string // "hero.cmd."
	submit   string // "hero.cmd.job.submit."
	commands map[string]*events.Kind
	names    []string
	served   []events.Pattern // their servers reject what they do not know
}

func newGate(prefix string, served []events.Pattern) *gate {
	g := &gate{prefix: prefix + ".cmd.", submit: prefix + ".cmd.job.submit.", commands: map[string]*events.Kind{}, served: served}
	for _, k := range events.Catalogue() {
		if k.Branch == events.Command {
			name := k.Entity + "." + k.Verb
			g.commands[name] = k
			g.names = append(g.names, name)
		}
	}
	return g
}

// unserved reports whether nobody else answers a command on this subject.
func (g *gate) unserved(subject string) bool {
	if rest, ok := strings.CutPrefix(subject, g.submit); ok && strings.IndexByte(rest, '.') < 0 {
		return false // the many; the stream has it
	}
	rest, ok := strings.CutPrefix(subject, g.prefix)
	if !ok {
		return false
	}
	tokens := strings.Split(rest, ".")
	if len(tokens) >= 2 {
		if k := g.commands[tokens[0]+"."+tokens[1]]; k != nil && len(k.Tokens) == len(tokens)-2 {
			return false
		}
	}
	for _, p := range g.served {
		if matches(strings.Split(string(p), ".")[1:], tokens) {
			return false
		}
	}
	return true
}

// matches compares tokens with a pattern of *, > and words.
func matches(pattern, tokens []string) bool {
	for i, p := range pattern {
		switch {
		case p == ">":
			return len(tokens) > i
		case i >= len(tokens) || p != "*" && p != tokens[i]:
			return false
		}
	}
	return len(pattern) == len(tokens)
}

// refusal says what is wrong with the subject and which one was meant.
func (g *gate) refusal(subject string, err error) *events.Refusal {
	tokens := strings.Split(strings.TrimPrefix(subject, g.prefix), ".")
	name := strings.Join(tokens[:min(2, len(tokens))], ".")
	r := &events.Refusal{Status: 404, Code: "unknown_command", Reason: err.Error()}
	if g.commands[name] != nil {
		r.Status, r.Code = 400, "malformed"
	}
	if near := events.Nearest(name, g.names); near != "" {
		r.Hint = fmt.Sprintf("did you mean %s?", g.form(near))
	}
	return r
}

// form is the command's subject as one writes it in a text.
func (g *gate) form(name string) string {
	form := g.prefix + name
	for _, t := range g.commands[name].Tokens {
		form += ".<" + t + ">"
	}
	return form
}
