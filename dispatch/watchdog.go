package dispatch

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"herosup/events"
)

// The watchdog looks for the one thing that must not be: jobs wait, an actor has
// room, and nobody takes one. Rings and hand-overs make sure that it is not, so who
// still sees it sees a fault: a lost message, or an actor that hangs. First the
// actors are rung, then they are asked for a sign of life, then those that gave none
// are replaced, or only ended where their program is gone; each step is told.
const (
	// watchEvery is the pace of looking at the counts, which costs nothing.
	watchEvery = time.Second
	// maxWatchedActors bounds the actors of one type that a step is about.
	maxWatchedActors = 100
)

// standstill is what is known of a type in which nothing moves.
type standstill struct {
	claims uint64
	since  time.Time // nothing was taken since
	step   int       // the next
	rung   time.Time // who was seen after it lives
}

// standStep is what the watchdog does.
type standStep int

const (
	standNothing standStep = iota
	standRing
	standPing
	standRestart
)

// look takes a new sight of a type: how many of its jobs are ready, and how many were ever taken. It returns what
// is due now, if an actor has room, which only then is worth a look. after is the time for each step.
func (s *standstill) look(now time.Time, ready int, claims uint64, after time.Duration) standStep {
	if ready == 0 {
		*s = standstill{}
		return standNothing
	}
	if claims != s.claims || s.since.IsZero() {
		*s = standstill{claims: claims, since: now}
		return standNothing
	}
	if now.Sub(s.since) < after*time.Duration(s.step+1) {
		return standNothing
	}
	return min(standRing+standStep(s.step), standRestart)
}

// confirm looks once more just before the step, at counts of this moment: what look went by may be a measure's
// pace old, and those jobs taken since. Without jobs, or with nobody who has room, all begins again.
func (s *standstill) confirm(now time.Time, ready, room int) bool {
	if ready > 0 && room > 0 {
		return true
	}
	*s = standstill{claims: s.claims, since: now}
	return false
}

// took says that the step was taken; after the last one all begins again.
func (s *standstill) took(step standStep, now time.Time) {
	if step == standRing {
		s.rung = now
	}
	if s.step++; step == standRestart {
		*s = standstill{claims: s.claims, since: now}
	}
}

// idleActor is an actor that has room.
type idleActor struct {
	name string
	seen time.Time
	busy bool // with something in hand
}

// hung are the actors that gave no sign of life since the ring.
func hung(all []idleActor, rung time.Time) []idleActor {
	var out []idleActor
	for _, a := range all {
		if !a.seen.After(rung) {
			out = append(out, a)
		}
	}
	return out
}

// claimCounts counts the jobs that were taken, by type. The teller writes, the watchdog reads.
type claimCounts struct{ byType sync.Map }

func (c *claimCounts) add(jobType string) {
	n, ok := c.byType.Load(jobType)
	if !ok {
		n, _ = c.byType.LoadOrStore(jobType, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

func (c *claimCounts) of(jobType string) uint64 {
	if n, ok := c.byType.Load(jobType); ok {
		return n.(*atomic.Uint64).Load()
	}
	return 0
}

func (c *Component) runWatchdog(ctx context.Context) error {
	r := c.reporter("watchdog")
	stands := map[string]*standstill{} // by type: at most maxTypes
	tick := time.NewTicker(min(watchEvery, c.cfg.WatchAfter))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		waiting := *c.waiting.Load()
		for jobType := range stands {
			if waiting[jobType] == 0 {
				delete(stands, jobType)
			}
		}
		for jobType, ready := range waiting {
			s := stands[jobType]
			if s == nil {
				s = &standstill{}
				stands[jobType] = s
			}
			now := time.Now()
			step := s.look(now, ready, c.claimed.of(jobType), c.cfg.WatchAfter)
			if step == standNothing {
				continue
			}
			actors, ready, redisNow, err := c.withRoom(ctx, jobType)
			if !r.told(ctx, err) || !s.confirm(now, ready, len(actors)) {
				continue
			}
			c.stir(ctx, s, step, jobType, ready, actors, redisNow)
			s.took(step, redisNow)
		}
	}
}

// withRoom are the actors of a type that live, are open and hold fewer jobs than they have slots, and how many jobs
// are ready. They are counted last: an actor that was seen with room may have emptied the queue before, but what
// is ready after that was there beside it.
func (c *Component) withRoom(ctx context.Context, jobType string) (out []idleActor, ready int, now time.Time, err error) {
	err = limited(ctx, func(ctx context.Context) error {
		regs, err := c.d().Incarnations(ctx)
		if err != nil {
			return err
		}
		clears, err := c.d().Clears(ctx, jobType)
		if err != nil {
			return err
		}
		for _, reg := range regs {
			inc, err := events.ParseIncarnation(reg.Incarnation)
			if err != nil || !slices.Contains(reg.Serves, jobType) || len(out) >= maxWatchedActors || !inc.Alive() {
				continue
			}
			rec, ok, err := c.d().ActorRecord(ctx, reg.Actor)
			if err != nil {
				return err
			}
			if ok && rec.Incarnation == reg.Incarnation && rec.Open && rec.Held < rec.Slots && !rec.Alone && reg.Actor+" "+reg.Incarnation != clears {
				out = append(out, idleActor{name: reg.Actor, seen: rec.SeenAt, busy: rec.Held > 0})
			}
		}
		depths, err := c.d().Depths(ctx, []string{jobType})
		if err != nil {
			return err
		}
		ready = depths[0].Ready
		if ready == depths[0].Alone { // those need an empty hand
			out = slices.DeleteFunc(out, func(a idleActor) bool { return a.busy })
		}
		now, err = c.store.Now(ctx) // what an actor's last sign of life is measured by
		return err
	})
	return out, ready, now, err
}

// stir takes one step.
func (c *Component) stir(ctx context.Context, s *standstill, step standStep, jobType string, ready int, actors []idleActor, now time.Time) {
	if step == standRestart {
		actors = hung(actors, s.rung)
	}
	for _, a := range actors {
		stalled := events.ActorStalled{
			Pool: poolOf(a.name), Actor: a.name, Type: jobType, Ready: ready, For: events.SecondsOf(time.Since(s.since)), Step: stepName(step),
		}
		c.log.Warn("jobs wait beside an actor that has room", "event", "ActorStalled", "actor", a.name, "script_type", jobType, "depth", ready, "reason", stalled.Step)
		c.publish(stalled)
		switch step {
		case standRing:
			_ = limited(ctx, func(ctx context.Context) error {
				_, err := c.d().Ring(ctx, a.name)
				return err
			})
		case standPing:
			c.publish(events.ActorPing{Actor: a.name})
		case standRestart:
			c.publish(events.ActorRestart{Actor: a.name, Deadline: events.SecondsOf(c.cfg.WatchAfter), Reason: "it has room, jobs wait, and it gives no sign of life", Hung: true})
		case standNothing:
		}
	}
}

func stepName(s standStep) string {
	switch s {
	case standRing:
		return events.StalledRing
	case standPing:
		return events.StalledPing
	case standRestart:
		return events.StalledRestart
	case standNothing:
	}
	return ""
}
