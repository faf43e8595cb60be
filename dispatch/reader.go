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

// trimEvery is how many facts are read before those that were told are dropped
// from Redis. Nobody reads them again: a start begins with the state.
const trimEvery = 500

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
func (c *Component) runReader(ctx context.Context, out *ahead) error {
	r := c.reporter("facts")
	var after string
	if !r.until(ctx, func(ctx context.Context) (err error) {
		after, err = c.store.LastFact(ctx)
		return err
	}) {
		return nil
	}
	c.factsRead.Store(new(after))
	close(c.reading)
	next := chapter{reason: "start"}
	for read := 0; ; {
		next.last = after
		if next.reason != "" {
			next.state = c.state(ctx, r)
		}
		if !out.add(ctx, next) {
			return nil
		}
		if read += len(next.facts); read >= trimEvery {
			read = 0
			if err := c.store.TrimFacts(ctx, after); err != nil && ctx.Err() == nil {
				c.log.Debug("trim facts", "err", err) // the scripts' cap holds all the same
			}
		}
		next = chapter{}
		for {
			block := factsBlock
			if r.failing {
				block = 0 // else it would hide that Redis is back
			}
			epoch := c.epoch.Load() // before the read: what it brings is of this epoch or a later one
			b, err := c.store.ReadFacts(ctx, after, block)
			if err == nil {
				err = c.step("facts")
			}
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
			c.endings.note(b.Facts)
			c.factsRead.Store(new(after))
			c.reached(epoch, func(m *mark) {
				if compareIDs(after, m.fact) > 0 {
					m.fact = after
				}
			})
			next.facts = b.Facts
			if b.Lost || len(b.Facts) > 0 {
				break
			}
		}
	}
}
