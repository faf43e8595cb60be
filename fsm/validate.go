package fsm

import (
	"errors"
	"fmt"
	"slices"
)

// Validate says what is wrong with the table, all of it. looplab/fsm does not: a
// doubled row silently takes its last target, an unknown state is accepted.
// New calls it, so no daemon runs on a table with a fault.
func Validate() error { return validate(Lifecycle) }

func validate(rows []Row) error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("life-cycle table: "+format, a...)) }

	type cell struct {
		from State
		on   Event
	}
	seen, used, exits := map[cell]int{}, map[Event]bool{}, map[State]bool{}
	for i, r := range rows {
		n := i + 1
		if !slices.Contains(eventList, r.On) {
			bad("row %d: unknown event %q", n, r.On)
		}
		used[r.On] = true
		if len(r.From) == 0 {
			bad("row %d (%s): no state to leave", n, r.On)
		}
		switch {
		case r.Stay && r.To != "":
			bad("row %d (%s): a stay row goes to %q", n, r.On, r.To)
		case !r.Stay && !slices.Contains(states, r.To):
			bad("row %d (%s): unknown state %q", n, r.On, r.To)
		}
		for _, from := range r.From {
			if !slices.Contains(states, from) {
				bad("row %d (%s): unknown state %q", n, r.On, from)
			}
			if !r.Stay && from == r.To {
				bad("row %d (%s): %s goes to itself, which must be a stay row", n, r.On, from)
			}
			if first, twice := seen[cell{from, r.On}]; twice {
				bad("row %d: %s on %s is in row %d already", n, from, r.On, first)
			}
			seen[cell{from, r.On}] = n
			exits[from] = exits[from] || !r.Stay
		}
		for _, a := range r.Do {
			if handlers[a] == nil {
				bad("row %d (%s): nothing handles the action %q", n, r.On, a)
			}
		}
	}
	for _, e := range eventList {
		if !used[e] {
			bad("no row uses the event %s", e)
		}
	}
	reached := reachable(rows)
	for _, s := range states {
		if !reached[s] {
			bad("no way leads from %s to %s", Initial, s)
		}
		if !exits[s] {
			bad("no way leads out of %s", s)
		}
	}
	return errors.Join(errs...)
}

// reachable walks the rows from Initial until nothing new is found.
func reachable(rows []Row) map[State]bool {
	reached := map[State]bool{Initial: true}
	for grown := true; grown; {
		grown = false
		for _, r := range rows {
			if r.Stay || reached[r.To] || !slices.ContainsFunc(r.From, func(s State) bool { return reached[s] }) {
				continue
			}
			reached[r.To], grown = true, true
		}
	}
	return reached
}
