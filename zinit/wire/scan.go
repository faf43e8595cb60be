package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MaxMessage is the largest message either side takes: the limit of the
// library under the original.
const MaxMessage = 10 << 20

// readBuffer is the size of the Scanner's read buffer. Almost every message is
// far smaller; a log snapshot takes several rounds.
const readBuffer = 8 << 10

// partSize is how much of a long message is kept in one piece until it is whole.
const partSize = 64 << 10

// ErrGarbage says that bytes were skipped which can not begin a message. The
// Scanner stands behind them and Next may be called again.
var ErrGarbage = errors.New("bytes outside of a message")

// ErrTooLong says that a message, or a run of garbage, went over the limit.
// Where the next one begins can not be known any more: the stream is lost.
var ErrTooLong = errors.New("message too long")

// Scanner cuts messages out of a stream by counting brackets outside of
// strings. It checks no more than that: whether the text is JSON is for the
// decoder to say. It is not for concurrent use.
type Scanner struct {
	r     *bufio.Reader
	limit int
}

// NewScanner reads messages of at most MaxMessage bytes from r.
func NewScanner(r io.Reader) *Scanner {
	return &Scanner{r: bufio.NewReaderSize(r, readBuffer), limit: MaxMessage}
}

// Wait blocks until the first byte of a message or of garbage is there. A
// caller can so tell an idle peer, which may take for ever, from one that
// stopped in the middle of a message, which may not.
func (s *Scanner) Wait() error {
	for {
		b, err := s.r.Peek(1)
		if err != nil {
			return err
		}
		if !isSpace(b[0]) {
			return nil
		}
		_, _ = s.r.Discard(1) // cannot fail: the byte was just seen
	}
}

// Next returns the next message in memory of its own. The error is io.EOF at a
// clean end, io.ErrUnexpectedEOF inside a message, ErrGarbage (go on) or
// ErrTooLong (give up), or what the reader said.
func (s *Scanner) Next() ([]byte, error) {
	if err := s.Wait(); err != nil {
		return nil, err
	}
	if b, _ := s.r.Peek(1); b[0] != '{' && b[0] != '[' {
		return nil, s.skipGarbage()
	}
	var (
		parts [][]byte // all but the last, so that a long message is not copied each time it grows
		part  []byte
		size  int
		cut   balance
	)
	for {
		chunk, err := s.chunk()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		n, done := cut.scan(chunk)
		if size += n; size > s.limit {
			return nil, fmt.Errorf("%w: over %d bytes", ErrTooLong, s.limit)
		}
		part = append(part, chunk[:n]...)
		_, _ = s.r.Discard(n) // cannot fail: n bytes are buffered
		switch {
		case done && parts == nil:
			return part, nil
		case done:
			return slices.Concat(append(parts, part)...), nil
		case len(part) > partSize-readBuffer:
			parts, part = append(parts, part), make([]byte, 0, partSize)
		}
	}
}

// chunk returns what is buffered, reading when nothing is. It consumes nothing.
func (s *Scanner) chunk() ([]byte, error) {
	if _, err := s.r.Peek(1); err != nil {
		return nil, err
	}
	return s.r.Peek(s.r.Buffered())
}

// skipGarbage drops bytes up to the next opening bracket or past the next
// newline, whichever is first, so that one bad line is one error.
func (s *Scanner) skipGarbage() error {
	for skipped := 0; skipped <= s.limit; skipped++ {
		b, err := s.r.Peek(1)
		if err != nil {
			if errors.Is(err, io.EOF) && skipped > 0 {
				return ErrGarbage // the next call meets the end again
			}
			return err
		}
		if b[0] == '{' || b[0] == '[' {
			return ErrGarbage
		}
		_, _ = s.r.Discard(1)
		if b[0] == '\n' {
			return ErrGarbage
		}
	}
	return fmt.Errorf("%w: over %d bytes of garbage", ErrTooLong, s.limit)
}

// balance is the state of bracket counting: JSON has brackets of its own only
// outside of strings, and a quote inside a string is escaped.
type balance struct {
	depth    int
	inString bool
	escaped  bool
}

// scan advances over b and reports how many bytes belong to the message and
// whether it is complete.
func (c *balance) scan(b []byte) (n int, done bool) {
	for i, ch := range b {
		switch {
		case c.escaped:
			c.escaped = false
		case c.inString:
			switch ch {
			case '\\':
				c.escaped = true
			case '"':
				c.inString = false
			}
		case ch == '"':
			c.inString = true
		case ch == '{' || ch == '[':
			c.depth++
		case ch == '}' || ch == ']':
			if c.depth--; c.depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(b), false
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }
