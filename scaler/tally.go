package scaler

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tally sorts the slots of a snapshot by what they are good for.
type tally struct {
	usable   int
	inFlight int     // jobs on usable actors
	alone    int     // of them those beside which their actor takes none
	idle     []Actor // usable and without a job, longest idle first; the blocked ones are among them
	blocked  []Actor // their starts wait for other services, in slot order
	others   int     // usable and neither idle nor holding a job: starting, pinging
	all      []Actor // usable, in slot order
	recall   []int   // draining because we asked, so a start takes that back
	taken    map[int]bool
	dead     map[State]int
	late     int // starting for longer than allowed
	refused  int // free, but refused a moment ago
	leaving  int // still on their way out
	next     time.Time
}

func count(s Snapshot, p Policy) *tally {
	t := &tally{dead: map[State]int{}, taken: make(map[int]bool, len(s.Actors))}
	for _, a := range s.Actors {
		refused := s.Now.Before(a.RefusedUntil)
		if refused {
			t.wake(a.RefusedUntil)
		}
		free := false
		switch a.State {
		case Idle, Running, Pinging, Starting:
			t.alive(a, s.Now, p)
		case Failed, Restarting, Quarantined:
			if a.waits() {
				t.alive(a, s.Now, p)
				break
			}
			t.dead[a.State]++
		case Draining:
			if a.Recall && a.Slot <= p.Max && !refused {
				t.recall = append(t.recall, a.Slot)
			}
			t.leaving++
		case Stopping, Recycling:
			t.leaving++
		default: // Stopped, Unknown
			free = !refused
			if refused && a.Slot <= p.Max {
				t.refused++
			}
		}
		t.taken[a.Slot] = !free
	}
	slices.SortStableFunc(t.idle, func(a, b Actor) int {
		// Of two idle since the same moment the higher number goes, so that a
		// pool shrinks towards its first slots.
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return b.Slot - a.Slot
	})
	return t
}

// room names up to that many slots that a start may name: those we can call back
// first, then the lowest free ones.
func (t *tally) room(limit, highest int) []int {
	slices.Sort(t.recall)
	list := slices.Clone(t.recall[:min(limit, len(t.recall))])
	for n := 1; n <= highest && len(list) < limit; n++ {
		if !t.taken[n] {
			list = append(list, n)
		}
	}
	return list
}

// alive counts a slot whose process is there or on its way.
func (t *tally) alive(a Actor, now time.Time, p Policy) {
	if now.Before(a.LeavingUntil) {
		t.leaving++
		t.wake(a.LeavingUntil)
		return
	}
	if a.waits() {
		t.blocked = append(t.blocked, a)
	} else if a.State == Starting && a.Jobs == 0 {
		end := a.Since.Add(p.StartTimeout)
		if !now.Before(end) {
			t.late++
			return
		}
		t.wake(end)
	}
	t.usable++
	t.all = append(t.all, a)
	switch {
	case a.Jobs > 0:
		t.inFlight += a.Jobs
		if a.Alone {
			t.alone++
		}
	case a.State == Idle, a.waits():
		t.idle = append(t.idle, a)
	default:
		t.others++
	}
}

// waiting says what holds the blocked ones back, by the first of them.
func (t *tally) waiting(pool string) string {
	why := ActorID(pool, t.blocked[0].Slot) + " " + t.blocked[0].Blocked
	if more := len(t.blocked) - 1; more > 0 {
		why += fmt.Sprintf(", as do %d more", more)
	}
	return why
}

// lonely says how many of some jobs need an actor of their own.
func lonely(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d alone)", n)
}

// wake notes that the answer may change at that time.
func (t *tally) wake(at time.Time) {
	if t.next.IsZero() || at.Before(t.next) {
		t.next = at
	}
}

// missing says which slots can not be had, and by which rule: crash_loop when
// something is wrong with them, max when they are only on their way.
func (t *tally) missing() (rule, why string) {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(t.dead[Quarantined], "quarantined")
	add(t.dead[Failed], "failed")
	add(t.late, "did not come up in time")
	add(t.refused, "refused to start")
	rule = RuleCrashLoop
	if len(parts) == 0 {
		rule = RuleMax
	}
	add(t.dead[Restarting], "restarting")
	add(t.leaving, "still stopping")
	return rule, strings.Join(parts, ", ")
}
