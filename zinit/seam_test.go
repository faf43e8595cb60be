package zinit

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"herosup/zinit/wire"
)

// A log that is followed has each line once: those that are kept, those that are
// written while the subscription is made, and those that it brings. before and now
// are what is kept before and after it began, comes what it brings.
func TestFollowedLogHasEachLineOnce(t *testing.T) {
	for name, x := range map[string]struct{ before, now, comes, want string }{
		"nothing kept":                     {"", "", "a b", "a b"},
		"quiet":                            {"a b", "a b", "c", "a b c"},
		"quiet, and the same again":        {"a b", "a b", "b b", "a b b b"},
		"written before it began":          {"a", "a b c", "d", "a b c d"},
		"written after it began":           {"a", "a b c", "b c d", "a b c d"},
		"one before, one after":            {"a", "a b c", "c d", "a b c d"},
		"begins as what was told, but new": {"a", "a b c", "b d", "a b c b d"},
		"alike, told as far as it goes":    {"", "x y x", "x y z", "x y x y z"},
		"the oldest dropped":               {"a b c", "b c d", "d e", "b c d e"},
		"all dropped":                      {"a b", "c d", "d e", "c d e"},
		"lines lost to the subscription":   {"a", "a b c d", "b lost e", "a b c d b lost e"},
	} {
		began := false
		p := newPeer(t, func(r wire.Request) (string, bool) {
			lines := strings.Fields(x.before)
			switch {
			case r.Method == "service_list":
				return answered(r, `{}`), false
			case r.Method == "stream_subscribeLogs":
				began = true // each request comes when the one before was answered
				text := answered(r, `7`)
				for _, l := range strings.Fields(x.comes) {
					text += `{"jsonrpc":"2.0","method":"stream_subscribeLogs","params":{"subscription":7,"result":"` + l + `"}}`
				}
				return text, false
			case began:
				lines = strings.Fields(x.now)
			}
			kept, _ := json.Marshal(append([]string{}, lines...))
			return answered(r, string(kept)), false
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		s, err := client(t, p, Options{}).FollowLogs(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		want := strings.Fields(x.want)
		for range want {
			line, err := s.Next(ctx)
			if err != nil {
				t.Errorf("%s: got %q and %v, want %q", name, got, err, want)
				break
			}
			got = append(got, line)
		}
		s.Close()
		cancel()
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
