package zinit

import (
	"testing"

	"herosup/events"
)

func TestOutOfMemoryIsNamed(t *testing.T) {
	kills := uint64(7)
	w := oomWatch{kills: func() uint64 { return kills }}
	w.look()
	killed := events.ProcessExited{Signal: "SIGKILL", ExitCode: -1}
	if w.explains(killed) {
		t.Error("a SIGKILL without a kill of the kernel's is laid to it")
	}
	kills = 8
	for _, e := range []events.ProcessExited{{Signal: "SIGSEGV"}, {ExitCode: 137}, {Signal: "SIGKILL", ByUs: true}} {
		if w.explains(e) {
			t.Errorf("%+v is laid to the kernel", e)
		}
	}
	if !w.explains(killed) {
		t.Error("a kill of the kernel's is not seen")
	}
	if w.explains(killed) {
		t.Error("one kill explains two ends")
	}
	kills = 11 // of others: scripts, other programs
	w.look()
	if w.explains(killed) {
		t.Error("an old kill explains an end")
	}
}

// A zinit that knows it says so of this very life.
func TestOutOfMemoryIsTold(t *testing.T) {
	s := Status{Last: &End{PID: 7, State: State{Kind: Signaled, PID: 7, Signal: "SIGKILL"}, OutOfMemory: true}}
	if code, signal, told := s.exitOf(7); code != -1 || signal != "SIGKILL" || !told {
		t.Errorf("%d, %q, %t", code, signal, told)
	}
	if _, _, told := s.exitOf(8); told {
		t.Error("another process' end is told of this one")
	}
}

func TestOutOfMemoryCount(t *testing.T) {
	for text, want := range map[string]uint64{
		"nr_free_pages 1\noom_kill 42\nx 1\n": 42, "oom_kill_all 3\n": 0, "": 0, "oom_kill x\n": 0,
	} {
		if got := oomKillsIn(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
