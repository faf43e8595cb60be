package events

import (
	"context"
	"encoding/json"
	"errors"
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
	return m.answer.respond(data)
}

// RespondRaw answers a request with bytes and headers (may be nil).
func (m Message) RespondRaw(data []byte, h nats.Header) error {
	switch a := m.answer.(type) {
	case nil:
		return nil
	case microAnswer:
		return a.req.Respond(data, micro.WithHeaders(micro.Headers(h)))
	case msgAnswer:
		return a.msg.RespondMsg(&nats.Msg{Data: data, Header: h})
	}
	return errors.New("respond: unknown kind of request")
}

type microAnswer struct{ req micro.Request }

func (a microAnswer) respond(data []byte) error { return a.req.Respond(data) }

func (a microAnswer) fail(code, text string, data []byte) error { return a.req.Error(code, text, data) }

type msgAnswer struct{ msg *nats.Msg }

func (a msgAnswer) respond(data []byte) error { return a.msg.Respond(data) }

func (a msgAnswer) fail(code, text string, data []byte) error {
	h := nats.Header{micro.ErrorHeader: {text}, micro.ErrorCodeHeader: {code}}
	return a.msg.RespondMsg(&nats.Msg{Data: data, Header: h})
}

// plainAnswer is nil for a message without a reply subject, and for one whose
// reply subject is no inbox: a sender who names a command subject there would
// have us speak with our rights (research/nats.md, 0.1).
func plainAnswer(m *nats.Msg) answerer {
	if !isInbox(m.Reply) {
		return nil
	}
	return msgAnswer{m}
}

// isInbox accepts the replies of clients ("_INBOX...") and those that the server
// makes for a request from another account ("_R_.").
func isInbox(reply string) bool {
	return strings.HasPrefix(reply, nats.InboxPrefix[:len(nats.InboxPrefix)-1]) || strings.HasPrefix(reply, "_R_.")
}
