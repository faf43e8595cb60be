package server

import "time"

// free reports whether all that u comes after is there. A service that nobody
// monitors holds it back until somebody does, and a cycle for ever, as in the
// original: status shows Blocked and the states of what it waits for.
func free(units map[string]*unit, u *unit) bool {
	for _, name := range u.spec.After {
		if dep, ok := units[name]; !ok || !dep.satisfies() {
			return false
		}
	}
	return true
}

// nextToStop are the living units that nothing living depends on, be it through others that
// have ended (a oneshot between two): a shutdown stops these, then asks again. What is
// stopping already counts as living, and is not named twice. In a cycle, where nobody is free
// to go first, all are. What not even KILL has ended is waited for no longer.
func nextToStop(units map[string]*unit, now time.Time) []*unit {
	needed := make(map[string]bool)
	var need func(*unit)
	need = func(u *unit) {
		for _, name := range u.spec.After {
			if name == u.name || needed[name] {
				continue
			}
			needed[name] = true
			if dep, ok := units[name]; ok {
				need(dep)
			}
		}
	}
	var living []*unit
	anyStopping := false
	for _, u := range units {
		if u.phase == down || u.deaf(now) {
			continue
		}
		living = append(living, u)
		anyStopping = anyStopping || u.ending()
		need(u)
	}
	var next []*unit
	for _, u := range living {
		if !u.ending() && !needed[u.name] {
			next = append(next, u)
		}
	}
	if len(next) == 0 && !anyStopping {
		return living
	}
	return next
}

// ending reports whether an end is under way.
func (u *unit) ending() bool { return u.stopping || u.phase == clearing }
