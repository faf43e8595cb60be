package server

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"herosup/zinit"
	"herosup/zinit/wire"
)

// Bounds of a connection.
const (
	// maxInFlight is how many calls of one connection are worked on at a time;
	// the next are not read before one is done.
	maxInFlight = 64
	// messageTimeout is how long a message may take from its first byte to its
	// last. Between messages a client may be silent for ever.
	messageTimeout = 30 * time.Second
	// writeTimeout is how long a client may take to receive an answer before it is
	// given up. Lines of a log that it follows may take as long as it likes.
	writeTimeout = 10 * time.Second
	// outQueue is how many answers wait for a slow client before those who answer
	// wait too.
	outQueue = 16
)

// conn is one client. Its reader hands each message to a goroutine, so answers
// come as they are ready; its writer is the only one to write.
type conn struct {
	net  *meter
	api  *api
	ctx  context.Context // ends with the connection
	end  context.CancelFunc
	out  chan message
	subs *subscriptions
	last func() // what is done when the client has its answer; nil for nothing
	// answers are those that are on their way: what is written before one has its time.
	answers atomic.Int32
}

// message is something for the client.
type message struct {
	text []byte
	line bool // of a log that it follows
}

// serve works for one client until it goes, or until ctx ends and what it asked
// is answered.
func serve(ctx context.Context, nc *meter, a *api) {
	connCtx, end := context.WithCancel(context.WithoutCancel(ctx))
	c := &conn{net: nc, api: a, ctx: connCtx, end: end, out: make(chan message, outQueue)}
	c.subs = newSubscriptions(c)
	defer func() { _ = nc.Close() }()
	defer context.AfterFunc(c.subs.ctx, func() { _ = c.hurry() })()

	var writer sync.WaitGroup
	writer.Go(c.write)
	// The end of the server ends the reading; what was read is still answered.
	stop := context.AfterFunc(ctx, func() {
		_ = nc.SetReadDeadline(time.Unix(1, 0))
		c.subs.endAll()
	})
	defer stop()

	var calls sync.WaitGroup
	c.read(ctx, &calls)
	c.net.settle()() // of a message that was not completed
	if ctx.Err() == nil {
		end() // the client has gone: nobody wants the answers
	}
	c.subs.endAll()
	calls.Wait()
	c.subs.wait()
	close(c.out)
	writer.Wait()
	end()
	if c.last != nil {
		_ = nc.Close()
		c.last()
	}
}

// read takes messages until there are no more.
func (c *conn) read(server context.Context, calls *sync.WaitGroup) {
	scan := wire.NewScanner(c.net)
	c.net.loose = true
	if text, err := scan.Text(); err != nil {
		return
	} else if text {
		c.readText(server, scan, calls)
		return
	}
	defer c.answerRest(server, calls)
	turns := make(chan struct{}, maxInFlight)
	for server.Err() == nil {
		c.net.loose = true // blanks between messages, for as long as a client likes
		if err := scan.Wait(); err != nil {
			return
		}
		c.net.loose = false
		if err := c.net.SetReadDeadline(time.Now().Add(messageTimeout)); err != nil {
			return
		}
		if server.Err() != nil {
			return // its end may have come before the deadline was moved
		}
		msg, err := scan.Next()
		switch {
		case errors.Is(err, wire.ErrGarbage):
			c.net.settle()()
			c.send(failure(nil, parseError("not JSON")))
			continue
		case errors.Is(err, wire.ErrTooLong), errors.Is(err, errBudget):
			c.send(failure(nil, parseError(err.Error())))
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && server.Err() == nil:
			c.send(failure(nil, parseError("the message was not completed in "+messageTimeout.String())))
			return
		case err != nil:
			return
		}
		if err := c.net.SetReadDeadline(time.Time{}); err != nil {
			return
		}
		giveBack := c.net.settle()
		select {
		case turns <- struct{}{}:
		case <-c.ctx.Done():
			giveBack()
			return
		}
		calls.Go(func() {
			defer func() { <-turns }()
			defer giveBack()
			c.handle(msg)
		})
	}
}

// send queues a message for the client; nothing if there is nothing to say. It
// waits for a slow client until that one is given up.
func (c *conn) send(v any) {
	if v == nil {
		return
	}
	msg, err := wire.Encode(v)
	if err == nil && len(msg) > wire.MaxMessage {
		err = errors.New("the answer is too long")
	}
	if err != nil {
		msg, _ = wire.Encode(failure(idOf(v), &zinit.Error{Code: zinit.InternalError, Message: err.Error()}))
	}
	c.put(msg)
}

// put is send for what is encoded.
func (c *conn) put(msg []byte) {
	if c.answers.Add(1) == 1 {
		_ = c.hurry() // fails on a closed connection, as the writer will
	}
	if !c.queue(message{text: msg}) {
		c.answers.Add(-1)
	}
}

// putLine is put for a line of a log that the client follows.
func (c *conn) putLine(text []byte) { c.queue(message{text, true}) }

func (c *conn) queue(m message) bool {
	select {
	case c.out <- m:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// write is the writer: it ends with the queue, or with the client.
func (c *conn) write() {
	for m := range c.out {
		if err := c.setWriteDeadline(m); err != nil {
			break
		}
		if _, err := c.net.Write(m.text); err != nil {
			break
		}
		if !m.line {
			c.answers.Add(-1)
		}
	}
	c.end()
	_ = c.net.Close() // ends the reading, too
	for range c.out { // whoever still sends must not wait
	}
}

// setWriteDeadline gives a line all the time there is while nothing else is to be written.
func (c *conn) setWriteDeadline(m message) error {
	if m.line {
		if err := c.net.SetWriteDeadline(time.Time{}); err != nil {
			return err
		}
		if c.answers.Load() == 0 && c.subs.ctx.Err() == nil {
			return nil // who changes that hurries
		}
	}
	return c.hurry()
}

// hurry gives what is written now, or next, its time.
func (c *conn) hurry() error { return c.net.SetWriteDeadline(time.Now().Add(writeTimeout)) }
