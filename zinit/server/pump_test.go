package server

import (
	"strings"
	"testing"
)

// A line that is too long is cut between characters, wherever its cut would fall.
func TestLongLinesAreCutBetweenCharacters(t *testing.T) {
	for _, letter := range []string{"x", "\u00e9", "\u4e16", "\U0001f600"} {
		for shift := range 4 {
			want := strings.Repeat("x", shift) + strings.Repeat(letter, 3*maxLine/len(letter))
			buf, held, got := make([]byte, maxLine), 0, ""
			for from := 0; from < len(want); {
				n := copy(buf[held:], want[from:])
				from += n
				var lines []line
				lines, held = cutLines(buf[:held+n], stdout, "a")
				for _, l := range lines {
					got += l.text
				}
			}
			if got += string(buf[:held]); got != want {
				t.Errorf("%q behind %d: %d bytes of %d come out, or others: %.20q...%.20q", letter, shift, len(got), len(want), got, got[max(0, maxLine-10):])
			}
		}
	}
	// What is no character is held back by nobody.
	junk := []byte(strings.Repeat("\xff", maxLine))
	if lines, rest := cutLines(junk, stdout, "a"); len(lines) != 1 || rest != 0 {
		t.Errorf("of junk: %d lines, and %d bytes held", len(lines), rest)
	}
}
