package events

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// memo remembers what messages were decoded to, for the Buses of one process: every
// component reads every fact, and decoding each of them anew was a third of the
// daemon's work under load. Decoding depends on nothing but the subject and the
// bytes, so what is remembered is what decoding would give. Events are values that
// nobody changes.
type memo struct {
	mu       sync.Mutex
	now, old map[string]remembered // by the message's bytes; two generations
}

type remembered struct {
	subject string
	msg     Message // without header and answer, which are the receiver's
	seq     uint64
}

const (
	// memoHalf bounds a generation: readers are rarely thousands of facts apart, and
	// one that is decodes for itself.
	memoHalf = 2048
	// memoBytes bounds what is worth remembering.
	memoBytes = 4096
)

func newMemo() *memo { return &memo{now: map[string]remembered{}} }

func (m *memo) get(raw *nats.Msg) (Message, uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.now[string(raw.Data)] // no copy: the compiler sees that it is only looked up
	if !ok {
		r, ok = m.old[string(raw.Data)]
	}
	if !ok || r.subject != raw.Subject {
		return Message{}, 0, false
	}
	r.msg.Header = raw.Header
	return r.msg, r.seq, true
}

func (m *memo) put(raw *nats.Msg, msg Message, seq uint64) {
	msg.Header, msg.answer = nil, nil
	m.keep(raw, remembered{subject: raw.Subject, msg: msg, seq: seq})
}

// keep remembers what the message reads as; also what was never decoded, because it was written here.
func (m *memo) keep(raw *nats.Msg, r remembered) {
	if len(raw.Data) == 0 || len(raw.Data) > memoBytes {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.now) >= memoHalf {
		m.old, m.now = m.now, make(map[string]remembered, memoHalf)
	}
	m.now[string(raw.Data)] = r
}

// decode is decode with the memo in front.
func (m *memo) decode(prefix string, raw *nats.Msg) (Message, uint64, error) {
	if msg, seq, ok := m.get(raw); ok {
		return msg, seq, nil
	}
	msg, seq, err := decode(prefix, raw)
	if err == nil {
		m.put(raw, msg, seq)
	}
	return msg, seq, err
}
