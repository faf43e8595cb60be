package zinit

import (
	"testing"
)

// The strings are those of research/zinit.md 5.1, which clients in the wild
// match by text.
func TestStateTexts(t *testing.T) {
	for text, want := range map[string]State{
		"Unknown":                    {Kind: Unknown},
		"Blocked":                    {Kind: Blocked},
		"Spawned":                    {Kind: Spawned},
		"Running":                    {Kind: Running},
		"Success":                    {Kind: Success},
		"TestFailure":                {Kind: TestFailure},
		"Failure":                    {Kind: Failure},
		"Error(Exited(Pid(12), 3))":  {Kind: Exited, PID: 12, Code: 3},
		"Error(Exited(Pid(12), -1))": {Kind: Exited, PID: 12, Code: -1},
		"Error(Signaled(Pid(7), SIGKILL, false))": {Kind: Signaled, PID: 7, Signal: "SIGKILL"},
		"Error(Signaled(Pid(7), SIGSEGV, true))":  {Kind: Signaled, PID: 7, Signal: "SIGSEGV", Core: true},
	} {
		got, err := ParseState(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%s: written back as %s", text, got)
		}
	}
	for _, text := range []string{"", "running", "Error", "Error(Exited(Pid(x), 1))", "Error(Exited(Pid(99999999999999999999), 1))", "Error(Exited)"} {
		if s, err := ParseState(text); err == nil {
			t.Errorf("%q: read as %+v, want an error", text, s)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add("Running")
	f.Add("Error(Signaled(Pid(7), SIGSEGV, true))")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseState(text)
		if err != nil {
			return
		}
		again, err := ParseState(s.String())
		if err != nil || again != s {
			t.Fatalf("%q: %+v, again %+v, %v", text, s, again, err)
		}
	})
}
