package runner

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEnds(t *testing.T) {
	for _, tc := range []struct {
		first, last int
		in, want    string
		cut         bool
	}{
		{3, 3, "", "", false},
		{3, 3, "abcdef", "abcdef", false},
		{3, 3, "abcdefg", "abc\n... 1 bytes cut ...\nefg", true},
		{0, 3, "abcdefg", "... 4 bytes cut ...\nefg", true},
		{3, 0, "abcdefg", "abc\n... 4 bytes cut ...\n", true},
		{3, 3, "abéxxxxécd", "ab\n... 8 bytes cut ...\ncd", true}, // the é are cut through
		{4, 4, "abéxxxxécd", "abé\n... 4 bytes cut ...\nécd", true},
		{3, 3, "a\xff\xfebcdefg", "a\uFFFD\n... 3 bytes cut ...\nefg", true},
		{4, 4, "\x80\x80\x80\x80\x80\x80\x80\x80\x80", "\uFFFD\n... 1 bytes cut ...\n\uFFFD", true},
	} {
		for _, chunk := range []int{1, 2, 3, 100} {
			e := ends{maxFirst: tc.first, maxLast: tc.last}
			for in := tc.in; in != ""; {
				n := min(chunk, len(in))
				_, _ = e.Write([]byte(in[:n]))
				in = in[n:]
			}
			if got, cut := e.text(); got != tc.want || cut != tc.cut {
				t.Errorf("%q by %d: got %q %v, want %q", tc.in, chunk, got, cut, tc.want)
			}
		}
	}
}

// Against the plain way: keep all, then cut.
func TestEndsAgainstKeepingAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, last := rapid.IntRange(0, 20).Draw(t, "first"), rapid.IntRange(0, 20).Draw(t, "last")
		over := ""
		e := ends{maxFirst: first, maxLast: last, over: func(p []byte) { over += string(p) }}
		all := ""
		for _, p := range rapid.SliceOf(rapid.StringMatching(`[a-c]{0,30}`)).Draw(t, "writes") {
			_, _ = e.Write([]byte(p))
			all += p
		}
		want := all
		if len(all) > first+last {
			want = all[:first] + fmt.Sprintf("... %d bytes cut ...\n", len(all)-first-last) + all[len(all)-last:]
			if first > 0 {
				want = strings.Replace(want, "...", "\n...", 1)
			}
		}
		got, cut := e.text()
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if cut != (over == all && all != "") || !cut && over != "" {
			t.Fatalf("cut %v, went on: %q of %q", cut, over, all)
		}
		if cap(e.first) > 2*(first+8) || cap(e.last) > 2*(last+8) {
			t.Fatalf("holds %d and %d", cap(e.first), cap(e.last))
		}
	})
}

func FuzzEndsIsAlwaysValidText(f *testing.F) {
	f.Add([]byte("a\x00\xff\xc3"), 2, 3)
	f.Fuzz(func(t *testing.T, in []byte, first, last int) {
		e := ends{maxFirst: min(max(first, 0), 1000), maxLast: min(max(last, 0), 1000)}
		_, _ = e.Write(in)
		if s, _ := e.text(); !utf8.ValidString(s) {
			t.Errorf("%q", s)
		}
	})
}
