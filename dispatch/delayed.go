package dispatch

import (
	"cmp"
	"context"
	"slices"
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
			wait = min(wait, r.pace.next())
		}
		timer.Reset(wait)
	}
}

// promote moves what is due and says how long to sleep. A type one of whose keys is another program's holds up no other: its trouble is
// said when they had their turn.
func (c *Component) promote(ctx context.Context) (time.Duration, error) {
	least := delayedEvery
	var odd error
	for _, types := range chunks(c.typesNow(), typesACall) {
		for {
			var ahead store.Ahead
			err := limited(ctx, func(ctx context.Context) (err error) {
				ahead, err = c.d().Ahead(ctx, types)
				return err
			})
			if err != nil && !isWrongType(err) {
				return least, err
			}
			odd = cmp.Or(odd, err)
			if len(ahead.Due) == 0 {
				if !ahead.Next.IsZero() {
					// Redis counts in milliseconds and rounds down.
					least = min(least, ahead.In+time.Millisecond)
				}
				break
			}
			left, err := c.promoteDue(ctx, ahead.Due)
			if err != nil && len(left) == 0 {
				return least, err
			}
			if len(left) > 0 { // due still at the next look: they are left out of this one
				odd = cmp.Or(odd, err)
				types = slices.DeleteFunc(slices.Clone(types), func(t string) bool { return slices.Contains(left, t) })
			}
		}
	}
	return least, odd
}

// promoteDue moves everything that is due of these types. It goes on behind one that has a key of another kind: left, with the error of the first.
func (c *Component) promoteDue(ctx context.Context, types []string) (left []string, odd error) {
	defer kick(c.measureNow)
	for _, t := range types {
		for more := true; more; {
			var p store.Promoted
			err := limited(ctx, func(ctx context.Context) (err error) {
				p, err = c.d().Promote(ctx, t)
				return err
			})
			if err != nil && !isWrongType(err) {
				return nil, err
			}
			if err != nil {
				left, odd = append(left, t), cmp.Or(odd, err)
			}
			more = p.More
		}
	}
	return left, odd
}
