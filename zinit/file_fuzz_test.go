package zinit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Whatever a service file holds, it is a service or one line of refusal; and what
// was understood is understood again when we write it.
func FuzzServiceFile(f *testing.F) {
	f.Add("exec: sleep 1\n")
	f.Add("exec: sh -c \"echo '$HOME'\"\nafter: [a]\nenv: {A: \"1\"}\nsignal: {stop: SIGINT}\nshutdown_timeout: 0\n")
	f.Add("exec: x\nuser: 0\numask: 0027\nrlimits: {nofile: 1K}\nmemory_max: 1G\ncpu_max: .5\nrestart: {max_exits: 1}\n")
	f.Add("exec: x\nlog_file: {path: '/a''b', max_size: 1M}\nstop_timeout: 1m\nsha256: &a \"00\"\n")
	f.Add("exec: x\ny: &a {A: b}\nenv: *a\nuser: &b [*b]\n")
	f.Add("{\"exec\": \"a\\tb\"}")
	f.Fuzz(func(t *testing.T, text string) {
		want, err := ParseFile([]byte(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than one line: %q", err)
			}
			return
		}
		c, err := want.Content()
		if err != nil {
			t.Fatalf("parsed and then refused: %v", err)
		}
		b, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFile(b)
		if err != nil {
			t.Fatalf("written and then refused: %v\n%s", err, b)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s\n%s", b, d)
		}
	})
}
