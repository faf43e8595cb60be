package dispatch

import (
	"context"
	"errors"

	"herosup/dispatch/store"
	"herosup/events"
)

// maxPages bounds the search for jobs in hand: 500 keys a page.
const maxPages = 1000

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
	unknown := map[string]bool{} // hold a job that is not known yet
	for _, reg := range registered {
		inc, err := events.ParseIncarnation(reg.Incarnation)
		if err != nil || !inc.Alive() {
			continue // the sweep's
		}
		live[reg.Incarnation] = inc
		out = append(out, events.ActorRegistered{Pool: poolOf(reg.Actor), Actor: reg.Actor, Type: reg.Type, Incarnation: inc})
		job, holds := c.inHand(ctx, r, reg)
		switch {
		case job.ID != "":
			out = append(out, startedAgain(job, inc))
		case holds:
			unknown[reg.Incarnation] = true
		}
	}
	return append(out, c.search(ctx, r, live, unknown)...)
}

// inHand finds what an incarnation holds: by the script group it recorded, which
// names the job; holds says that there is one that can not be found so.
func (c *Component) inHand(ctx context.Context, r *reporter, reg store.Registered) (job store.Record, holds bool) {
	r.until(ctx, func(ctx context.Context) error {
		if reg.Group != nil {
			rec, err := c.store.Job(ctx, reg.Group.Job)
			if err == nil && rec.Status == store.StatusStarted && rec.Token.Incarnation == reg.Incarnation {
				job = rec
				return nil
			}
			if err != nil && !errors.Is(err, store.ErrNoJob) {
				return err
			}
		}
		rec, ok, err := c.d().ActorRecord(ctx, reg.Actor)
		holds = ok && rec.Held > 0 && rec.Incarnation == reg.Incarnation
		return err
	})
	return job, holds
}

// search walks the records for the jobs of those who recorded no script group (an
// actor that runs its jobs itself), until it has one for each.
func (c *Component) search(ctx context.Context, r *reporter, live map[string]events.Incarnation, unknown map[string]bool) []events.Event {
	var out []events.Event
	cursor := uint64(0)
	for range maxPages {
		if len(unknown) == 0 {
			break
		}
		var page store.JobsPage
		if !r.until(ctx, func(ctx context.Context) (err error) {
			page, err = c.store.Jobs(ctx, cursor)
			return err
		}) {
			return out
		}
		for _, j := range page.Jobs {
			if j.Status == store.StatusStarted && unknown[j.Token.Incarnation] {
				delete(unknown, j.Token.Incarnation)
				out = append(out, startedAgain(j, live[j.Token.Incarnation]))
			}
		}
		if cursor = page.Next; cursor == 0 {
			break
		}
	}
	return out
}

// startedAgain tells of a job in hand what its start told.
func startedAgain(j store.Record, inc events.Incarnation) events.JobStarted {
	return events.JobStarted{
		Type: j.Type, Job: j.ID, Actor: j.Actor, Incarnation: inc, Attempt: j.Attempts,
		Timeout: events.SecondsOf(j.Timeout), Wait: events.SecondsOf(max(0, j.StartedAt.Sub(j.ReadyAt))),
	}
}
