package events

import (
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nats.go"
)

// Message is one received event with what its envelope said.
type Message struct {
	Event Event
	// On is the full subject it came on.
	On string
	// ID, Source and Time are the envelope's; empty for a bare command.
	ID, Source string
	Time       time.Time
	// CausationID is the message that led to this one, CorrelationID the first
	// of that chain.
	CausationID, CorrelationID string
	// Missed is how many facts of this source were lost before this one. Above
	// zero, what the reader knows may be wrong: it must read the truth again.
	Missed uint64
	// Header carries the options of raw commands (Hero-*); may be nil.
	Header nats.Header
	// Misspelt are, of a JobBatch, the jobs that JobCreate would be refused for, by place: see Malformed.
	Misspelt map[int]error

	answer *answer // nil when the sender asked for none
}

// decode turns a raw message into a Message. The error names what is wrong, in
// words for the sender.
func decode(prefix string, m *nats.Msg) (Message, uint64, error) {
	k, tokens, err := kindOfSubject(prefix, m.Subject)
	if err != nil {
		return Message{}, 0, err
	}
	msg := Message{On: m.Subject, Header: m.Header}
	data, seq := m.Data, uint64(0)
	if !k.Raw && (k.Branch != Command || isEnvelope(m.Data)) {
		e, n, short := scanCanonical(m.Data)
		if short && e.Type == k.Type() {
			if err := msg.read(k, tokens, e.Data); err == nil {
				msg.open(e)
				return msg, n, nil
			} // else its data are not all that they seem
		}
		if e, seq, err = openEnvelope(m.Data); err != nil {
			return Message{}, 0, fmt.Errorf("%s: %w", k.Name(), err)
		}
		if e.Type != k.Type() {
			return Message{}, 0, fmt.Errorf("%s: envelope of type %q on a subject of %q", k.Name(), e.Type, k.Type())
		}
		msg.open(e)
		data = e.Data
	}
	err = msg.read(k, tokens, data)
	return msg, seq, err
}

// read reads the event, and what is wrong with a part of it alone.
func (m *Message) read(k *Kind, tokens []string, data []byte) (err error) {
	batch := k.typ == reflect.TypeFor[JobBatch]()
	if batch {
		if e, ok := readBatch(data); ok {
			m.Event = e
			return nil
		}
	}
	m.Event, err = k.decode(tokens, data)
	if batch && err == nil {
		m.Misspelt = misspelt(data)
	}
	return err
}

// open takes over what the envelope says.
func (m *Message) open(e envelope) {
	m.ID, m.Source, m.Time = e.ID, e.Source, e.Time
	m.CausationID, m.CorrelationID = e.CausationID, e.CorrelationID
}
