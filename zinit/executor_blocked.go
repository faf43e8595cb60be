package zinit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"herosup/events"
)

// heldBack says that zinit waits with a start until other services are there. It is
// an error for who waits for the process, and a condition of the actor, no failure:
// zinit goes on by itself when they are there.
type heldBack struct {
	waits  []string
	reason string
	// certain: one of them does not run. Else it is a oneshot that has to end first,
	// or zinit is about to see that all are there.
	certain bool
}

func (h *heldBack) Error() string { return h.reason }

// Is makes it no sign of a zinit that is away.
func (*heldBack) Is(target error) bool { return target == errLocal }

// heldBackBy reads it from a status; nil when nothing holds the start back.
func heldBackBy(st Status) *heldBack {
	if st.State.Kind != Blocked || st.Target != Up {
		return nil
	}
	h := &heldBack{waits: st.WaitsFor()}
	if h.certain = len(h.waits) > 0; !h.certain {
		h.waits = slices.Sorted(maps.Keys(st.After)) // which one is a oneshot the status does not tell
	}
	var words []string
	for _, name := range h.waits {
		words = append(words, fmt.Sprintf("%s (%s)", name, standing(st.After[name])))
	}
	h.reason = "waits for " + strings.Join(words, ", ")
	return h
}

// standing is a dependency's state for people. Unknown is what a zinit says of a
// name that it does not know, too.
func standing(s State) string {
	if s.Kind == Unknown {
		return "not there"
	}
	return s.String()
}

// tellBlocked tells what holds a start back, once.
func (x *Executor) tellBlocked(p *process, h *heldBack, cause ...events.Option) {
	if p.blocked == h.reason {
		return
	}
	p.blocked = h.reason
	x.publish(events.ProcessBlocked{Pool: p.pool, Actor: p.actor, Waits: h.waits, Reason: h.reason}, cause...)
}

// whyNoStart is why a start that was held back came to nothing.
func whyNoStart(st Status) string {
	if st.Target != Up {
		return "it was stopped, or dropped, while it waited for other services"
	}
	return fmt.Sprintf("zinit says %s", st.State)
}
