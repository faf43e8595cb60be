package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// maxLine is the longest line that is kept in one piece.
const maxLine = 8 << 10

// firstBuffer is where a pump begins; it goes on with maxLine when that was full.
const firstBuffer = 512

// pump carries a child's output into the log until no process holds the other
// end any more, or the server ends. Processes that a child left behind may hold
// it for long.
func (g *logs) pump(r *os.File, s source) {
	g.pumps.Go(func() {
		defer func() { _ = r.Close() }()
		// Close is what ends a Read that waits.
		defer context.AfterFunc(g.reading, func() { _ = r.Close() })()
		// Most services say little: a thousand of them must not cost a buffer of the
		// longest line each.
		buf := make([]byte, firstBuffer)
		held := 0 // bytes of a line that is not complete
		for {
			n, err := r.Read(buf[held:])
			if held += n; held == len(buf) && held < maxLine && err == nil {
				buf = append(buf, make([]byte, maxLine-held)...)
			}
			var lines []line
			lines, held = cutLines(buf[:held], s.from, s.label)
			if err != nil && held > 0 {
				lines = append(lines, line{s.from, s.label, text(buf[:held])})
			}
			if len(lines) > 0 {
				g.add(lines...)
			}
			if errors.Is(err, io.EOF) {
				s.remove() // nobody can write into it any more
			}
			if err != nil {
				return
			}
		}
	})
}

// resume pumps what an earlier server made pipes for.
func (g *logs) resume(left []source) error {
	var faults []error
	for _, s := range left {
		r, err := s.reopen()
		if err != nil {
			faults = append(faults, err)
			continue
		}
		g.pump(r, s)
	}
	return errors.Join(faults...)
}

// cutLines takes the complete lines out of b, and a full buffer without an end
// of line as one, and moves the rest to the front.
func cutLines(b []byte, from, label string) (lines []line, rest int) {
	left := b
	for {
		i := bytes.IndexByte(left, '\n')
		if i < 0 {
			break
		}
		lines = append(lines, line{from, label, text(left[:i])})
		left = left[i+1:]
	}
	if len(left) == maxLine {
		n := maxLine - len(begunRune(left))
		lines = append(lines, line{from, label, text(left[:n])})
		left = left[n:]
	}
	return lines, copy(b, left)
}

// begunRune is the character at the end of b that is not complete: its other bytes are
// to come.
func begunRune(b []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				break
			}
			return last
		}
	}
	return nil
}

// text is b as a string that JSON can carry.
func text(b []byte) string { return strings.ToValidUTF8(string(b), "\ufffd") }
