package monitor

import (
	"time"

	"herosup/events"
)

// pings is the state of asking one actor for signs of life.
type pings struct {
	last      time.Time // last sign of life; zero before it was ever idle
	asked     time.Time // when the ping that is out was asked for; zero: none is
	onList    bool      // it is on the actor's list, so its silence counts
	notBefore time.Time // when the next one may be asked for
}

// out notes that a ping was asked for, by us or by somebody else: an actor must
// not stay in pinging for ever because nobody counts.
func (p *pings) out(at time.Time) {
	if p.asked.IsZero() {
		p.asked = at
	}
}

// delivered notes that a ping is on the actor's list.
func (p *pings) delivered(at time.Time) {
	p.out(at)
	p.onList = true
}

// refused notes that the keeper did not take the ping on.
func (p *pings) refused(at time.Time, h Health) {
	p.asked, p.onList, p.notBefore = time.Time{}, false, at.Add(h.PingTimeout)
}

// due is when the actor is to be looked at; zero: not.
func (a *actor) due(grace time.Duration, redis string) time.Time {
	switch {
	case len(a.hand) > 0:
		return a.hand.due(grace)
	case a.health.PingEvery <= 0 || redis == LinkLost || a.State != idle && a.State != pinging:
		return time.Time{}
	case !a.pings.asked.IsZero():
		return a.pings.asked.Add(a.health.PingTimeout)
	case a.State == pinging: // its ping was cut off by a loss of Redis
		return a.pings.notBefore
	}
	due := a.pings.last.Add(a.health.PingEvery)
	if due.Before(a.pings.notBefore) {
		return a.pings.notBefore
	}
	return due
}

// look notes when the actor is to be looked at.
func (v *View) look(a *actor) {
	if a == nil {
		return
	}
	due := a.due(v.grace, v.status.Redis.State)
	if !due.IsZero() && (v.care.IsZero() || due.Before(v.care)) {
		v.care = due
	}
}

// NextCare is when Care is to be called; zero: not before another fact.
func (v *View) NextCare() time.Time { return v.care }

// Care looks at everybody and returns what is to be published: ActorPing,
// ActorUnresponsive and JobOverran. It notes that they were.
func (v *View) Care(now time.Time) []events.Event {
	var out []events.Event
	v.care = time.Time{}
	for _, a := range v.byName() {
		if due := a.due(v.grace, v.status.Redis.State); !due.IsZero() && !now.Before(due) {
			if len(a.hand) > 0 {
				out = append(out, a.overran(now, v.grace)...)
			} else {
				out = append(out, a.ping(now)...)
			}
		}
		v.look(a)
	}
	return out
}

// ping asks, or counts the ping that was not answered.
func (a *actor) ping(now time.Time) []events.Event {
	p := &a.pings
	if !p.asked.IsZero() && p.onList {
		a.PingsLost++
	}
	if a.PingsLost >= a.health.PingLost {
		lost := a.PingsLost
		// Told once. The keeper replaces it; if it does not, all begins again.
		a.PingsLost = 0
		*p = pings{last: now, notBefore: now.Add(a.health.PingEvery)}
		return []events.Event{events.ActorUnresponsive{Pool: a.Pool, Actor: a.Name, Incarnation: a.Incarnation, Lost: lost}}
	}
	p.asked, p.onList = now, false
	return []events.Event{events.ActorPing{Actor: a.Name}}
}

// suspendPings: without Redis no ping arrives and no answer comes back.
func (v *View) suspendPings() {
	for _, a := range v.actors {
		a.pings.asked, a.pings.onList, a.PingsLost = time.Time{}, false, 0
	}
}

// resumePings gives everybody time to find Redis again.
func (v *View) resumePings(at time.Time) {
	for _, a := range v.actors {
		a.pings.notBefore = at.Add(a.health.PingTimeout)
		v.look(a)
	}
}
