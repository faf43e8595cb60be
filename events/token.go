package events

import (
	"fmt"
	"strings"
)

// MaxToken is the length limit of one subject token in bytes.
const MaxToken = 64

// CheckToken says whether s may stand as one token of a subject: 1 to MaxToken
// of the characters A-Z a-z 0-9 _ and -. NATS itself accepts "a..b" and "a.*.b"
// in a publish, so every id is checked here before it reaches a subject, a Redis
// key or a service name. what names the thing in the error ("job id").
func CheckToken(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%s is empty: want 1 to %d of A-Z a-z 0-9 _ -", what, MaxToken)
	case len(s) > MaxToken:
		return fmt.Errorf("%s is %d bytes long: at most %d are allowed", what, len(s), MaxToken)
	}
	if i := strings.IndexFunc(s, notToken); i >= 0 {
		return fmt.Errorf("%s %q has %q at position %d: only A-Z a-z 0-9 _ - are allowed", what, s, firstRune(s[i:]), i+1)
	}
	return nil
}

func notToken(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
