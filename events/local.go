package events

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// Local is what the Buses of one process share: a connection for facts and orders,
// a short way between them, and what messages were decoded to.
//
// Every component reads every fact, so a server that hands each of them to each
// component, over a connection of its own, costs more than all that the components do
// with it. Instead a fact or order goes straight into the channels of those in this
// process who asked for it, in the order of its publisher, and to the server once, for
// the streams and for everybody outside. The connection has no echo, so nothing comes
// twice; what others publish comes by it as ever.
//
// While the server is away those in this process hear everything as before; the others
// see by the numbers what they missed. For the same reason what one component wants of
// another's actors goes straight to the service that keeps them (local_serve.go).
type Local struct {
	nc   *nats.Conn
	memo *memo
	log  *slog.Logger
	mute atomic.Bool // what was published last did not reach the server

	mu   sync.RWMutex // the short way is walked by one at a time, see put
	subs []*Subscription
	// served are the services of this process.
	served []*served
	// waiting are those who made a request on the short way, by its reply subject.
	waiting map[string]chan<- *nats.Msg
}

// NewLocal takes a connection that does not echo (nats.NoEcho), which it owns; log nil
// discards.
func NewLocal(nc *nats.Conn, log *slog.Logger) *Local {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Local{nc: nc, memo: newMemo(), log: log}
}

// Close ends the connection. The Buses that share it can not publish any more.
func (l *Local) Close() {
	ctx, cancel := flushContext()
	defer cancel()
	_ = l.nc.FlushWithContext(ctx) // a lost connection has nothing left to send
	l.nc.Close()
}

// isLocal tells the subjects and patterns (without the prefix) that take the short
// way. Of the commands those to actors do: the components size, ping and replace them
// without the server, too.
func isLocal(subject string) bool {
	return strings.HasPrefix(subject, string(Fact)+".") || strings.HasPrefix(subject, string(Order)+".") || toActors(subject)
}

func toActors(subject string) bool { return strings.HasPrefix(subject, string(Command)+".actor.") }

// echoes: the connection is a Bus' own, and the server gives it what it says.
func (l *Local) echoes() bool { return !l.nc.Opts.NoEcho }

// publish sends to the server and gives to those who are here. One publisher's
// messages come one at a time.
func (l *Local) publish(prefix string, m *nats.Msg, said remembered) error {
	subject := m.Subject[len(prefix)+1:]
	if toActors(subject) {
		return l.command(prefix, subject, m)
	}
	err := l.nc.PublishMsg(m)
	if l.echoes() {
		return err
	}
	if err != nil && !errors.Is(err, nats.ErrReconnectBufExceeded) && !l.nc.IsReconnecting() {
		return err
	}
	if silent := err != nil; l.mute.Swap(silent) != silent && silent {
		l.log.Warn("bus", "reason", "the server is away: no one outside hears of "+m.Subject+" and what follows", "err", err)
	}
	if said.subject != "" {
		l.memo.keep(m, said)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(prefix, subject, m)
	return nil
}

// put gives a message to the subscriptions that want it, and reports whether there are any. The caller holds l.mu for
// writing: whoever has it first and answers it with a message of its own waits until all the others have it, too.
func (l *Local) put(prefix, subject string, m *nats.Msg) (any bool) {
	for _, s := range l.subs {
		if s.bus.prefix == prefix && s.wants(subject) {
			s.put(m)
			any = true
		}
	}
	return any
}

// join begins the short way to a subscription, leave ends it.
func (l *Local) join(s *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(s.patterns) > 0 {
		l.subs = append(l.subs, s)
	}
}

func (l *Local) leave(s *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subs = slices.DeleteFunc(l.subs, func(x *Subscription) bool { return x == s })
}

// forget ends what a Bus that closes has subscribed to.
func (l *Local) forget(b *Bus) {
	l.mu.Lock()
	subs := slices.Clone(l.subs)
	l.served = slices.DeleteFunc(l.served, func(s *served) bool { return s.bus == b })
	l.mu.Unlock()
	for _, s := range subs {
		if s.bus == b {
			s.Unsubscribe()
		}
	}
}

func (s *Subscription) wants(subject string) bool {
	return matchesAny(s.patterns, subject)
}

func matchesAny(patterns []string, subject string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, subject) })
}

// put never waits: a reader that is Backlog behind loses the newest, as it would by
// the server, and sees it by their numbers.
func (s *Subscription) put(m *nats.Msg) {
	select {
	case s.c <- m:
		s.full.Store(false)
	default:
		if !s.full.Swap(true) {
			s.bus.log.Warn("bus", "reason", s.bus.source+" does not read", "err", nats.ErrSlowConsumer)
		}
	}
}

// matches tells whether a pattern of NATS matches a subject.
func matches(pattern, subject string) bool {
	for {
		p, restP, moreP := strings.Cut(pattern, ".")
		t, restT, moreT := strings.Cut(subject, ".")
		switch {
		case p == ">":
			return true
		case p != "*" && p != t, moreP != moreT:
			return false
		case !moreP:
			return true
		}
		pattern, subject = restP, restT
	}
}
