package events

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

func TestIncarnationOfALiveAndADeadProcess(t *testing.T) {
	me, err := IncarnationOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !me.Alive() {
		t.Errorf("%s: not alive, says the process itself", me)
	}
	if other := (Incarnation{Boot: me.Boot, PID: me.PID, Start: me.Start + 1}); other.Alive() {
		t.Error("another start time under the same PID counts as alive")
	}
	if other := (Incarnation{Boot: "00000000", PID: me.PID, Start: me.Start}); other.Alive() {
		t.Error("a process of another boot counts as alive")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child, err := IncarnationOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	// Before Wait the child is a zombie or about to be one; after it, gone.
	_ = cmd.Wait()
	if child.Alive() {
		t.Error("a reaped child counts as alive")
	}
	if _, err := IncarnationOf(child.PID); !errors.Is(err, ErrNoProcess) {
		t.Errorf("incarnation of a reaped child: %v, want ErrNoProcess", err)
	}
}

func FuzzIncarnation(f *testing.F) {
	f.Add("0a1b2c3d-42-4711")
	f.Add("0a1b2c3d--1-0")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		i, err := ParseIncarnation(s)
		if err != nil {
			if !i.IsZero() {
				t.Fatalf("%q: an error and a value", s)
			}
			return
		}
		again, err := ParseIncarnation(i.String())
		if err != nil || again != i {
			t.Fatalf("%q: %v became %v, %v", s, i, again, err)
		}
		if err := CheckToken("incarnation", i.String()); err != nil {
			t.Fatal(err)
		}
	})
}
