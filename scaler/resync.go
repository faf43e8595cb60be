package scaler

import (
	"context"
	"errors"
	"time"

	"herosup/events"
)

const (
	// askTimeout bounds one question for the actors' states.
	askTimeout = 2 * time.Second
	// askPause is between two questions, so that a stream of holes in the facts
	// does not become a stream of questions.
	askPause = time.Second
)

// known is what the monitor's hero.cmd.actor.list says of one actor, as far as
// it matters here.
type known struct {
	Name  string    `json:"name"`
	State State     `json:"state"`
	Since time.Time `json:"since"`
	Holds int       `json:"holds"`
	// Blocked says what its start waits for.
	Blocked string `json:"blocked"`
}

// answer is the reply to a question that was sent when facts had that number.
type answer struct {
	actors []known
	facts  uint64
	err    error
}

// ask reads the actors' states from whoever answers actor.list.
func ask(ctx context.Context, bus *events.Bus, facts uint64) answer {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a := answer{facts: facts}
	a.err = bus.Request(ctx, events.ActorList{}, &a.actors)
	if errors.Is(a.err, events.ErrNobody) {
		a.err = nil // nobody keeps a list: the facts must do
	}
	return a
}

// Adopt takes states that were read rather than heard. Slots of which a fact
// came after the question was asked keep what the fact said.
func (v *View) adopt(a answer, at time.Time) []string {
	for _, k := range a.actors {
		s, _ := v.slot(k.Name)
		if s == nil || s.heard > a.facts {
			continue
		}
		if k.State != s.state {
			since := k.Since
			if since.IsZero() || since.After(at) {
				since = at
			}
			s.move(s.state, k.State, events.Incarnation{}, since)
		}
		s.block(k.Blocked, at)
		if k.Holds == 0 && s.holds() > 0 {
			s.free(at)
		}
		s.jobs, s.unnamed = nil, min(max(k.Holds, 0), maxHand)
	}
	return v.names
}
