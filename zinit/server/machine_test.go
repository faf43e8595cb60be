package server_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"herosup/zinit"
	"herosup/zinit/zinittest"
)

var inMachine = flag.Bool("in-machine", false, "the test of a machine runs inside of it")

// The bounds of memory and processors need a kernel whose controllers are in cgroup
// v2, so they are held against one that the test brings.
func TestBoundsOfAMachine(t *testing.T) {
	if *inMachine {
		t.Run("memory", memoryHolds)
		t.Run("processors", processorsHold)
		t.Run("adopted", boundsOfTheAdopted)
		t.Run("delegated", boundsInAGroupOfOurs)
		return
	}
	if shadow > 1 {
		t.Skip("NOT RACED: little memory is the point, and the race detector takes more; the step without it runs this")
	}
	exe, err := os.Executable()
	ok(t, err)
	console := zinittest.Machine(t, exe+" -test.run '^TestBoundsOfAMachine$' -test.v -in-machine\noff\n")
	if !strings.Contains(console, "\n--- PASS: TestBoundsOfAMachine (") {
		t.Errorf("inside:\n%s", console)
	}
}

// bounded is a child with bounds, as it runs first.
func bounded(t *testing.T, c *zinit.Client, name string, e zinit.Extension, words ...string) zinit.Status {
	t.Helper()
	svc := zinittest.Child(t, words...)
	svc.Extension = e
	up(t, c, name, svc)
	s := awaitState(t, c, name, running)
	if s.Unmet != "" {
		t.Fatalf("unmet: %s", s.Unmet)
	}
	return s
}

// groupOf is the folder of a process' cgroup.
func groupOf(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	ok(t, err)
	return filepath.Join("/sys/fs/cgroup", strings.TrimPrefix(strings.TrimSpace(string(b)), "0::"))
}

// count is a number in a file of a cgroup.
func count(t *testing.T, group, file, key string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(group, file))
	ok(t, err)
	for line := range strings.Lines(string(b)) {
		if text, found := strings.CutPrefix(line, key+" "); found {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			ok(t, err)
			return n
		}
	}
	t.Fatalf("%s of %s has no %s:\n%s", file, group, key, b)
	return 0
}

// little is enough for a test's child that does nothing.
var little = zinit.Extension{Memory: 16 << 20}

const tooMuch = "eat 64"

// What goes over its memory is killed, with its children, and the cause is told; what
// stays below lives.
func memoryHolds(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	frugal := bounded(t, c, "frugal", little, "eat", "2")
	awaitLine(t, c, "frugal", is("full"))
	greedy := zinittest.Child(t)
	greedy.Exec = []string{"sh", "-c", "sleep 1000 & echo $!; exec $0 " + tooMuch, greedy.Exec[0]}
	greedy.Extension, greedy.Oneshot = little, true
	up(t, c, "greedy", greedy)
	child := awaitPID(t, c, "greedy")
	s := awaitState(t, c, "greedy", ended)
	if s.State.Signal != "SIGKILL" || s.Last == nil || !s.Last.OutOfMemory {
		t.Errorf("how it ended: %+v", s.Last)
	}
	awaitLine(t, c, "greedy", is("out of memory: the kernel killed it at its memory_max of 16777216 bytes"))
	if child.Alive() {
		t.Error("its child lives")
	}
	if s := awaitState(t, c, "frugal", running); s.PID != frugal.PID {
		t.Errorf("frugal: %+v", s)
	}
	ok(t, c.Kill(t.Context(), "frugal", "SIGKILL"))
	s = awaitState(t, c, "frugal", func(s zinit.Status) bool { return running(s) && s.PID != frugal.PID })
	if s.Last == nil || s.Last.OutOfMemory {
		t.Errorf("killed by somebody: %+v", s.Last)
	}
	group := groupOf(t, s.PID)
	ok(t, c.Stop(t.Context(), "frugal"))
	ok(t, c.Forget(t.Context(), "frugal"))
	if _, err := os.Stat(group); !os.IsNotExist(err) {
		t.Errorf("its group is left: %v", err)
	}
}

// A process has of the processors what it may have, by the kernel's own count.
func processorsHold(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	group := groupOf(t, bounded(t, c, "spin", zinit.Extension{CPU: 0.2}, "spin").PID)
	zinittest.Eventually(t, "ten periods without a turn", func() error {
		if n := count(t, group, "cpu.stat", "nr_throttled"); n < 10 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	periods, used := count(t, group, "cpu.stat", "nr_periods"), count(t, group, "cpu.stat", "usage_usec")
	t.Logf("%d us in %d periods of 100 ms", used, periods)
	const quota, all = 20_000, 100_000 // us; the kernel takes notice at its ticks only, which may be late
	if used > (periods+1)*all/2 {
		t.Errorf("%d us of processor in %d periods, want %d in each", used, periods, quota)
	}
}

// The bounds of what the next server adopts hold, and so do those of its next life.
func boundsOfTheAdopted(t *testing.T) {
	h, c := newHeirs(t)
	svc := zinittest.Child(t)
	svc.Exec = []string{"sh", "-c", "trap 'exec $0 " + tooMuch + "' USR1; echo ready; while true; do sleep 0.1; done", svc.Exec[0]}
	svc.Extension = little
	up(t, c, "a", svc)
	awaitLine(t, c, "a", is("ready"))
	first := awaitState(t, c, "a", running)
	h.kill()
	c = h.start()
	s := awaitState(t, c, "a", running)
	if s.PID != first.PID {
		t.Fatalf("adopted %+v, want PID %d", s, first.PID)
	}
	group := groupOf(t, s.PID)
	ok(t, c.Kill(t.Context(), "a", "SIGUSR1"))
	s = awaitState(t, c, "a", func(s zinit.Status) bool { return running(s) && s.PID != first.PID })
	if s.Last == nil || !s.Last.OutOfMemory {
		t.Errorf("how it ended: %+v", s.Last)
	}
	if s.Unmet != "" || groupOf(t, s.PID) != group {
		t.Errorf("the next life is in %s, unmet %q, want %s", groupOf(t, s.PID), s.Unmet, group)
	}
}

// In a group of its own, as systemd's Delegate=yes gives one: what the server has
// started before must not stand in the way of bounds.
func boundsInAGroupOfOurs(t *testing.T) {
	const box = "/sys/fs/cgroup/box"
	ok(t, os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+cpu +memory"), 0))
	ok(t, os.Mkdir(box, 0o755))
	s := zinittest.Start(t)
	onlyChild(t, s.PID())
	for pid := range childrenOf(t, s.PID()) { // the keeper
		ok(t, os.WriteFile(box+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0))
	}
	ok(t, os.WriteFile(box+"/cgroup.procs", []byte(strconv.Itoa(s.PID())), 0))
	c := s.Client(t)
	up(t, c, "free", zinittest.Child(t, "escape"))
	awaitPID(t, c, "free")
	got := bounded(t, c, "a", little, "say", "hello")
	if group := groupOf(t, got.PID); !strings.HasPrefix(group, box+"/zinit-") || !strings.HasSuffix(group, "/a") {
		t.Errorf("the process is in %s", group)
	}
}
