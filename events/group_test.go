package events

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

func TestGroupAlive(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	leader, err := IncarnationOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	g := ScriptGroup{PGID: pid, Leader: leader}
	if !g.Alive() {
		t.Error("a live group is taken for gone")
	}
	// Another start time is another group, and this number is not ours any more.
	if (ScriptGroup{PGID: pid, Leader: Incarnation{Boot: leader.Boot, PID: pid, Start: leader.Start - 1}}).Alive() {
		t.Error("the group of a reused number is taken for ours")
	}
	// A zombie runs nothing, though the kernel counts it.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := IncarnationOf(g.PGID); err != nil {
			break
		}
	}
	if err := syscall.Kill(-g.PGID, 0); err != nil {
		t.Fatalf("no zombie to look at: %v", err)
	}
	if g.Alive() {
		t.Error("a zombie is taken for a live script")
	}
	_ = cmd.Wait()
	if g.Alive() {
		t.Error("a group that is gone is taken for alive")
	}
	for _, pgid := range []int{0, 1, -1} {
		if (ScriptGroup{PGID: pgid}).Alive() {
			t.Errorf("group %d can not be a script's", pgid)
		}
	}
	self := syscall.Getpgrp()
	if !(ScriptGroup{PGID: self}).Alive() {
		t.Errorf("our own group %d of %d is taken for gone", self, os.Getpid())
	}
}

func TestStatGroup(t *testing.T) {
	for stat, want := range map[string]struct {
		pgid int
		runs bool
	}{
		"12 (sh) S 1 34 34 0 -1":      {34, true},
		"12 (a) Z 1 1 (x) Z 1 77 34 ": {77, false},
		"12 (":                        {0, false},
		"":                            {0, false},
		"12 (sh) Z 1 34 34 0 -1 4227084 103 0 0 0 0 0 0 0 20 0 1 0 5": {34, false},
		"12 (sh) Z 1 34 34 0 -1 4227084 103 0 0 0 0 0 0 0 20 0 2 0 5": {34, true}, // its first thread has ended
		"12 (sh) X 1 34 34 0 -1 4227084 103 0 0 0 0 0 0 0 20 0 2 0 5": {34, false},
	} {
		if pgid, runs := statGroup([]byte(stat)); pgid != want.pgid || runs != want.runs {
			t.Errorf("%q: %d %t, want %d %t", stat, pgid, runs, want.pgid, want.runs)
		}
	}
}
