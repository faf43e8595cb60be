package events

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// localInbox begins the reply subjects of requests that do not leave the process. The
// rest cannot be guessed, and stands for one who waits.
const localInbox = "_LOCAL."

// request hands an order or a command to those here who take it and waits for the first answer; asked
// is false if there is none. Components so ask one another without the server, which may
// be away when it matters most: what a dead actor left has to be killed then, too.
func (l *Local) request(ctx context.Context, prefix string, m *nats.Msg) (answer *nats.Msg, asked bool, err error) {
	subject := m.Subject[len(prefix)+1:]
	if l.echoes() || !isLocal(subject) {
		return nil, false, nil
	}
	m.Reply = localInbox + nuid.Next()
	got := make(chan *nats.Msg, 1) // the others' answers are dropped
	l.mu.Lock()
	if l.waiting == nil {
		l.waiting = map[string]chan<- *nats.Msg{}
	}
	l.waiting[m.Reply] = got
	if !toActors(subject) {
		asked = l.put(prefix, subject, m)
	} else if asked = l.hand(prefix, subject, m); asked {
		l.put(prefix, subject, m) // who watches does not answer
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, m.Reply)
		l.mu.Unlock()
	}()
	if !asked {
		m.Reply = ""
		return nil, false, nil
	}
	select {
	case answer = <-got:
		return answer, true, nil
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
}

// answered gives an answer to the one who waits for it; nobody does any more if that
// took too long.
func (l *Local) answered(m *nats.Msg) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	select {
	case l.waiting[m.Subject] <- m: // a nil channel takes nothing
	default:
	}
}
