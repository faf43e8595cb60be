package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// DefaultPrefix is the first token of every subject.
const DefaultPrefix = "hero"

// Bus is one connection to the bus and the voice of one component: facts
// published through it reach each reader in their order, and are numbered so
// that a reader sees a loss. Safe for use by several goroutines.
type Bus struct {
	nc     *nats.Conn
	prefix string
	source string
	log    *slog.Logger
	local  *Local
	seq    atomic.Uint64
	// speak makes numbering and sending one step, so that facts are sent in the order
	// of their numbers.
	speak sync.Mutex
}

// Config says how to make a Bus.
type Config struct {
	// Prefix is the first token of every subject; "" means DefaultPrefix.
	Prefix string
	// Source names the publisher in envelopes: "herosup/<state>/<component>".
	Source string
	// Local is shared by the Buses of one process; nil does without.
	Local *Local
	// Log takes what the connection has to say; nil discards it.
	Log *slog.Logger
}

// NewBus wraps an open connection, which it owns from then on: Close closes it.
// One connection must not serve two Buses, or their numbers interleave.
func NewBus(nc *nats.Conn, cfg Config) (*Bus, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if err := CheckToken("subject prefix", cfg.Prefix); err != nil {
		return nil, err
	}
	if cfg.Source == "" {
		return nil, errors.New("new bus: no source")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Local == nil {
		cfg.Local = &Local{nc: nc, memo: newMemo()}
	}
	return &Bus{nc: nc, prefix: cfg.Prefix, source: cfg.Source, local: cfg.Local, log: cfg.Log}, nil
}

// Conn is the connection below, for streams and key-value buckets.
func (b *Bus) Conn() *nats.Conn { return b.nc }

// Prefix is the first token of every subject.
func (b *Bus) Prefix() string { return b.prefix }

// Source names this publisher in envelopes.
func (b *Bus) Source() string { return b.source }

// Close ends the connection and everything subscribed on it. What was published
// before is sent first, within a second, if the server is there.
func (b *Bus) Close() {
	if b.nc.IsConnected() && b.local.nc.IsConnected() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = b.Flush(ctx) // lost now: it has nothing left to send
	}
	b.local.forget(b)
	b.nc.Close()
}

// Flush returns when the server has everything published so far. ctx must have
// a deadline.
func (b *Bus) Flush(ctx context.Context) error {
	if err := b.nc.FlushWithContext(ctx); err != nil || b.local.nc == b.nc {
		return err
	}
	return b.local.nc.FlushWithContext(ctx)
}

// Option sets something beside the event itself.
type Option func(*envelope)

// CausedBy links the event to the message that led to it. A message without an
// id (a command typed by a person) links to nothing.
func CausedBy(m Message) Option {
	return func(e *envelope) {
		e.CausationID = m.ID
		if e.CorrelationID = m.CorrelationID; e.CorrelationID == "" {
			e.CorrelationID = m.ID
		}
	}
}

// Publish sends an event. The error says that it was not sent: a bad token, or
// a closed connection. Delivery itself is not confirmed: while the server is away,
// facts and orders of a Bus with a Local reach this process alone.
func (b *Bus) Publish(e Event, opts ...Option) error {
	b.speak.Lock()
	defer b.speak.Unlock()
	m, said, err := b.message(e, opts)
	if err != nil {
		return err
	}
	if b.nc.IsClosed() { // the shared connection may go on, but not for us
		return fmt.Errorf("publish %s: %w", m.Subject, nats.ErrConnectionClosed)
	}
	if isLocal(m.Subject[len(b.prefix)+1:]) {
		err = b.local.publish(b.prefix, m, said)
	} else {
		err = b.nc.PublishMsg(m)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return nil
}

// Subject is the full subject of e, or the error of its first bad token.
func (b *Bus) Subject(e Event) (string, error) {
	k := KindOf(e)
	if k == nil {
		return "", fmt.Errorf("%T is not in the catalogue", e)
	}
	return k.subject(b.prefix, e)
}

// message is an event as it is sent, and as it will be read if that is known.
func (b *Bus) message(e Event, opts []Option) (*nats.Msg, remembered, error) {
	subject, err := b.Subject(e)
	if err != nil {
		return nil, remembered{}, err
	}
	k := KindOf(e)
	if k.Raw {
		return nil, remembered{}, fmt.Errorf("%s: its payload is a script, publish it as such", k.Name())
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, remembered{}, fmt.Errorf("%s: %w", k.Name(), err)
	}
	env := envelope{
		SpecVersion: specVersion, ID: nuid.Next(), Source: b.source, Type: k.Type(),
		Time: time.Now().UTC().Round(0), Subject: subject[len(b.prefix)+1:], DataContentType: "application/json", Data: data,
	}
	for _, o := range opts {
		o(&env)
	}
	// Only facts are numbered: nobody reads all commands, so a counter over
	// them would show gaps where nothing was lost.
	var seq uint64
	if k.Branch == Fact {
		seq = b.seq.Add(1)
		env.Sequence = strconv.FormatUint(seq, 10)
	}
	if env.CorrelationID == "" {
		env.CorrelationID = env.ID
	}
	body, short := env.appendTo(make([]byte, 0, 320+len(data)))
	if !short {
		if body, err = json.Marshal(env); err != nil {
			return nil, remembered{}, fmt.Errorf("%s: %w", k.Name(), err)
		}
	}
	said := remembered{}
	if k.flat && !bytes.Contains(data, []byte(`\ufffd`)) { // what was no UTF-8 is read as something else
		said = remembered{subject: subject, msg: Message{Event: e, On: subject}, seq: seq}
		said.msg.open(env)
	}
	return &nats.Msg{Subject: subject, Data: body}, said, nil
}
