package fsm

import (
	"fmt"
	"strings"
)

// Mermaid draws the table as a state diagram, with what each row does behind the
// slash. Stay rows that do nothing are left out: they are the repeats. It is
// drawn from the table and not by looplab, whose drawing begins at the current
// state and knows no actions.
func Mermaid() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> " + string(Initial) + "\n")
	for _, from := range states {
		for _, r := range Lifecycle {
			for _, s := range r.From {
				if s != from || r.Stay && len(r.Do) == 0 {
					continue
				}
				fmt.Fprintf(&b, "    %s --> %s : %s%s\n", from, r.target(from), r.On, behind(" / ", r.Do))
			}
		}
	}
	return b.String()
}

// Matrix is the whole cross product, one line per state and event: where it
// leads and what it does, "stay", or "refused". A new state or event shows there
// until every cell of it is decided.
func Matrix() string {
	var b strings.Builder
	for _, from := range states {
		for _, on := range eventList {
			fmt.Fprintf(&b, "%-12s %-19s %s\n", from, on, verdict(from, on))
		}
	}
	return b.String()
}

func verdict(from State, on Event) string {
	for _, r := range Lifecycle {
		for _, s := range r.From {
			if s != from || r.On != on {
				continue
			}
			if r.Stay {
				return "stay" + behind(": ", r.Do)
			}
			return "-> " + string(r.To) + behind(": ", r.Do)
		}
	}
	return "refused"
}

func (r Row) target(from State) State {
	if r.Stay {
		return from
	}
	return r.To
}

func behind(sep string, actions []Action) string {
	if len(actions) == 0 {
		return ""
	}
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	return sep + strings.Join(words, ", ")
}
