package zinit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// method is a call that a zinit knows.
type method struct {
	name string
	// reads says that the call changes nothing, so that sending it twice is the
	// same as once.
	reads bool
	// names says that the first parameter is the name of a service that has to
	// be known to zinit.
	names bool
	// waits says that the answer comes when processes have ended.
	waits bool
}

// call runs m within timeout and decodes its result into out (nil: ignored).
func (c *Client) call(ctx context.Context, m method, timeout time.Duration, out any, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result, err := c.send(ctx, m, params)
	if err != nil {
		if refused, ok := errors.AsType[*Error](err); ok {
			err = c.refine(ctx, m, refused, params)
		}
		return fmt.Errorf("%s%s: %w", m.name, about(params), err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(result, out); err != nil {
		return fmt.Errorf("%s%s: %w: result %.80q: %w", m.name, about(params), ErrDialect, result, err)
	}
	return nil
}

// about names the service a call is about, for its error.
func about(params []any) string {
	if len(params) == 0 {
		return ""
	}
	if name, ok := params[0].(string); ok {
		return " " + name
	}
	return ""
}

// send has the request answered in the dialect that zinit spoke last, or in the
// one that its answer is of.
func (c *Client) send(ctx context.Context, m method, params []any) (json.RawMessage, error) {
	turns := c.turns
	if m.waits {
		turns = c.stops
	}
	k, err := c.take(ctx, turns)
	if err != nil {
		return nil, err
	}
	l := &line{c: c, conn: k, kept: k != nil}
	defer func() { c.put(l.conn, turns) }()
	for tried := 1; ; tried++ {
		var result json.RawMessage
		switch c.spoken() {
		case Text:
			l.hangUp() // of another dialect's time: this one has a connection a command
			result, err = c.asText(ctx, m, params)
		case Crate:
			result, err = c.asCrate(ctx, l, m, params)
		default:
			result, err = c.asJSONRPC(ctx, l, m, params)
		}
		other, ok := errors.AsType[foreign](err)
		if !ok || tried == dialects || c.opts.Dialect != "" {
			if _, refused := errors.AsType[*Error](err); err == nil || refused {
				c.dialect.Store(c.spoken()) // known now, and no longer taken for granted
			}
			return result, err
		}
		if other.speaks == Text {
			c.text.Store(int64(other.pid))
		}
		c.dialect.Store(other.speaks)
	}
}

// asJSONRPC has a method done by a zinit of the JSON-RPC dialect. Who does not know
// it at all may be of the crate's, which is the same on the wire.
func (c *Client) asJSONRPC(ctx context.Context, l *line, m method, params []any) (json.RawMessage, error) {
	if params == nil {
		params = []any{} // "params":[]: some servers mind an absent member
	}
	result, err := l.ask(ctx, m.name, params, m.reads)
	if errors.Is(err, MethodNotFound) {
		if answer, ping := l.ask(ctx, cratePing, nil, true); ping == nil {
			return nil, foreign{speaks: Crate, answer: answer}
		}
	}
	return result, err
}

// line is the connection of one call, which may ask several things over it.
type line struct {
	c    *Client
	conn *conn // nil until it is needed, and after it broke
	kept bool  // it is of an earlier call, and may have been broken since
}

// ask sends one request and waits for its answer. reads says that it changes
// nothing: then it is sent again where a kept connection turns out to be broken.
func (l *line) ask(ctx context.Context, method string, params any, reads bool) (json.RawMessage, error) {
	for {
		if l.conn == nil {
			k, err := dial(ctx, l.c.socket)
			if err != nil {
				return nil, err
			}
			l.conn, l.kept = k, false
		}
		result, sent, err := l.conn.exchange(ctx, method, params)
		if _, refused := errors.AsType[*Error](err); err == nil || refused {
			l.kept = false
			return result, err
		}
		kept := l.kept
		l.hangUp()
		switch {
		case errors.Is(err, ErrDialect), ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
			return nil, err
		case kept && (!sent || reads):
			// It was broken before this call: once more, on a new one.
		case sent:
			return nil, fmt.Errorf("%w: %w", ErrUnanswered, err)
		default:
			return nil, err
		}
	}
}

func (l *line) hangUp() {
	if l.conn != nil {
		l.conn.close()
		l.conn = nil
	}
}
