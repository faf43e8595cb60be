package dispatch

import (
	"context"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// factsBlock is how long one read of the facts waits; only the pace of noticing
// a dead connection.
const factsBlock time.Duration = 5 * time.Second

// chapter is what the reader hands to the teller: facts, or the state read anew.
type chapter struct {
	facts []store.Fact
	// last is the id up to which facts are told, or covered by the state, with this.
	last string
	// lost says why facts are missing before these; "" if none are.
	lost string
	// state is told after the facts; read after the last of them.
	state []events.Event
	// read is set with state: it was read anew, for this reason.
	reason string
}

// runReader tails the actors' facts. It begins behind the newest fact and reads
// the state after that, so that nothing falls between; what it tells twice then is
// the same.
func (c *Component) runReader(ctx context.Context, out chan<- chapter) error {
	r := c.reporter("facts")
	var after string
	if !r.until(ctx, func(ctx context.Context) (err error) {
		after, err = c.store.LastFact(ctx)
		return err
	}) {
		return nil
	}
	next := chapter{reason: "start"}
	for {
		next.last = after
		if next.reason != "" {
			next.state = c.state(ctx, r)
		}
		select {
		case out <- next:
		case <-ctx.Done():
			return nil
		}
		next = chapter{}
		for {
			block := factsBlock
			if r.failing {
				block = 0 // else it would hide that Redis is back
			}
			b, err := c.store.ReadFacts(ctx, after, block)
			if !r.told(ctx, err) {
				if !r.pause(ctx) {
					return nil
				}
				continue
			}
			if b.Lost {
				next.lost = "the actors' facts after " + after + " were cut off or flushed"
				next.reason = "facts were lost"
			}
			after = b.Last
			next.facts = b.Facts
			if b.Lost || len(b.Facts) > 0 {
				break
			}
		}
	}
}

// state reads who is registered and what they hold, as facts.
func (c *Component) state(ctx context.Context, r *reporter) []events.Event {
	var out []events.Event
	r.until(ctx, func(ctx context.Context) error {
		out = nil
		registered, err := c.d().Incarnations(ctx)
		if err != nil {
			return err
		}
		live := map[string]bool{}
		for _, reg := range registered {
			inc, err := events.ParseIncarnation(reg.Incarnation)
			if err != nil || !inc.Alive() {
				continue // the sweep's
			}
			live[reg.Incarnation] = true
			out = append(out, events.ActorRegistered{Pool: poolOf(reg.Actor), Actor: reg.Actor, Type: reg.Type, Incarnation: inc})
		}
		held, err := c.held(ctx, live)
		out = append(out, held...)
		return err
	})
	return out
}

// maxPages bounds the search for the jobs in hand: 500 keys a page.
const maxPages = 2000

// held tells the jobs that live incarnations have in hand.
func (c *Component) held(ctx context.Context, live map[string]bool) ([]events.Event, error) {
	var out []events.Event
	seen := map[string]bool{}
	cursor := uint64(0)
	for range maxPages {
		page, err := c.store.Jobs(ctx, cursor)
		if err != nil {
			return nil, err
		}
		for _, j := range page.Jobs {
			if j.Status != store.StatusStarted || !live[j.Token.Incarnation] || seen[j.ID] {
				continue
			}
			seen[j.ID] = true
			inc, _ := events.ParseIncarnation(j.Token.Incarnation) // it is one of the live
			out = append(out, events.JobStarted{
				Type: j.Type, Job: j.ID, Actor: j.Actor, Incarnation: inc, Attempt: j.Attempts,
				Timeout: events.SecondsOf(j.Timeout), Wait: events.SecondsOf(max(0, j.StartedAt.Sub(j.ReadyAt))),
			})
		}
		if cursor = page.Next; cursor == 0 {
			break
		}
	}
	return out, nil
}
