package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the longest command of the text dialect that is read.
const MaxLine = 64 << 10

// Reply is the answer to the one command of a connection in the text dialect
// (zinit v0.2.0 to v0.2.14): a JSON object without a line's end, and then the end
// of the connection. Body is null when there is nothing to say, and a string in
// an answer that is no.
type Reply struct {
	State string          `json:"state"`
	Body  json.RawMessage `json:"body"`
}

// The states of a Reply.
const (
	StateOK    = "ok"
	StateError = "error"
)

// Text waits for the first byte of a connection and reports whether a command of
// the text dialect begins with it: no JSON-RPC message does.
func (s *Scanner) Text() (bool, error) {
	for {
		b, err := s.r.Peek(1)
		if err != nil {
			return false, err
		}
		switch b[0] {
		case ' ', '\t', '\r': // may be before either; a line's end alone is a command, if an empty one
			_, _ = s.r.Discard(1) // cannot fail: the byte was just seen
		default:
			return b[0] != '{' && b[0] != '[', nil
		}
	}
}

// Line reads the command, without its line's end. The last of a stream needs
// none. The error is ErrTooLong, or what the reader said.
func (s *Scanner) Line() (string, error) { return s.line(MaxLine, "a command") }

// LogLine is Line for the answer to a log command, whose lines the original keeps as
// long as they are.
func (s *Scanner) LogLine() (string, error) { return s.line(MaxMessage, "a line of the log") }

func (s *Scanner) line(limit int, what string) (string, error) {
	var line []byte
	for {
		piece, err := s.r.ReadSlice('\n')
		if len(line)+len(piece) > limit {
			return "", fmt.Errorf("%w: %s of over %d bytes", ErrTooLong, what, limit)
		}
		line = append(line, piece...)
		switch {
		case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
			return string(bytes.TrimRight(line, "\r\n")), nil
		case len(piece) == 0:
			return "", err
		}
	}
}
