package zinit

import (
	"context"
	"errors"
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

// held is heldBackBy, with the circle in which the service waits for itself.
func (x *Executor) held(ctx context.Context, st Status) *heldBack {
	h := heldBackBy(st)
	if h == nil {
		return nil
	}
	if circle := x.circle(ctx, st, []string{st.Name}, map[string]bool{}); circle != nil {
		h.reason += ": a circle, " + strings.Join(circle, " after ")
	}
	return h
}

// maxCircle bounds the services that are asked for one circle.
const maxCircle = 32

// circle follows what a service waits for, in depth, through those that are held back
// themselves; path is how it came there. asked are those that lead nowhere.
func (x *Executor) circle(ctx context.Context, st Status, path []string, asked map[string]bool) []string {
	for _, name := range st.WaitsFor() {
		if name == path[0] {
			return append(path, name)
		}
		if st.After[name].Kind != Blocked || asked[name] || len(asked) == maxCircle {
			continue
		}
		asked[name] = true
		next, err := x.cfg.Client.Status(ctx, name)
		if err != nil {
			continue // it shows in the next question
		}
		if found := x.circle(ctx, next, append(slices.Clone(path), name), asked); found != nil {
			return found
		}
	}
	return nil
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

// whyNoStart is why a start came to nothing that was held back, or is zinit's own.
func (x *Executor) whyNoStart(actor, pool string, st Status) error {
	if st.Target != Up {
		return errors.New("it was stopped, or dropped, while it waited for other services")
	}
	if err := Runnable(x.cfg.Pools[pool].service(actor).Exec[0]); err != nil {
		return missing{local{err}}
	}
	return fmt.Errorf("zinit says %s (its output says more)", st.State)
}
