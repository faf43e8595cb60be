package dispatch

import (
	"context"
	"time"

	"herosup/dispatch/store"
)

// delayedEvery is how long the timer sleeps at most: Redis' clock may be set.
const delayedEvery = 30 * time.Second

// runDelayed sleeps until the next delayed job is due, and then lets it be served.
// A delayed job that is accepted wakes it.
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
			var in time.Duration
			var some bool
			if err := limited(ctx, func(ctx context.Context) (err error) {
				_, in, some, err = c.d().NextDelayed(ctx, types)
				return err
			}); err != nil {
				return 0, err
			}
			if !some {
				break
			}
			if in > 0 {
				// Redis counts in milliseconds and rounds down.
				least = min(least, in+time.Millisecond)
				break
			}
			if err := c.promoteDue(ctx, types); err != nil {
				return 0, err
			}
		}
	}
	return least, nil
}

// promoteDue moves everything that is due among these types.
func (c *Component) promoteDue(ctx context.Context, types []string) error {
	var depths []store.Depth
	if err := limited(ctx, func(ctx context.Context) (err error) {
		depths, err = c.d().Depths(ctx, types)
		return err
	}); err != nil {
		return err
	}
	for _, d := range depths {
		for more := d.Due > 0; more; {
			var p store.Promoted
			if err := limited(ctx, func(ctx context.Context) (err error) {
				p, err = c.d().Promote(ctx, d.Type)
				return err
			}); err != nil {
				return err
			}
			more = p.More
		}
		if d.Due > 0 {
			kick(c.measureNow)
		}
	}
	return nil
}
