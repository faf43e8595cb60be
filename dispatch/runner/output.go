package runner

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// readSize is one read of a pipe: half of what a pipe holds by default.
const readSize = 32 << 10

// ends keeps the first and the last bytes of a stream, whatever its length: the beginning says what a script
// set out to do, the end what became of it.
type ends struct {
	first    []byte
	last     []byte // a ring once it is full
	maxFirst int
	maxLast  int
	at       int // oldest byte of the full ring
	total    int64
	over     func([]byte) // gets all of the stream, in pieces, if that is more than is kept
	where    string       // for the mark: where the rest is
}

func (e *ends) Write(p []byte) (int, error) {
	n := len(p)
	if most := int64(e.maxFirst + e.maxLast); e.over != nil && e.total+int64(n) > most {
		if e.total <= most { // until now all was kept, in order
			e.over(e.first)
			e.over(e.last)
		}
		e.over(p)
	}
	e.total += int64(n)
	k := min(e.maxFirst-len(e.first), len(p))
	e.first = append(e.first, p[:k]...)
	p = p[k:]
	if e.maxLast == 0 {
		return n, nil
	}
	if len(p) > e.maxLast {
		p = p[len(p)-e.maxLast:]
	}
	k = min(e.maxLast-len(e.last), len(p))
	e.last = append(e.last, p[:k]...)
	for p = p[k:]; len(p) > 0; {
		k = copy(e.last[e.at:], p)
		e.at = (e.at + k) % e.maxLast
		p = p[k:]
	}
	return n, nil
}

// text joins what was kept, with a mark for what was not, as valid UTF-8.
func (e *ends) text() (s string, cut bool) {
	last := append(e.last[e.at:len(e.last):len(e.last)], e.last[:e.at]...)
	if e.total == int64(len(e.first)+len(last)) {
		return strings.ToValidUTF8(string(e.first)+string(last), "\uFFFD"), false
	}
	first := wholeEnd(e.first)
	last = wholeStart(last)
	mark := fmt.Sprintf("... %d bytes cut%s ...\n", e.total-int64(len(first)+len(last)), e.where)
	if len(first) > 0 {
		mark = "\n" + mark
	}
	return strings.ToValidUTF8(string(first), "\uFFFD") + mark + strings.ToValidUTF8(string(last), "\uFFFD"), true
}

// wholeEnd drops a character that the cut went through, at the end.
func wholeEnd(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// wholeStart drops the rest of one at the start.
func wholeStart(b []byte) []byte {
	for i := 0; i < utf8.UTFMax-1 && i < len(b); i++ {
		if utf8.RuneStart(b[i]) {
			return b[i:]
		}
	}
	return b
}

// drain reads a pipe to its end or its deadline.
func drain(pipe *os.File, into *ends) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{into}, struct{ io.Reader }{pipe}, make([]byte, readSize))
	_ = pipe.Close()
}
