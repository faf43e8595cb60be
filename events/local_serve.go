package events

import (
	"slices"

	"github.com/nats-io/nats.go"
)

// served is a service of this process on the short way. Commands of the components go
// from Publish and Request straight into its channel, and not to the server as well, or
// it would get them twice.
type served struct {
	bus      *Bus
	patterns []string
	c        chan<- Message
}

// serve begins the short way to a service, unserve ends it.
func (l *Local) serve(s *served) {
	if l.echoes() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served = append(l.served, s)
}

func (l *Local) unserve(s *served) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served = slices.DeleteFunc(l.served, func(x *served) bool { return x == s })
}

// command brings a command to the service that is here, and to the server if none is or
// if it has no room, which refuses it then. Those here who watch see it in any case.
func (l *Local) command(prefix, subject string, m *nats.Msg) error {
	l.mu.Lock()
	taken := l.hand(prefix, subject, m)
	if !l.echoes() {
		l.put(prefix, subject, m)
	}
	l.mu.Unlock()
	if taken {
		return nil
	}
	return l.nc.PublishMsg(m)
}

// hand gives a message to the service here that takes it, under l.mu, and reports
// whether it did.
func (l *Local) hand(prefix, subject string, m *nats.Msg) bool {
	for _, s := range l.served {
		if s.bus.prefix != prefix || !matchesAny(s.patterns, subject) {
			continue
		}
		msg, _, err := l.memo.decode(prefix, m)
		if err != nil {
			return false // the server brings it to where that is told
		}
		msg.answer = s.bus.answerTo(m.Reply)
		select {
		case s.c <- msg:
			return true
		default:
			return false
		}
	}
	return false
}
