package dispatch

import (
	"context"
	"fmt"
	"time"

	"herosup/dispatch/store"
)

// OwnerError says that another state folder's daemon owns this Redis prefix.
type OwnerError struct {
	// State is the owner's state id, Lease how long it holds without a renewal.
	State string
	Lease time.Duration
	// Lost says that it was ours before.
	Lost bool
}

func (e *OwnerError) Error() string {
	verb := "take"
	if e.Lost {
		verb = "keep"
	}
	return fmt.Sprintf("%s redis prefix: the daemon of state %s owns it (for %s more unless it renews)", verb, e.State, e.Lease.Round(time.Millisecond))
}

// Hint says what to do.
func (e *OwnerError) Hint() string {
	return "stop that daemon, or give this one another redis.prefix"
}

// own takes or renews the prefix, for as long as it takes while Redis is away.
func (c *Component) own(ctx context.Context, r *reporter, lost bool) error {
	var o store.Owner
	if !r.until(ctx, func(ctx context.Context) (err error) {
		o, err = c.store.Bare().TakeOwner(ctx, c.cfg.State, c.cfg.OwnerLease)
		return err
	}) {
		return context.Cause(ctx)
	}
	if o.Code == store.Other {
		return &OwnerError{State: o.StateID, Lease: o.For, Lost: lost}
	}
	return nil
}

// runOwner renews the lease each third of it.
func (c *Component) runOwner(ctx context.Context) error {
	r := c.reporter("owner")
	for pause(ctx, c.cfg.OwnerLease/3) {
		if err := c.own(ctx, r, true); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// disown lets another daemon take the prefix at once; without it the lease runs out.
func (c *Component) disown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := c.store.Bare().ReleaseOwner(ctx, c.cfg.State); err != nil {
		c.log.Debug("release redis prefix", "err", err)
	}
}
