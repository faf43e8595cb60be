package zinit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults and bounds of a Client.
const (
	// DefaultTimeout is how long an answer may take that needs no waiting.
	DefaultTimeout = 2 * time.Second
	// DefaultStopTimeout is how long a stop or a shutdown may take: a service's
	// default grace and the end of its group, with room.
	DefaultStopTimeout = 30 * time.Second
	// MaxCalls is how many calls run at a time, and MaxStops how many that wait for
	// processes to end; the next waits. A zinit takes 100 connections, which all of its
	// clients share.
	MaxCalls = 16
	MaxStops = 64
)

// Options are the settings of a Client. The zero value has the defaults.
type Options struct {
	// Timeout bounds each call but those below; 0 is DefaultTimeout. An earlier
	// deadline of the caller's context wins.
	Timeout time.Duration
	// StopTimeout bounds Stop and Shutdown; 0 is DefaultStopTimeout.
	StopTimeout time.Duration
	// Dialect is the only one to speak; "" finds out what zinit speaks.
	Dialect Dialect
	// Dir is the folder of zinit's service files, which is asked for by the text
	// dialect alone; "" is the folder that the zinit's process works in.
	Dir string
}

// Client speaks to one zinit. It is for concurrent use; it starts no goroutine
// and holds at most MaxCalls and MaxStops connections, which it makes when a call needs one
// and keeps, MaxCalls of them, for the next. A call has its connection for itself, so a stop that
// takes its time holds up no other, and MaxStops of them no other call.
//
// It needs no care after zinit was away: a call that finds its kept connection
// broken dials again, once. A request that was sent on it before it broke is
// sent again only if it changes nothing; otherwise the answer is unknown and
// the error ErrUnanswered.
type Client struct {
	socket string
	opts   Options

	dialect atomic.Value // a Dialect: the last that was heard
	text    atomic.Int64 // the process that refused JSON-RPC in text
	memory  *crateMemory

	turns, stops chan struct{} // a token per running call, and per one that waits for processes
	idle         chan *conn    // kept connections

	close  sync.Once
	closed chan struct{}
}

// NewClient makes a client without looking whether anybody is there.
func NewClient(socket string, o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = DefaultStopTimeout
	}
	c := &Client{
		socket: socket,
		opts:   o,
		turns:  make(chan struct{}, MaxCalls),
		stops:  make(chan struct{}, MaxStops),
		idle:   make(chan *conn, MaxCalls),
		closed: make(chan struct{}),
		memory: newCrateMemory(),
	}
	if o.Dialect != "" {
		c.dialect.Store(o.Dialect)
	}
	return c
}

// Dial makes a client and asks for the service list, so that a wrong path is
// named here and not at the first use. The error is ErrNoServer, ErrNotASocket
// or ErrDialect, with the path and what to do.
func Dial(ctx context.Context, socket string, o Options) (*Client, error) {
	c := NewClient(socket, o)
	if err := c.Probe(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Probe asks for the service list and says what is wrong with who answers.
func (c *Client) Probe(ctx context.Context) error {
	_, err := c.List(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNoServer), errors.Is(err, ErrNotASocket), errors.Is(err, ErrDialect),
		errors.Is(err, ErrClosed), ctx.Err() != nil:
		return err
	default:
		return fmt.Errorf("probe %s: %w: %w", c.socket, ErrDialect, err)
	}
}

// Socket is the path the client was made with.
func (c *Client) Socket() string { return c.socket }

// Close ends the kept connections. Calls that are running end by themselves,
// later ones fail with ErrClosed. It may be called more than once.
func (c *Client) Close() {
	c.close.Do(func() { close(c.closed) })
	c.drain()
}

// drain closes the kept connections.
func (c *Client) drain() {
	for {
		select {
		case k := <-c.idle:
			k.close()
		default:
			return
		}
	}
}

// take returns a kept connection or nil, once it is this call's turn. The
// caller ends its turn with put.
func (c *Client) take(ctx context.Context, turns chan struct{}) (*conn, error) {
	select {
	case <-c.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case k := <-c.idle:
		return k, nil
	default:
		return nil, nil
	}
}

// put ends a turn and keeps k, unless it is nil, for the next.
func (c *Client) put(k *conn, turns chan struct{}) {
	if k != nil {
		select {
		case c.idle <- k:
		default: // of many stops
			k.close()
		}
	}
	<-turns
	select {
	case <-c.closed:
		c.drain() // Close may have drained before k was put there
	default:
	}
}
