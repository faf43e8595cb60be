package main

import (
	"strings"
	"testing"

	"herosup/zinit"
)

func TestWhatAStartCameTo(t *testing.T) {
	ended := zinit.Status{Name: "a", Target: zinit.Down, State: zinit.State{Kind: zinit.Success}}
	for name, x := range map[string]struct {
		before, now zinit.Status
		settled     bool
		want        string // begins the fact, or the error behind "!"
	}{
		"not begun":  {ended, zinit.Status{Name: "a", Target: zinit.Up, State: ended.State}, false, "started a: it has ended"},
		"still down": {ended, ended, false, "started a"},
		"a process":  {ended, zinit.Status{Name: "a", Target: zinit.Up, PID: 7}, true, "started a (pid 7)"},
		"the same":   {zinit.Status{PID: 7}, zinit.Status{Name: "a", Target: zinit.Up, PID: 7}, true, "a runs already (pid 7)"},
		"to end": {
			zinit.Status{Target: zinit.Down, PID: 7},
			zinit.Status{Name: "a", Target: zinit.Up, PID: 7},
			false, "started a: it begins anew when pid 7 has ended",
		},
		"ended, and the next": {zinit.Status{Target: zinit.Down, PID: 7}, zinit.Status{Name: "a", Target: zinit.Up, PID: 8}, true, "started a (pid 8)"},
		"no program": {
			ended,
			zinit.Status{Name: "a", Target: zinit.Up, State: zinit.State{Kind: zinit.Failure}},
			true, "!a could not be kept running: Failure",
		},
		"ended badly": {
			ended,
			zinit.Status{Name: "a", Target: zinit.Up, State: zinit.State{Kind: zinit.Exited, PID: 7, Code: 3}},
			true, "!a could not be kept running: Error(Exited(Pid(7), 3))",
		},
		"ended well again": {
			ended,
			zinit.Status{Name: "a", Target: zinit.Up, State: ended.State, Last: &zinit.End{PID: 8}},
			true, "started a: it has ended with Success",
		},
		"blocked": {
			ended,
			zinit.Status{Name: "a", Target: zinit.Up, State: zinit.State{Kind: zinit.Blocked}, After: map[string]zinit.State{
				"z": {Kind: zinit.Unknown}, "b": {Kind: zinit.Signaled}, "up": {Kind: zinit.Running}, "done": {Kind: zinit.Success},
			}},
			true, "started a: it waits for b, z",
		},
	} {
		if got := startSettled(x.before, x.now); got != x.settled {
			t.Errorf("%s: settled is %t", name, got)
		}
		f, err := startFact("started", x.before, x.now)
		got := f.Fact
		if err != nil {
			got = "!" + err.Error()
		}
		if !strings.HasPrefix(got, x.want) {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

func TestAStopThatDidNotStopIsAnError(t *testing.T) {
	if f, err := stopFact(zinit.Status{Name: "a"}); err != nil || f.Fact != "stopped a" {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := stopFact(zinit.Status{Name: "a", PID: 7}); err == nil || !strings.Contains(hintOf(err), "kill a SIGKILL") {
		t.Errorf("%v, hint %q", err, hintOf(err))
	}
}

func TestALogLineTakenApart(t *testing.T) {
	for line, want := range map[string]logLine{
		"[+] web: a: b":   {"web", "stdout", "a: b"},
		"[-] web: ":       {"web", "stderr", ""},
		"lines were lost": {"", "zinit", "lines were lost"},
		"[+] no name":     {"", "zinit", "[+] no name"},
	} {
		if got := takeApart(line); got != want {
			t.Errorf("%q: %+v", line, got)
		}
	}
}
