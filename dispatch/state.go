package dispatch

import (
	"context"

	"herosup/dispatch/store"
	"herosup/events"
)

// heldACall bounds one question for what incarnations have in hand.
const heldACall = 200

// state reads who is registered and what they hold, as facts.
func (c *Component) state(ctx context.Context, r *reporter) []events.Event {
	var registered []store.Registered
	if !r.until(ctx, func(ctx context.Context) (err error) {
		registered, err = c.d().Incarnations(ctx)
		return err
	}) {
		return nil
	}
	var out []events.Event
	live := map[string]events.Incarnation{}
	var asked []string
	for _, reg := range registered {
		inc, err := events.ParseIncarnation(reg.Incarnation)
		if err != nil || !inc.Alive() {
			continue // the sweep's
		}
		live[reg.Incarnation] = inc
		asked = append(asked, reg.Incarnation)
		out = append(out, events.ActorRegistered{Pool: poolOf(reg.Actor), Actor: reg.Actor, Type: reg.Type, Incarnation: inc, Anew: true})
	}
	holds := map[events.Incarnation][]string{}
	for _, some := range chunks(asked, heldACall) {
		var held []store.Record
		if !r.until(ctx, func(ctx context.Context) (err error) {
			held, err = c.d().HeldJobs(ctx, some)
			return err
		}) {
			return nil
		}
		for _, j := range held {
			inc := live[j.Token.Incarnation]
			holds[inc] = append(holds[inc], j.ID)
			out = append(out, startedAgain(j, inc))
		}
	}
	for i, e := range out {
		if reg, ok := e.(events.ActorRegistered); ok {
			reg.Holds = holds[reg.Incarnation]
			out[i] = reg
		}
	}
	return out
}

// startedAgain tells of a job in hand what its start told.
func startedAgain(j store.Record, inc events.Incarnation) events.JobStarted {
	return events.JobStarted{
		Type: j.Type, Job: j.ID, Actor: j.Actor, Incarnation: inc, Attempt: j.Attempts,
		Timeout: events.SecondsOf(j.Timeout), Wait: events.SecondsOf(max(0, j.StartedAt.Sub(j.ReadyAt))), Alone: j.Alone,
	}
}
