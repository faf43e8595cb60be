package dispatch

import (
	"context"
	"slices"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// deathGrace is how long the sweep leaves a death to the executor, which kills
	// what is left of it and knows whose fault it was. An exit that was told is acted
	// on at once.
	deathGrace = 500 * time.Millisecond
	// maxDeaths bounds the deaths in hand; the sweep finds the others later.
	maxDeaths = 10_000
	// earlyTries bounds the looks at a process that lives although its exit was told.
	earlyTries = 20
	// orphanedAgain is the least time between two ActorOrphaned of one death.
	orphanedAgain = time.Second
)

// death is an incarnation that is said to be gone and not recovered yet.
type death struct {
	incarnation events.Incarnation
	actor       string
	how         store.Death
	told        bool      // by an exit, not found by the sweep
	at          time.Time // when it was seen to have ended, or was found alive after that
	due         time.Time
	pace        pace
	tries       int       // found alive
	orphaned    time.Time // last told
}

// deaths takes back what dead incarnations held. Its truth is the registry in
// Redis and /proc; an exit that is told only makes it faster.
type deaths struct {
	c    *Component
	r    *reporter
	open map[events.Incarnation]*death
	odd  recent // registered names that can not be judged
	// sweepAt is when a sweep that failed is repeated; zero: none is.
	sweepAt time.Time
}

func (c *Component) runDeaths(ctx context.Context) error {
	d := &deaths{c: c, r: c.reporter("deaths"), open: map[events.Incarnation]*death{}, odd: newRecent(1000)}
	sweep := time.NewTicker(c.cfg.SweepEvery)
	defer sweep.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	kick(c.sweepNow)
	for {
		select {
		case x := <-c.exits:
			d.exit(ctx, x, time.Now())
		case <-sweep.C:
			d.sweep(ctx, time.Now())
		case <-c.sweepNow:
			d.sweep(ctx, time.Now())
		case <-timer.C:
			now := time.Now()
			if !d.sweepAt.IsZero() && !d.sweepAt.After(now) {
				d.sweep(ctx, now)
			}
			for _, one := range d.open {
				if !one.due.After(now) {
					d.try(ctx, one, now)
				}
			}
		case <-ctx.Done():
			return nil
		}
		timer.Reset(d.next(time.Now()))
	}
}

// next is the time until the next death is due.
func (d *deaths) next(now time.Time) time.Duration {
	least := time.Hour
	if !d.sweepAt.IsZero() {
		least = d.sweepAt.Sub(now)
	}
	for _, one := range d.open {
		least = min(least, one.due.Sub(now))
	}
	return max(least, time.Millisecond)
}

// exit acts on a told exit at once.
func (d *deaths) exit(ctx context.Context, x exit, now time.Time) {
	if x.incarnation.IsZero() {
		kick(d.c.sweepNow) // it was not known which: the registry tells
		return
	}
	one := d.open[x.incarnation]
	if one == nil {
		if len(d.open) >= maxDeaths {
			return
		}
		one = &death{incarnation: x.incarnation, actor: x.actor}
		d.open[x.incarnation] = one
	}
	if !one.told {
		one.at = x.at
	}
	one.told, one.how = true, x.death
	d.try(ctx, one, now)
}

// sweep compares the registry with /proc.
func (d *deaths) sweep(ctx context.Context, now time.Time) {
	var registered []store.Registered
	err := limited(ctx, func(ctx context.Context) (err error) {
		registered, err = d.c.d().Incarnations(ctx)
		return err
	})
	if !d.r.told(ctx, err) {
		d.sweepAt = now.Add(d.r.pace.next())
		return
	}
	d.sweepAt = time.Time{}
	for _, reg := range registered {
		inc, err := events.ParseIncarnation(reg.Incarnation)
		if err != nil {
			if d.odd.add(reg.Incarnation) {
				d.c.log.Warn("registered actor can not be watched", "actor", reg.Actor, "err", err)
			}
			continue
		}
		if inc.Alive() {
			d.c.keepers.note(inc)
			continue
		}
		if d.open[inc] != nil || len(d.open) >= maxDeaths {
			continue
		}
		one := &death{incarnation: inc, actor: reg.Actor, due: now.Add(deathGrace)}
		if inc.Boot != d.c.boot {
			one.due = now // nobody is left to tell of it
		}
		d.open[inc] = one
	}
}

// try recovers a death, if neither the process nor its script lives.
func (d *deaths) try(ctx context.Context, one *death, now time.Time) {
	c := d.c
	if one.incarnation.Alive() {
		// Its exit was told too early; what it holds is its own till it is gone, and
		// in the end it is the sweep's.
		if one.tries++; !one.told || one.tries > earlyTries {
			delete(d.open, one.incarnation)
			return
		}
		one.at = now
		d.again(one, now)
		return
	}
	var left []events.ScriptGroup
	var rec store.Recovered
	err := limited(ctx, func(ctx context.Context) (err error) {
		if left, err = c.scriptGroups(ctx, one.actor, one.incarnation); err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(g events.ScriptGroup) bool {
			return one.incarnation.Boot != c.boot || !g.Alive()
		})
		if len(left) > 0 {
			return nil
		}
		how := one.how
		if one.told {
			how.Ago = time.Since(one.at)
		}
		rec, err = c.d().RecoverFrom(ctx, one.incarnation.String(), how, c.cfg.MaxCrashes)
		return err
	})
	switch {
	case !d.r.told(ctx, err):
		d.again(one, now)
	case len(left) > 0:
		if now.Sub(one.orphaned) >= orphanedAgain {
			one.orphaned = now
			c.log.Warn("script outlives its actor", "actor", one.actor, "event", "ActorOrphaned")
			c.publish(events.ActorOrphaned{
				Pool: poolOf(one.actor), Actor: one.actor, Incarnation: one.incarnation, Groups: left,
			})
		}
		d.again(one, now)
	default:
		delete(d.open, one.incarnation)
		if rec.Code == store.OK {
			c.log.Info("recovered", "actor", rec.Actor, "script_type", rec.Type, "depth", len(rec.Jobs))
			kick(c.measureNow)
			kick(c.delayedNow) // from its second crash on a job waits
		}
	}
}

func (d *deaths) again(one *death, now time.Time) { one.due = now.Add(one.pace.next()) }

// runAsks answers the executor's question for an actor's script groups. It has a quarter
// of a second, so this loop does nothing else.
func (c *Component) runAsks(ctx context.Context) error {
	for {
		var m events.Message
		select {
		case m = <-c.asks:
		case <-ctx.Done():
			return nil
		}
		e, _ := m.Event.(events.AskScriptGroups)
		var answer events.ScriptGroups
		err := limited(ctx, func(ctx context.Context) (err error) {
			answer.Groups, err = c.scriptGroups(ctx, e.Actor, e.Incarnation)
			return err
		})
		if err != nil {
			c.deny(m, trouble(err))
			continue
		}
		if err := m.Respond(answer); err != nil {
			c.log.Warn("answer", "actor", e.Actor, "err", err)
		}
	}
}
