package events

import (
	"strings"
	"testing"
)

func TestCheckToken(t *testing.T) {
	for _, good := range []string{"a", "bash_1", "01K9XQ4T6ZB3M8Q0V5S7R2D1AE", "HERO_JOBS-1763990000000", strings.Repeat("x", MaxToken)} {
		if err := CheckToken("id", good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "a.b", "*", ">", "a b", "a\r\nb", "ä", "\x00", "a:b", "{a}", "../x", strings.Repeat("x", MaxToken+1)} {
		if err := CheckToken("id", bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzCheckToken(f *testing.F) {
	for _, s := range []string{"a", "a.b", "a..b", "*", "ä"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckToken("id", s) != nil {
			return
		}
		subject := JobSubmit{Type: s}
		got, err := KindOf(subject).subject("hero", subject)
		if err != nil {
			t.Fatal(err)
		}
		k, tokens, err := kindOfSubject("hero", got)
		if err != nil || k != KindOf(subject) || len(tokens) != 1 || tokens[0] != s {
			t.Fatalf("%q came back as %v %v", s, tokens, err)
		}
	})
}
