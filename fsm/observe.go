package fsm

import (
	"time"

	"herosup/events"
)

// observation is the keeper's standing question what really runs.
type observation struct {
	at     time.Time // when to ask next; zero: not
	last   time.Time // when it was asked last
	by     events.Message
	reason string
	tries  int
	heard  bool // a fact about a process came
}

const (
	// observeGap is the least time between two questions: a burst of losses asks
	// once.
	observeGap = time.Second
	// observeAgain is how long to wait for the executor, which may start later
	// than the keeper, and observeTries how often to ask. It also speaks unasked
	// when it starts, so this is a second net.
	observeAgain = 2 * time.Second
	observeTries = 15
)

// wantObservation asks for all processes, at once or when the gap allows.
func (k *Keeper) wantObservation(by events.Message, reason string) {
	now := time.Now()
	o := &k.observe
	o.by, o.reason, o.tries = by, reason, 0
	if o.at = o.last.Add(observeGap); o.last.IsZero() || o.at.Before(now) {
		o.at = now
	}
	k.observeDue(now)
}

func (k *Keeper) observeDue(now time.Time) {
	o := &k.observe
	if o.at.IsZero() || now.Before(o.at) {
		return
	}
	o.at = time.Time{}
	if o.tries > 0 && o.heard {
		return // the executor is there; it has answered
	}
	if o.tries == 0 {
		o.heard = false
		k.publish(events.Resynchronised{Component: Component, Reason: o.reason}, o.by)
	}
	k.publish(events.ObserveProcesses{Node: k.cfg.Node, Reason: o.reason}, o.by)
	o.last = now
	if o.tries++; o.tries < observeTries {
		o.at = now.Add(observeAgain)
	}
}
