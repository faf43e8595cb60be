package dispatch

import (
	"context"
	"slices"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// typesACall bounds one script over types; maxTypes what is served in all.
	typesACall = 200
	maxTypes   = 1000
	// tellEvery measures, an unchanged depth is told again, for those who came late.
	tellEvery = 5
)

// typesNow are the job types known: those of the configured pools and those seen.
func (c *Component) typesNow() []string { return *c.types.Load() }

// runDepth measures each type, and finds out which types there are.
func (c *Component) runDepth(ctx context.Context) error {
	r := c.reporter("depth")
	m := &measure{c: c, last: map[string]events.QueueMeasured{}, at: map[string]time.Time{}}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.measureNow:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		wait := c.cfg.MeasureEvery
		if !r.told(ctx, m.round(ctx, time.Now())) {
			wait = min(wait, r.pace.next())
		}
		timer.Reset(wait)
	}
}

// measure remembers what was told: bounded by maxTypes.
type measure struct {
	c    *Component
	last map[string]events.QueueMeasured
	at   map[string]time.Time
}

func (m *measure) round(ctx context.Context, now time.Time) error {
	if err := m.findTypes(ctx); err != nil {
		return err
	}
	waiting := map[string]int{}
	for _, types := range chunks(m.c.typesNow(), typesACall) {
		var depths []store.Depth
		if err := limited(ctx, func(ctx context.Context) (err error) {
			depths, err = m.c.d().Depths(ctx, types)
			return err
		}); err != nil {
			return err
		}
		for _, d := range depths {
			e := measured(d)
			if d.Ready > 0 {
				waiting[d.Type] = d.Ready
			}
			if worthTelling(m.last[d.Type], e, now.Sub(m.at[d.Type]), m.c.cfg.MeasureEvery) {
				m.last[d.Type], m.at[d.Type] = e, now
				m.c.publish(e)
			}
		}
	}
	m.c.waiting.Store(&waiting)
	return nil
}

func measured(d store.Depth) events.QueueMeasured {
	return events.QueueMeasured{
		// What is due waits already, if only for its promotion.
		Type: d.Type, Ready: d.Ready + d.Due, Alone: d.Alone, Delayed: d.Delayed, InFlight: d.InFlight, OldestWait: events.SecondsOf(d.OldestWait),
	}
}

// worthTelling: the counts changed, or it is some time since. A wait that only
// grows is told at the pace of the measure.
func worthTelling(was, is events.QueueMeasured, since, every time.Duration) bool {
	if since >= tellEvery*every {
		return true
	}
	waits := is.Ready > 0 && since >= every
	was.OldestWait, is.OldestWait = 0, 0
	return waits || was != is
}

// findTypes joins the configured types and those that Redis has seen.
func (m *measure) findTypes(ctx context.Context) error {
	c := m.c
	var seen []string
	if err := limited(ctx, func(ctx context.Context) (err error) {
		seen, err = c.store.Types(ctx)
		return err
	}); err != nil {
		return err
	}
	have := c.typesNow()
	all := slices.Clone(have)
	for _, p := range c.cfg.Pools {
		all = append(all, p.Types...)
	}
	for _, t := range seen {
		if err := events.CheckToken("script type", t); err != nil {
			continue // written by somebody else
		}
		all = append(all, t)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > maxTypes {
		c.log.Warn("too many script types", "depth", len(all))
		all = all[:maxTypes]
	}
	c.types.Store(&all)
	for _, t := range all {
		if _, known := slices.BinarySearch(have, t); !known {
			kick(c.delayedNow)
			select {
			case c.watched <- t:
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// chunks cuts a list into parts of at most n.
func chunks(all []string, n int) [][]string {
	return slices.Collect(slices.Chunk(all, n))
}
