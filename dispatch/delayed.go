package dispatch

import (
	"context"
	"time"

	"herosup/dispatch/store"
)

// delayedEvery is how long the timer sleeps at most: Redis' clock may be set.
const delayedEvery = 30 * time.Second

// runDelayed sleeps until time brings something: a delayed job that is due, and then
// served, or one that is too late to begin, and then ends. Whatever puts an earlier moment there wakes it.
func (c *Component) runDelayed(ctx context.Context) error {
	r := c.reporter("delayed")
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.delayedNow:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		wait, err := c.promote(ctx)
		if !r.told(ctx, err) {
			wait = r.pace.next()
		}
		timer.Reset(wait)
	}
}

// promote moves what is due and says how long to sleep.
func (c *Component) promote(ctx context.Context) (time.Duration, error) {
	least := delayedEvery
	for _, types := range chunks(c.typesNow(), typesACall) {
		for {
			var ahead store.Ahead
			if err := limited(ctx, func(ctx context.Context) (err error) {
				ahead, err = c.d().Ahead(ctx, types)
				return err
			}); err != nil {
				return 0, err
			}
			if len(ahead.Due) == 0 {
				if !ahead.Next.IsZero() {
					// Redis counts in milliseconds and rounds down.
					least = min(least, ahead.In+time.Millisecond)
				}
				break
			}
			if err := c.promoteDue(ctx, ahead.Due); err != nil {
				return 0, err
			}
		}
	}
	return least, nil
}

// promoteDue moves everything that is due of these types.
func (c *Component) promoteDue(ctx context.Context, types []string) error {
	for _, t := range types {
		for more := true; more; {
			var p store.Promoted
			if err := limited(ctx, func(ctx context.Context) (err error) {
				p, err = c.d().Promote(ctx, t)
				return err
			}); err != nil {
				return err
			}
			more = p.More
		}
	}
	kick(c.measureNow)
	return nil
}
