package zinit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"herosup/zinit/wire"
)

// LogStream is a subscription to log lines, over a connection of its own: who
// reads slowly slows no call. It is for one goroutine at a time, but Close may
// come from any.
type LogStream struct {
	conn *conn
	id   uint64

	ready []string // kept lines, and those that come after all
	seam  seam

	text bool   // lines follow each other, in the text dialect
	name string // whose lines are wanted there; "" for all

	looks *crateFollow // in the crate dialect, instead of a connection
}

// FollowLogs is the log of a service (or of all for "") from the oldest line that
// is kept, and on as it is written: none is left out where the one becomes the
// other, and none comes twice. zinit drops lines of a reader that is too slow and
// says so with a line of its own.
func (c *Client) FollowLogs(ctx context.Context, name string) (*LogStream, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	switch d, err := c.Dialect(ctx); {
	case err != nil:
		return nil, err
	case d == Text: // its one command does both
		s, err := c.logAsText(ctx, "log")
		if err == nil {
			s.name = name
		}
		return s, err
	case d == Crate:
		return c.followAsCrate(ctx, name)
	}
	before, err := c.CurrentLogs(ctx, name)
	if err != nil {
		return nil, err
	}
	s, err := c.subscribe(ctx, name)
	if err != nil {
		return nil, err
	}
	if s.ready, err = c.CurrentLogs(ctx, name); err != nil {
		s.Close()
		return nil, err
	}
	s.seam.told = behind(before, s.ready)
	return s, nil
}

// subscribe begins to receive the lines that are written from now on.
func (c *Client) subscribe(ctx context.Context, name string) (*LogStream, error) {
	const method = "stream_subscribeLogs"
	k, err := dial(ctx, c.socket)
	if err != nil {
		return nil, err
	}
	s := &LogStream{conn: k}
	raw, _, err := k.exchange(ctx, method, []any{filter(name)})
	if err == nil {
		err = json.Unmarshal(raw, &s.id)
	}
	if err != nil {
		k.close()
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return s, nil
}

// Next waits for the next line. The error is ctx's, or says that the stream is
// over; after any error it is.
func (s *LogStream) Next(ctx context.Context) (string, error) {
	if s.looks != nil {
		return s.looks.next(ctx)
	}
	if err := s.conn.net.SetReadDeadline(time.Time{}); err != nil {
		return "", fmt.Errorf("read log: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.net.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if s.text {
		return s.line(ctx)
	}
	for len(s.ready) == 0 {
		msg, err := s.conn.scan.Next()
		if err != nil {
			return "", fmt.Errorf("read log: %w", ended(ctx, err))
		}
		var item wire.Item
		if err := json.Unmarshal(msg, &item); err != nil {
			return "", fmt.Errorf("read log: %w: %.80q", ErrDialect, msg)
		}
		if item.Params.Subscription != s.id || item.Params.Result == nil {
			continue
		}
		var line string
		if err := json.Unmarshal(item.Params.Result, &line); err != nil {
			return "", fmt.Errorf("read log: %w: %.80q", ErrDialect, msg)
		}
		s.ready = s.seam.pass(line)
	}
	line := s.ready[0]
	s.ready = s.ready[1:]
	return line, nil
}

// line is Next in the text dialect. io.EOF ends what does not go on.
func (s *LogStream) line(ctx context.Context) (string, error) {
	for {
		line, err := s.conn.scan.LogLine()
		if err != nil {
			return "", fmt.Errorf("read log: %w", ended(ctx, err))
		}
		var r wire.Reply
		if strings.HasPrefix(line, `{"state":"error"`) && json.Unmarshal([]byte(line), &r) == nil {
			return "", fmt.Errorf("read log: %w", textRefusal(string(r.Body)))
		}
		if s.name == "" || of(line, s.name) || tellsLoss(line) {
			return line, nil
		}
	}
}

// tellsLoss reports whether the zinit says that it left lines out. It does not say whose.
func tellsLoss(line string) bool {
	return strings.HasPrefix(line, "[-] zinit: ") && strings.HasSuffix(line, " lines dropped")
}

// Close ends the subscription, and a Next that waits.
func (s *LogStream) Close() {
	if s.looks != nil {
		s.looks.close()
		return
	}
	s.conn.close()
}
