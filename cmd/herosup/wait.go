package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"herosup/events"
)

// ordered hears what becomes of orders to actors. It begins before they are given, so that nothing of them is
// missed, and knows when each was taken: what was told before is of another's making.
type ordered struct {
	sub   *events.Subscription
	taken map[string]time.Time
}

func (d *remote) listen() (ordered, error) {
	sub, err := d.bus.Subscribe(events.FactsOf("actor"), events.Of(events.ProcessStartFailed{}), events.Of(events.CommandRejected{}))
	return ordered{sub: sub, taken: map[string]time.Time{}}, err
}

func (o *ordered) close() { o.sub.Unsubscribe() }

// next is the next message; missing are those that are waited for.
func (o *ordered) next(ctx context.Context, missing []string) (events.Message, error) {
	for {
		select {
		case <-ctx.Done():
			slices.Sort(missing)
			return events.Message{}, fmt.Errorf("still waiting for %s: %w", strings.Join(missing, ", "), ctx.Err())
		case raw := <-o.sub.C:
			if m, err := o.sub.Open(raw); err == nil {
				return m, nil
			}
		}
	}
}

// before reports whether a message is older than the order to that actor.
func (o *ordered) before(m events.Message, actor string) bool { return m.Time.Before(o.taken[actor]) }

// states is the wait for each actor to be in one of the states done.
type states struct {
	ordered
	done    []string
	missing map[string]bool
}

func (d *remote) expectStates(done []string) (*states, error) {
	o, err := d.listen()
	return &states{ordered: o, done: done, missing: map[string]bool{}}, err
}

// answered begins with the state that the answer to the order names.
func (w *states) answered(actor, state string, at time.Time) {
	w.taken[actor] = at
	w.is(actor, state)
}

func (w *states) is(actor, state string) {
	if w.missing[actor] = true; slices.Contains(w.done, state) {
		delete(w.missing, actor)
	}
}

func (w *states) wait(ctx context.Context) error {
	for len(w.missing) > 0 {
		m, err := w.next(ctx, slices.Collect(maps.Keys(w.missing)))
		if err != nil {
			return err
		}
		w.take(m)
	}
	return nil
}

func (w *states) take(m events.Message) {
	if e, ok := m.Event.(events.ActorStateChanged); ok && !w.taken[e.Actor].IsZero() && !w.before(m, e.Actor) {
		w.is(e.Actor, e.To)
	}
}

// others is the wait for another process of each actor.
type others struct {
	ordered
	// missing are the actors that still run the process that they had when the order was taken, by that.
	missing map[string]events.Incarnation
	// ending are those that were stopping: a restart of them is a start once they are stopped.
	ending map[string]bool
	faults []error
}

func (d *remote) expectOthers(ctx context.Context, names []string) (*others, error) {
	o, err := d.listen()
	if err != nil {
		return nil, err
	}
	w := &others{ordered: o, missing: map[string]events.Incarnation{}, ending: map[string]bool{}}
	list, err := d.actors(ctx, "")
	if err != nil {
		w.close()
		return nil, err
	}
	for _, n := range names {
		w.missing[n] = events.Incarnation{}
	}
	for _, x := range list {
		if slices.Contains(names, x.Name) {
			w.missing[x.Name] = x.Incarnation
		}
	}
	return w, nil
}

// answered notes the state that the answer to the restart names.
func (w *others) answered(actor, state string, at time.Time) {
	w.taken[actor], w.ending[actor] = at, state == "stopping"
}

// refused waits for that actor no more.
func (w *others) refused(actor string) { delete(w.missing, actor) }

// wait returns when each has another process that works, or it is known that it gets none.
func (w *others) wait(ctx context.Context) error {
	for len(w.missing) > 0 {
		m, err := w.next(ctx, slices.Collect(maps.Keys(w.missing)))
		if err != nil {
			return errors.Join(append(w.faults, err)...)
		}
		w.take(m)
	}
	return errors.Join(w.faults...)
}

func (w *others) take(m events.Message) {
	switch e := m.Event.(type) {
	case events.ActorStateChanged:
		old, waits := w.missing[e.Actor]
		switch {
		case !waits:
		case w.before(m, e.Actor): // of an earlier order: what came of that is what is to be replaced
			if !e.Incarnation.IsZero() {
				w.missing[e.Actor] = e.Incarnation
			}
		case slices.Contains(works, e.To) && e.Incarnation != old:
			delete(w.missing, e.Actor)
		case e.To == "stopped" && w.ending[e.Actor]:
			w.ending[e.Actor] = false
		case e.To == "stopped", e.To == "quarantined":
			w.fault(e.Actor, fmt.Errorf("%s is %s: %s", e.Actor, e.To, e.Reason))
		}
	case events.ProcessStartFailed:
		old, waits := w.missing[e.Actor]
		switch {
		case !waits, w.before(m, e.Actor):
		case !e.Kept.IsZero() && e.Kept == old:
			w.fault(e.Actor, fmt.Errorf("%s was not restarted and works on as it was: %s", e.Actor, e.Reason))
		case e.Kept.IsZero():
			w.fault(e.Actor, fmt.Errorf("%s did not start: %s", e.Actor, e.Reason))
		}
	case events.CommandRejected:
		_, waits := w.missing[e.Actor]
		if waits && !w.before(m, e.Actor) && (e.Command == "process-restart" || e.Command == "process-kill") {
			w.fault(e.Actor, fmt.Errorf("%s was not restarted: %s", e.Actor, e.Reason))
		}
	}
}

func (w *others) fault(actor string, err error) {
	delete(w.missing, actor)
	w.faults = append(w.faults, err)
}
