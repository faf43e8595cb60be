package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Refusal says why a command was refused. It is an error, and it travels as the
// body of a negative answer and as CommandRejected.
type Refusal struct {
	// Status is 400 (bad input), 404 (unknown), 409 (not in this state), 503
	// (not now).
	Status int `json:"status"`
	// Code is a stable word for programs: "unknown_actor".
	Code string `json:"code"`
	// Reason and Hint are for people: what is wrong, and what would work.
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
	// Job, Actor, Pool, Sequence and History say what it is about, where known.
	Job      string   `json:"job,omitempty"`
	Actor    string   `json:"actor,omitempty"`
	Pool     string   `json:"pool,omitempty"`
	Sequence uint64   `json:"sequence,omitempty"`
	History  []string `json:"history,omitempty"`
}

// Error is the reason; the hint is left to the door that prints it.
func (r *Refusal) Error() string { return r.Reason }

// Malformed is the refusal of a message that could not be decoded.
func Malformed(err error) *Refusal {
	return &Refusal{Status: 400, Code: "malformed", Reason: err.Error()}
}

// Reject refuses a command: the sender gets the refusal as an answer, everybody
// else as a CommandRejected fact.
func (b *Bus) Reject(m Message, r *Refusal) error {
	command := "unknown"
	if k, _, err := kindOfSubject(b.prefix, m.On); err == nil {
		command = k.Name()
	} else if k := KindOf(m.Event); m.Event != nil && k != nil {
		command = k.Name()
	}
	err := b.Publish(CommandRejected{
		Command: command, Code: r.Code, Reason: r.Reason, Hint: r.Hint, On: m.On,
		Job: r.Job, Actor: r.Actor, Pool: r.Pool, Sequence: r.Sequence, History: r.History,
	}, CausedBy(m))
	return errors.Join(err, m.Refuse(r))
}

// RefusalOf reads a negative answer; nil when the answer is none.
func RefusalOf(m *nats.Msg) *Refusal {
	text := m.Header.Get(micro.ErrorHeader)
	if text == "" {
		return nil
	}
	r := &Refusal{Reason: text}
	if json.Unmarshal(m.Data, r) != nil || r.Code == "" {
		status, _ := strconv.Atoi(m.Header.Get(micro.ErrorCodeHeader))
		r = &Refusal{Status: status, Code: "error", Reason: text}
	}
	return r
}

// ErrNobody says that no component answers this command: there is no daemon.
var ErrNobody = errors.New("nobody answers")

// Request sends a command and waits for its answer, which it decodes into out
// (nil: it is not looked at). The error is a *Refusal when the command was
// refused, ErrNobody when there is no daemon, or the context's.
func (b *Bus) Request(ctx context.Context, e Event, out any, opts ...Option) error {
	m, _, err := b.message(e, opts)
	if err != nil {
		return err
	}
	answer, asked, err := b.local.request(ctx, b.prefix, m)
	if !asked {
		answer, err = b.nc.RequestMsgWithContext(ctx, m)
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return ErrNobody
	case err != nil:
		return fmt.Errorf("request %s: %w", m.Subject, err)
	}
	if r := RefusalOf(answer); r != nil {
		return r
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Data, out); err != nil {
		return fmt.Errorf("request %s: answer: %w", m.Subject, err)
	}
	return nil
}
