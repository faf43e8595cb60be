package dispatch

import (
	"cmp"
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
	// stillEvery measures, empty counts are read again although nothing was told since: a measure looks into the hand of
	// each actor, and a system that sleeps should leave Redis alone.
	stillEvery = 300
)

// typesNow are the job types known: those of the configured pools and those seen.
func (c *Component) typesNow() []string { return *c.types.Load() }

// runDepth measures each type, and finds out which types there are.
func (c *Component) runDepth(ctx context.Context) error {
	r := c.reporter("depth")
	m := &measure{c: c, last: map[string]events.QueueMeasured{}, when: map[string]time.Time{}}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.measureNow:
			m.empty = false
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
	when map[string]time.Time
	still
}

// still is what was so when the counts were read last.
type still struct {
	empty bool      // nothing waited, ran or was delayed, in any type
	told  uint64    // the facts that had been told
	at    time.Time // when that was
}

// holds reports whether the counts are known without a look: no script moves a job and leaves no fact, what others push is
// seen by who watches for it, and who sees anything else asks for a measure.
func (s still) holds(told uint64, now time.Time, every time.Duration) bool {
	return s.empty && s.told == told && now.Sub(s.at) < stillEvery*every
}

func (m *measure) round(ctx context.Context, now time.Time) error {
	told := m.c.published.Load()
	if m.still.holds(told, now, m.c.cfg.MeasureEvery) {
		for _, e := range m.last {
			m.tell(e, now)
		}
		return nil
	}
	m.still = still{told: told, at: now}
	if err := m.findTypes(ctx); err != nil {
		return err
	}
	empty := true
	var odd error // a key of one type is another program's: the others are told
	waiting := map[string]int{}
	for _, types := range chunks(m.c.typesNow(), typesACall) {
		var depths []store.Depth
		err := limited(ctx, func(ctx context.Context) (err error) {
			depths, err = m.c.d().Depths(ctx, types)
			return err
		})
		if err != nil && !isWrongType(err) {
			return err
		}
		odd = cmp.Or(odd, err)
		for _, d := range depths {
			e := measured(d)
			if d.Ready > 0 {
				waiting[d.Type] = d.Ready
			}
			empty = empty && e.Ready+e.Delayed+e.InFlight == 0
			m.tell(e, now)
		}
	}
	m.c.waiting.Store(&waiting)
	m.empty = empty && odd == nil
	return odd
}

func (m *measure) tell(e events.QueueMeasured, now time.Time) {
	if worthTelling(m.last[e.Type], e, now.Sub(m.when[e.Type]), m.c.cfg.MeasureEvery) {
		m.last[e.Type], m.when[e.Type] = e, now
		m.c.publish(e)
	}
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
	var all []string
	for _, p := range c.cfg.Pools {
		all = append(all, p.Types...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	// Whoever submits may name types without end: those of the pools have their places, and of the others those that
	// came first.
	have, configured := c.typesNow(), all
	others := slices.Clone(have)
	for _, t := range seen {
		if err := events.CheckToken("script type", t); err != nil {
			continue // written by somebody else
		}
		if _, known := slices.BinarySearch(have, t); !known {
			others = append(others, t)
		}
	}
	others = slices.DeleteFunc(others, func(t string) bool {
		_, ours := slices.BinarySearch(configured, t)
		return ours
	})
	if n := len(configured) + len(others); n > maxTypes {
		c.log.Warn("too many script types", "depth", n)
		others = others[:max(0, maxTypes-len(configured))]
	}
	all = slices.Concat(configured, others)
	slices.Sort(all)
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
