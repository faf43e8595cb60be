package wire

import (
	"bytes"
	"strings"
	"testing"
)

// Whatever comes, a line has no end of line in it and is within its bound, or is
// refused.
func FuzzLine(f *testing.F) {
	f.Add([]byte("status a\nrest"))
	f.Add([]byte("list\r\n"))
	f.Add([]byte("no end"))
	f.Add([]byte("\x00\xff\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		line, err := NewScanner(bytes.NewReader(in)).Line()
		if err != nil {
			return
		}
		if len(line) > MaxLine || strings.Contains(line, "\n") {
			t.Fatalf("%d bytes, %.100q", len(line), line)
		}
		if !bytes.HasPrefix(in, []byte(line)) {
			t.Fatalf("%.100q is not how %.100q begins", line, in)
		}
	})
}
