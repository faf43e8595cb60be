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
}

// call runs m within timeout and decodes its result into out (nil: ignored).
func (c *Client) call(ctx context.Context, m method, timeout time.Duration, out any, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result, err := c.send(ctx, m, params)
	if err != nil {
		if refused, ok := errors.AsType[*Error](err); ok && m.names {
			err = c.refine(ctx, refused, params[0].(string))
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
	k, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	var usable *conn
	defer func() { c.put(usable) }()
	for first := true; ; first = false {
		var result json.RawMessage
		if c.spoken() == Text {
			result, err = c.asText(ctx, m, params)
		} else {
			result, usable, err = c.asJSONRPC(ctx, k, m, params)
			k = nil
		}
		other, ok := errors.AsType[foreign](err)
		if !ok || !first || c.opts.Dialect != "" {
			if k != nil {
				k.close() // of the other dialect's time
			}
			return result, err
		}
		c.dialect.Store(other.speaks)
	}
}

// asJSONRPC has the request answered over the kept connection k, or over a new one
// when there is none or it is broken. usable is the one to keep.
func (c *Client) asJSONRPC(ctx context.Context, k *conn, m method, params []any) (_ json.RawMessage, usable *conn, err error) {
	if params == nil {
		params = []any{} // "params":[]: some servers mind an absent member
	}
	kept := k != nil
	for {
		if k == nil {
			if k, err = dial(ctx, c.socket); err != nil {
				return nil, nil, err
			}
		}
		result, sent, err := k.exchange(ctx, m.name, params)
		if _, refused := errors.AsType[*Error](err); err == nil || refused {
			return result, k, err
		}
		k.close()
		k = nil
		switch {
		case errors.Is(err, ErrDialect), ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
			return nil, nil, err
		case kept && (!sent || m.reads):
			kept = false // it was broken before this call: once more on a new one
		case sent:
			return nil, nil, fmt.Errorf("%w: %w", ErrUnanswered, err)
		default:
			return nil, nil, err
		}
	}
}

// refine makes ServiceNotFound of the general errors that the versions without
// error data give for an unknown service (research/zinit.md 3.3): they can not
// be told from others but by the list.
func (c *Client) refine(ctx context.Context, e *Error, name string) error {
	if e.Data != nil || e.Code != InternalError && e.Code != ServiceIsUp {
		return e
	}
	all, err := c.List(ctx)
	if err != nil {
		return e
	}
	if _, known := all[name]; known {
		return e
	}
	return &Error{Code: ServiceNotFound, Message: e.Message}
}
