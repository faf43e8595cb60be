package dispatch

import (
	"context"
	"sync"
	"time"

	"herosup/events"
)

const (
	// assertGrace is how long a refill waits for the actors that were registered before the loss to say what they hold. What is not said by then
	// is given out again, and is stale when it is said. An actor at work looks each half second.
	assertGrace = 2 * time.Second
	// assertLook is the pace at which it looks who has.
	assertLook = 20 * time.Millisecond
	// maxKeepers bounds the incarnations that are remembered; of more, a refill does not wait for the others.
	maxKeepers = 10_000
)

// keepers are the incarnations that are known to be registered, by what Redis told of them: should it forget everything, they know
// what they hold.
type keepers struct {
	mu  sync.Mutex
	all map[events.Incarnation]struct{}
}

func (k *keepers) note(inc events.Incarnation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[events.Incarnation]struct{}{}
	}
	if _, known := k.all[inc]; !known && len(k.all) >= maxKeepers {
		k.living() // each start of an actor is one: the dead make room
	}
	if len(k.all) < maxKeepers {
		k.all[inc] = struct{}{}
	}
}

// alive lists those whose process lives, and forgets the others.
func (k *keepers) alive() []events.Incarnation {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.living()
}

func (k *keepers) living() (out []events.Incarnation) {
	for inc := range k.all {
		if inc.Alive() {
			out = append(out, inc)
		} else {
			delete(k.all, inc)
		}
	}
	return out
}

// missing are those of the awaited that have not said all they hold and live still.
func missing(awaited []events.Incarnation, done map[string]bool, alive func(events.Incarnation) bool) (out []events.Incarnation) {
	for _, inc := range awaited {
		if !done[inc.String()] && alive(inc) {
			out = append(out, inc)
		}
	}
	return out
}

// collect waits until the living actors have said what they hold, so that it is in their hands before the log is read, or
// until assertGrace is over. It returns how many jobs were kept, and how many actors did not come.
func (c *Component) collect(ctx context.Context, r *reporter) (kept, silent int) {
	awaited := c.keepers.alive()
	until := time.Now().Add(assertGrace)
	for len(awaited) > 0 {
		var done map[string]bool
		if !r.told(ctx, limited(ctx, func(ctx context.Context) (err error) {
			done, kept, err = c.d().Asserted(ctx)
			return err
		})) && !r.pause(ctx) {
			return kept, len(awaited)
		}
		if awaited = missing(awaited, done, events.Incarnation.Alive); time.Now().After(until) || !pause(ctx, assertLook) {
			break
		}
	}
	if kept > 0 {
		kick(c.stateNow) // their starts were told to the Redis that is gone
	}
	if len(awaited) > 0 {
		c.log.Warn("refill without what these actors hold: it runs again", "actors", len(awaited), "reason", "not said within "+assertGrace.String())
	}
	return kept, len(awaited)
}
