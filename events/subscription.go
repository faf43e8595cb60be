package events

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// Backlog is how many messages wait for one reader. At 65,536 facts of half a
// kilobyte that is 32 MiB at the worst; when it is full the newest are lost, and
// the next message that is read says so (Message.Missed).
const Backlog = 65_536

// CommandBacklog is the same for a reader of all commands: among them are
// scripts of up to a megabyte each.
const CommandBacklog = 512

// Subscription delivers the messages of several patterns in one channel, in the
// order they were published by each publisher.
type Subscription struct {
	// C holds raw messages; pass each to Open. It is never closed.
	C <-chan *nats.Msg

	bus      *Bus
	c        chan *nats.Msg
	subs     []*nats.Subscription
	patterns []string // those that the short way serves
	full     atomic.Bool
	last     map[string]uint64 // source -> number of its last fact; nil when not all facts are read
}

// Subscribe starts delivery of what matches any of the patterns. It returns
// after the server has acted on it, so nothing published later is missed. The
// patterns must not overlap, or what both match comes twice.
func (b *Bus) Subscribe(patterns ...Pattern) (*Subscription, error) {
	size := Backlog
	if slices.Contains(patterns, Commands) {
		size = CommandBacklog
	}
	c := make(chan *nats.Msg, size)
	s := &Subscription{C: c, c: c, bus: b}
	// Who reads commands serves them, and must not be deaf. Facts are for whoever may hear them, which a submitter may
	// not, and those of the components come past the server.
	var needed []string
	for _, p := range patterns {
		nc := b.nc
		if isLocal(string(p)) {
			nc = b.local.nc
			s.patterns = append(s.patterns, string(p))
		} else {
			needed = append(needed, b.prefix+"."+string(p))
		}
		sub, err := nc.ChanSubscribe(b.prefix+"."+string(p), c)
		if err != nil {
			s.Unsubscribe()
			return nil, fmt.Errorf("subscribe to %s: %w", p, err)
		}
		s.subs = append(s.subs, sub)
		if p == Facts {
			s.last = map[string]uint64{}
		}
	}
	b.local.join(s)
	ctx, cancel := flushContext()
	defer cancel()
	err := b.Flush(ctx)
	if err == nil {
		err = denied(b.nc, needed)
	}
	if err != nil {
		s.Unsubscribe()
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return s, nil
}

// Unsubscribe ends delivery. Messages already in C can still be read.
func (s *Subscription) Unsubscribe() {
	s.bus.local.leave(s)
	for _, sub := range s.subs {
		_ = sub.Unsubscribe() // fails only when the connection is gone, and with it the interest
	}
}

// Open decodes a message of C. The error is for Reject: it says what is wrong
// with the message; the Message then still has On and can be answered.
// Call it from one goroutine only.
func (s *Subscription) Open(raw *nats.Msg) (Message, error) {
	m, seq, err := s.bus.local.memo.decode(s.bus.prefix, raw)
	if err != nil {
		return Message{On: raw.Subject, answer: s.bus.answerTo(raw.Reply)}, err
	}
	m.answer = s.bus.answerTo(raw.Reply)
	if s.last != nil && seq > 0 {
		if last := s.last[m.Source]; last > 0 && seq > last+1 {
			m.Missed = seq - last - 1
		}
		s.last[m.Source] = seq
	}
	return m, nil
}
