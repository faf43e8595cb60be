package server

import (
	"errors"
	"net"
	"sync/atomic"
)

// Bounds of what half and whole messages may take, of all connections together.
const (
	// freeMessage is what a message may have without asking: almost all are far
	// smaller.
	freeMessage = 64 << 10
	// messageBudget is for the rest: some of the longest messages at a time.
	messageBudget = 64 << 20
)

// errBudget says that there is no room for a long message at the moment.
var errBudget = errors.New("too many long messages are being read, try again")

// budget is room that is shared. For concurrent use.
type budget struct{ used atomic.Int64 }

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > messageBudget {
		b.used.Add(-n)
		return false
	}
	return true
}

// meter is a connection that pays for long messages out of a budget.
type meter struct {
	net.Conn
	budget *budget
	read   int64 // since the last settle
	paid   int64
	// loose says that no message is being read: what comes is thrown away, or begins
	// one, and is not kept for longer than the latest read.
	loose bool
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if m.loose {
		m.read = 0
	}
	m.read += int64(n)
	if due := m.read - freeMessage - m.paid; due > 0 {
		if !m.budget.take(due) {
			return 0, errBudget
		}
		m.paid += due
	}
	return n, err
}

// settle ends a message. What is paid for it is given back by the function that
// is returned, to be called when the message is no longer held.
func (m *meter) settle() (giveBack func()) {
	paid := m.paid
	m.read, m.paid = 0, 0
	return func() { m.budget.used.Add(-paid) }
}
