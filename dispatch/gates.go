package dispatch

import (
	"context"
	"maps"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// maxGates bounds the gates that are wanted closed, maxNames the actors known
	// by name: far above what one host can run.
	maxGates = 10_000
	maxNames = 10_000
)

// ringAll makes every actor known claim: after a flush they wait on wake lists
// that are gone, and would learn of the new epoch in a minute only.
type ringAll struct{}

// gate is one actor's intake that is wanted closed, or has yet to be opened.
type gate struct {
	actor, pool string
	close       bool
	nonce       string // of the order
	// since is the newest fact before the close: a drained fact up to it answers an
	// earlier close.
	since       string
	incarnation string // whose gate it was; "": nobody was registered
	done        bool
	due         time.Time
	pace        pace
}

// gates carries out the keeper's orders about intakes, one after the other, and
// holds on to a wanted close: a new incarnation's gate is open.
type gates struct {
	c     *Component
	r     *reporter
	want  map[string]*gate
	names map[string]struct{}
	deaf  map[string]struct{} // names still to be rung
	ringR pace
	due   time.Time // of the ring
}

func (c *Component) runGates(ctx context.Context) error {
	g := &gates{c: c, r: c.reporter("gates"), want: map[string]*gate{}, names: map[string]struct{}{}, deaf: map[string]struct{}{}}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case v := <-c.orders:
			g.order(ctx, v)
		case v := <-c.heard:
			g.hear(ctx, v)
		case <-c.gatesNow:
			for _, one := range g.want {
				g.try(ctx, one)
			}
		case <-timer.C:
			now := time.Now()
			for _, one := range g.want {
				if !one.done && !one.due.After(now) {
					g.try(ctx, one)
				}
			}
			if len(g.deaf) > 0 && !g.due.After(now) {
				g.ringThem(ctx)
			}
		case <-ctx.Done():
			return nil
		}
		timer.Reset(g.next(time.Now()))
	}
}

func (g *gates) next(now time.Time) time.Duration {
	least := time.Hour
	for _, one := range g.want {
		if !one.done {
			least = min(least, one.due.Sub(now))
		}
	}
	if len(g.deaf) > 0 {
		least = min(least, g.due.Sub(now))
	}
	return max(least, time.Millisecond)
}

func (g *gates) order(ctx context.Context, v any) {
	switch v := v.(type) {
	case name:
		if g.know(string(v)) { // it may be the first word about it, behind the ring for all
			g.deaf[string(v)] = struct{}{}
			g.ringThem(ctx)
		}
	case ringAll:
		maps.Copy(g.deaf, g.names)
		g.ringThem(ctx)
	case exit:
		// The next life of the name is another story, with orders of its own.
		if one := g.want[v.actor]; one != nil && (one.incarnation == "" || one.incarnation == v.incarnation.String()) {
			delete(g.want, v.actor)
		}
	case events.Message:
		switch e := v.Event.(type) {
		case events.CloseIntake:
			g.begin(ctx, &gate{actor: e.Actor, pool: e.Pool, close: true, nonce: e.Nonce})
		case events.OpenIntake:
			g.begin(ctx, &gate{actor: e.Actor, pool: e.Pool})
		case events.PingIntake:
			g.know(e.Actor)
			g.ping(ctx, e)
		}
	}
}

// hear takes what the facts say.
func (g *gates) hear(ctx context.Context, v any) {
	switch v := v.(type) {
	case hello:
		g.know(v.actor)
		// Also for the same incarnation: after a flush it registers anew.
		if one := g.want[v.actor]; one != nil && one.close {
			g.try(ctx, one)
		}
	case drainedFact:
		one := g.want[v.actor]
		if one == nil || !one.close || !one.done || compareIDs(v.id, one.since) <= 0 {
			return // it answers a close that was taken back
		}
		g.drained(one, v.incarnation, "")
	}
}

// know remembers a name; it reports whether that is new.
func (g *gates) know(actor string) bool {
	if _, known := g.names[actor]; known || len(g.names) >= maxNames {
		return false
	}
	g.names[actor] = struct{}{}
	return true
}

func (g *gates) begin(ctx context.Context, one *gate) {
	g.know(one.actor)
	if one.pool == "" {
		one.pool = poolOf(one.actor)
	}
	if g.want[one.actor] == nil && len(g.want) >= maxGates {
		g.c.log.Error("too many gates", "actor", one.actor)
		return
	}
	g.want[one.actor] = one
	g.try(ctx, one)
}

// try carries out what is wanted; what Redis does not answer is tried again.
func (g *gates) try(ctx context.Context, one *gate) {
	c := g.c
	if !one.close {
		err := limited(ctx, func(ctx context.Context) error {
			_, err := c.d().OpenGate(ctx, one.actor) // not registered: open is what it comes up with
			return err
		})
		if g.settled(ctx, one, err) {
			delete(g.want, one.actor)
		}
		return
	}
	var was store.Gate
	before, after := one.since, ""
	err := limited(ctx, func(ctx context.Context) (err error) {
		if before == "" {
			if before, err = c.store.LastFact(ctx); err != nil {
				return err
			}
		}
		if was, err = c.d().CloseGate(ctx, one.actor); err != nil || was.Held > 0 {
			return err
		}
		after, err = c.store.LastFact(ctx)
		return err
	})
	if !g.settled(ctx, one, err) {
		return
	}
	one.since, one.incarnation = before, was.Incarnation
	if was.Held == 0 {
		g.drained(one, was.Incarnation, after)
	}
}

func (g *gates) settled(ctx context.Context, one *gate, err error) bool {
	if one.done = g.r.told(ctx, err); one.done {
		one.pace.reset()
		return true
	}
	one.due = time.Now().Add(one.pace.next())
	return false
}

// drained tells that nothing is in hand, once everything up to the fact after is
// told ("": now).
func (g *gates) drained(one *gate, incarnation, after string) {
	inc, _ := events.ParseIncarnation(incarnation) // nobody registered: zero
	g.say(telling{kind: tellDrained, after: after, event: events.ActorDrained{
		Pool: one.pool, Actor: one.actor, Incarnation: inc, Nonce: one.nonce,
	}})
}

// ping pushes one ping. It is told before its pong can be: the teller knows of it
// first.
func (g *gates) ping(ctx context.Context, e events.PingIntake) {
	c := g.c
	pinged := events.ActorPinged{Pool: e.Pool, Actor: e.Actor, Nonce: e.Nonce}
	g.say(telling{kind: tellPinging, nonce: e.Nonce, event: pinged})
	var code store.Code
	err := limited(ctx, func(ctx context.Context) (err error) {
		code, err = c.d().Ping(ctx, e.Actor, e.Nonce)
		return err
	})
	if err == nil && code == store.OK {
		g.say(telling{kind: tellPinged, nonce: e.Nonce, event: pinged})
		return
	}
	// Not tried again: Redis away is not the actor's silence, and the monitor asks
	// anew.
	g.say(telling{kind: tellUnpinged, nonce: e.Nonce})
	c.log.Info("not pinged", "actor", e.Actor, "reason", string(code), "err", err)
}

func (g *gates) ringThem(ctx context.Context) {
	for actor := range g.deaf {
		err := limited(ctx, func(ctx context.Context) error {
			_, err := g.c.d().Ring(ctx, actor)
			return err
		})
		if !g.r.told(ctx, err) {
			g.due = time.Now().Add(g.ringR.next())
			return
		}
		delete(g.deaf, actor)
	}
	g.ringR.reset()
}

// say hands over to the teller, which never waits for the gates.
func (g *gates) say(t telling) { g.c.say(t) }

func (c *Component) say(t telling) {
	select {
	case c.tell <- t:
	case <-c.stopping:
	}
}
