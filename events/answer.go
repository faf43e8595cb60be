package events

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// flushTimeout bounds the wait for the server's PONG; it is in this process or
// on this machine, so seconds mean that it is dead.
const flushTimeout = 5 * time.Second

func flushContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), flushTimeout)
}

// WantsAnswer reports whether the sender waits for one.
func (m Message) WantsAnswer() bool { return m.answer != nil }

// Respond answers a request with the JSON of v. For a message that asks for no
// answer it does nothing.
func (m Message) Respond(v any) error {
	if m.answer == nil {
		return nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return m.answer.send(data, nil)
}

// RespondRaw answers a request with bytes and headers (may be nil).
func (m Message) RespondRaw(data []byte, h nats.Header) error {
	if m.answer == nil {
		return nil
	}
	return m.answer.send(data, h)
}

// Refuse answers a query negatively and tells nobody else (a refused command is
// for Bus.Reject), in the way of NATS micro services: headers say that it is an
// error, the body has the details.
func (m Message) Refuse(r *Refusal) error {
	if m.answer == nil {
		return nil
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return m.answer.send(data, nats.Header{micro.ErrorHeader: {r.Reason}, micro.ErrorCodeHeader: {strconv.Itoa(r.Status)}})
}

// answer is where the answer to one request goes. It does not go through
// micro.Request, which may be used only while its handler runs: we answer later,
// from the loop that owns the state.
type answer struct {
	bus *Bus
	to  string
}

func (a *answer) send(data []byte, h nats.Header) error {
	m := &nats.Msg{Subject: a.to, Data: data, Header: h}
	if strings.HasPrefix(a.to, localInbox) {
		a.bus.local.answered(m)
		return nil
	}
	return a.bus.nc.PublishMsg(m)
}

// answerTo is nil for a message without a reply subject, and for one whose
// reply subject is no inbox: a sender who names a command subject there would
// have us speak with our rights (research/nats.md, 0.1).
func (b *Bus) answerTo(reply string) *answer {
	if !isInbox(reply) {
		return nil
	}
	return &answer{bus: b, to: reply}
}

// isInbox accepts the replies of clients ("_INBOX..."), those that the server makes for
// a request from another account ("_R_.") and ours.
func isInbox(reply string) bool {
	return strings.HasPrefix(reply, localInbox) || strings.HasPrefix(reply, nats.InboxPrefix[:len(nats.InboxPrefix)-1]) || strings.HasPrefix(reply, "_R_.")
}
