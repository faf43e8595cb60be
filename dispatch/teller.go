package dispatch

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// queuedFirst bounds the wait for a job's queued fact before its started one:
	// the intake is in the middle of the same pipeline. It may die with Redis
	// there, and then order is not worth more waiting.
	queuedFirst = time.Second
	// afterTimeout is how long that wait is then left out.
	afterTimeout = 5 * time.Second
	// maxAnnounced bounds the memory of which jobs pushed by others are told.
	maxAnnounced = 20_000
	// maxPings bounds the pings whose push is not confirmed yet.
	maxPings = 4096
)

// telling is what another loop wants told in its place among the actors' facts.
type telling struct {
	kind  tellingKind
	event events.Event // drained, pinging, pinged, adopted
	after string       // drained: tell once this fact is told
	nonce string       // pinging, pinged, unpinged
	jobs  []string     // foreign
	typ   string       // foreign
	ready int          // foreign
}

type tellingKind int

const (
	tellDrained  tellingKind = iota // the gate was closed and nothing was in hand
	tellPinging                     // a ping is about to be pushed
	tellPinged                      // it was
	tellUnpinged                    // it was not
	tellForeign                     // jobs that others pushed were seen in a queue
	tellAdopted                     // one of those is in the log now
)

// teller is the one voice for facts about jobs in hand and about actors: what the
// scripts wrote is told in the scripts' order, and what other loops learnt is
// fitted in, so that no start is told before its job's queuing and no pong before
// its ping.
type teller struct {
	c         *Component
	r         *reporter
	last      string // id of the newest fact told
	drained   []telling
	pings     map[string]events.Event // by nonce: to be told before its pong; nil: told
	announced recent
	hurryTill time.Time
}

// runTeller runs the reader of the facts and the teller.
func (c *Component) runTeller(ctx context.Context) error {
	ahead := newAhead()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.runReader(ctx, ahead) })
	g.Go(func() error {
		t := &teller{c: c, r: c.reporter("teller"), last: "0-0", pings: map[string]events.Event{}, announced: newRecent(maxAnnounced)}
		for {
			select {
			case ch := <-ahead.chapters:
				ahead.taken(ch)
				if err := c.step("tell"); err != nil {
					return err
				}
				t.chapter(ctx, ch)
			case tell := <-c.tell:
				t.say(tell)
			case <-c.stateNow:
				t.state(c.state(ctx, t.r))
			case <-ctx.Done():
				t.rest(ctx, ahead)
				return nil
			}
		}
	})
	return g.Wait()
}

// rest tells what is read already: who comes after us begins behind it.
func (t *teller) rest(ctx context.Context, a *ahead) {
	for {
		select {
		case ch := <-a.chapters:
			t.chapter(ctx, ch)
		default:
			return
		}
	}
}

func (t *teller) chapter(ctx context.Context, ch chapter) {
	if ch.lost != "" {
		t.c.log.Warn("facts lost", "event", "FactsLost", "reason", ch.lost)
		t.c.publish(events.FactsLost{Reason: ch.lost})
		t.last = "0-0"
		t.c.toWaiters(recheckAll{})
		kick(t.c.gatesNow) // a drained fact may be among the lost
		kick(t.c.endedNow)
	}
	for _, f := range ch.facts {
		if compareIDs(f.ID, t.last) <= 0 {
			continue // told before
		}
		t.catchUp() // what was fitted in between: pings, drained
		t.fact(ctx, f)
		t.last = f.ID
		t.tellDrained(false)
	}
	t.last = ch.last
	t.tellDrained(false) // who waits names a whole entry of the stream, which ends behind the last of its facts
	if ch.reason == "" {
		return
	}
	t.state(ch.state)
	if ch.reason != "start" {
		t.c.publish(events.Resynchronised{Component: "dispatch", Reason: ch.reason})
	}
	t.tellDrained(true) // the fact that they wait for may be among the lost
}

// state tells what is so, for readers that may have missed how it came about.
func (t *teller) state(all []events.Event) {
	for _, e := range all {
		t.c.publish(e)
		if e, ok := e.(events.ActorRegistered); ok {
			t.toGates(hello{actor: e.Actor, incarnation: e.Incarnation})
		}
	}
}

// catchUp takes in what is said already, without waiting.
func (t *teller) catchUp() {
	for {
		select {
		case tell := <-t.c.tell:
			t.say(tell)
		default:
			return
		}
	}
}

func (t *teller) fact(ctx context.Context, f store.Fact) {
	c := t.c
	ready := 0
	switch f.Kind {
	case store.FactStarted:
		c.claimed.add(f.Type)
		t.queuedFirst(ctx, f)
	case store.FactDrained: // the gates know whether it answers their last close
		t.toGates(drainedFact{actor: f.Actor, incarnation: f.Incarnation, id: f.ID})
		return
	case store.FactRetried:
		ready = t.ready(ctx, f.Type)
		if !f.Next.IsZero() {
			kick(c.delayedNow)
		}
	case store.FactReleased:
		t.queuedFirst(ctx, f)
		if !f.Due.IsZero() {
			kick(c.delayedNow)
		}
	case store.FactMore:
		kick(c.delayedNow)
		return
	case store.FactPong:
		if e := t.pings[f.Nonce]; e != nil {
			c.publish(e)
			t.pings[f.Nonce] = nil
		}
	}
	e, err := eventOf(f, ready)
	if err != nil {
		c.log.Warn("fact that can not be told", "err", err)
		return
	}
	c.publish(e)
	switch e := e.(type) {
	case events.ActorRegistered:
		t.toGates(hello{actor: e.Actor, incarnation: e.Incarnation})
		c.keepers.note(e.Incarnation)
		if !e.Incarnation.Alive() {
			kick(c.sweepNow) // its hello was on the way when it died
		}
	case events.JobEnded, events.JobDead, events.JobCancelled:
		kick(c.endedNow)
		c.toWaiters(endedJob(f.Job))
	}
}

// queuedFirst lets the job's queuing be told before its first start.
func (t *teller) queuedFirst(ctx context.Context, f store.Fact) {
	if f.Sequence == 0 { // not in the log: pushed by others, and taken before we saw it
		t.foreign(f.Type, []string{f.Job}, 0)
		return
	}
	if time.Now().Before(t.hurryTill) {
		return
	}
	wait, cancel := context.WithTimeout(ctx, queuedFirst)
	defer cancel()
	if !t.c.told.wait(wait, f.Sequence) {
		t.hurryTill = time.Now().Add(afterTimeout)
	}
}

// ready is the length of a type's queue; 0 when Redis does not say.
func (t *teller) ready(ctx context.Context, jobType string) int {
	var depths []store.Depth
	err := limited(ctx, func(ctx context.Context) (err error) {
		depths, err = t.c.d().Depths(ctx, []string{jobType})
		return err
	})
	if err != nil || len(depths) == 0 {
		return 0
	}
	return depths[0].Ready
}

func (t *teller) say(tell telling) {
	switch tell.kind {
	case tellDrained:
		t.drained = append(t.drained, tell) // one an order
		t.tellDrained(false)
	case tellPinging:
		if len(t.pings) < maxPings {
			t.pings[tell.nonce] = tell.event
		}
	case tellPinged:
		if e, known := t.pings[tell.nonce]; !known || e != nil {
			t.c.publish(tell.event)
		}
		delete(t.pings, tell.nonce)
	case tellUnpinged:
		delete(t.pings, tell.nonce)
	case tellAdopted:
		t.c.publish(tell.event)
	case tellForeign:
		t.foreign(tell.typ, tell.jobs, tell.ready)
	}
}

// tellDrained tells those whose last job's end has been told.
func (t *teller) tellDrained(all bool) {
	left := t.drained[:0]
	for _, d := range t.drained {
		if all || compareIDs(d.after, t.last) <= 0 {
			t.c.publish(d.event)
		} else {
			left = append(left, d)
		}
	}
	t.drained = left
}

// foreign tells jobs that others pushed, each once.
func (t *teller) foreign(jobType string, jobs []string, ready int) {
	for _, id := range jobs {
		if t.announced.add(id) {
			t.c.publish(events.JobQueued{Type: jobType, Job: id, Ready: ready})
		}
	}
}

// toGates never waits, because the gates wait for the teller.
func (t *teller) toGates(v any) {
	select {
	case t.c.heard <- v:
	default: // they look at all that they want closed
		kick(t.c.gatesNow)
	}
}

// What the teller hears about actors with a gate.
type (
	// hello is an incarnation that registered: its gate is open.
	hello struct {
		actor       string
		incarnation events.Incarnation
	}
	// drainedFact is the end of the last job in hand behind a closed gate.
	drainedFact struct{ actor, incarnation, id string }
)

// recent is a set that forgets its older half when it is full.
type recent struct {
	most     int
	now, old map[string]struct{}
}

func newRecent(most int) recent {
	return recent{most: most, now: map[string]struct{}{}, old: map[string]struct{}{}}
}

// add reports whether id is new.
func (r *recent) add(id string) bool {
	if _, ok := r.now[id]; ok {
		return false
	}
	_, known := r.old[id]
	if len(r.now) >= r.most/2 {
		r.old, r.now = r.now, map[string]struct{}{}
	}
	r.now[id] = struct{}{}
	return !known
}
