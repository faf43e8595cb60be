package server_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// A child that is deaf to TERM is killed when its time is over, and not before.
func TestStopKillsTheDeafAfterItsGrace(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	svc := zinittest.Child(t, "ignore", "SIGTERM")
	svc.ShutdownTimeout = time.Second
	up(t, c, "deaf", svc)
	awaitLine(t, c, "deaf", is("ready"))
	began := time.Now()
	ok(t, c.Stop(t.Context(), "deaf"))
	if took := time.Since(began); took < time.Second || took > zinit.DefaultShutdownTimeout/2 {
		t.Errorf("the stop took %v, want a bit over a second", took)
	}
	s := awaitState(t, c, "deaf", func(s zinit.Status) bool { return s.PID == 0 })
	if s.State.Signal != "SIGKILL" {
		t.Errorf("ended by %s", s.State)
	}
}

// A stopped process sees no TERM until it is continued.
func TestStopReachesAStoppedProcess(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	up(t, c, "frozen", zinittest.Child(t, "say", "hello"))
	awaitLine(t, c, "frozen", is("hello"))
	ok(t, c.Kill(t.Context(), "frozen", "SIGSTOP"))
	began := time.Now()
	ok(t, c.Stop(t.Context(), "frozen"))
	if took := time.Since(began); took > zinit.DefaultShutdownTimeout/2 {
		t.Errorf("the stop took %v", took)
	}
}

// When the answer comes the group is empty, for the kernel too.
func TestStopLeavesAnEmptyGroup(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	up(t, c, "a", zinit.Service{Exec: []string{"sh", "-c", "sleep 100 & sleep 100 & sleep 100 & wait"}})
	for range 20 {
		group := awaitState(t, c, "a", running).PID
		ok(t, c.Stop(t.Context(), "a"))
		if err := syscall.Kill(-group, 0); !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("group %d after the stop: %v", group, err)
		}
		ok(t, c.Start(t.Context(), "a"))
	}
}

func TestStopSignalIsTheServices(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	svc := zinittest.Child(t, "say", "hello")
	svc.StopSignal = "SIGINT"
	up(t, c, "int", svc)
	awaitLine(t, c, "int", is("hello"))
	ok(t, c.Stop(t.Context(), "int"))
	if s := awaitState(t, c, "int", func(s zinit.Status) bool { return s.PID == 0 }); s.State.Signal != "SIGINT" {
		t.Errorf("ended by %s", s.State)
	}
}

// A child in a session of its own is in no group that we signal, and still goes
// with its service: at a stop, and before the next life begins.
func TestEscapedChildrenGoWithTheirService(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	up(t, c, "a", zinittest.Child(t, "escape"))
	escaped := awaitPID(t, c, "a")
	ok(t, c.Stop(t.Context(), "a"))
	if escaped.Alive() {
		t.Error("a child in another session outlived the stop")
	}

	up(t, c, "b", zinittest.Child(t, "escape"))
	escaped = awaitPID(t, c, "b")
	first := awaitState(t, c, "b", running).PID
	ok(t, c.Kill(t.Context(), "b", "SIGKILL")) // the main process and its group
	awaitState(t, c, "b", func(s zinit.Status) bool { return running(s) && s.PID != first })
	if escaped.Alive() {
		t.Error("a child in another session lives beside the next life")
	}
}

// What a daemon's process leaves in its group is gone before the next begins.
func TestGroupIsGoneBeforeTheRestart(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	up(t, c, "a", zinittest.Child(t, "fork"))
	forked := awaitPID(t, c, "a")
	first := awaitState(t, c, "a", running).PID
	ok(t, syscall.Kill(first, syscall.SIGKILL)) // the leader alone
	awaitState(t, c, "a", func(s zinit.Status) bool { return running(s) && s.PID != first })
	if forked.Alive() {
		t.Error("a child of the last life lives beside the next")
	}
}

// Some oneshots are there to start a daemon. That lives on, until a stop.
func TestOneshotMayLeaveADaemon(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	svc := zinittest.Child(t, "escape-exit")
	svc.Oneshot = true
	up(t, c, "starter", svc)
	daemon := awaitPID(t, c, "starter")
	awaitState(t, c, "starter", func(s zinit.Status) bool { return s.State.Kind == zinit.Success })
	if !daemon.Alive() {
		t.Error("what the oneshot started is gone")
	}
	ok(t, c.Stop(t.Context(), "starter"))
	if daemon.Alive() {
		t.Error("what the oneshot started outlived its stop")
	}
}

// Orphans come to the server, and none stays a zombie.
func TestOrphansAreReaped(t *testing.T) {
	s := zinittest.Start(t)
	c := s.Client(t)
	keeper := onlyChild(t, s.PID())
	up(t, c, "a", zinittest.Child(t, "orphan"))
	awaitLine(t, c, "a", is("ready"))
	main := awaitState(t, c, "a", running).PID
	zinittest.Eventually(t, "one child without zombies", func() error {
		children := childrenOf(t, s.PID())
		for pid, state := range children {
			if pid != main && pid != keeper || state == 'Z' {
				return &strayError{pid, state}
			}
		}
		return nil
	})
}

type strayError struct {
	pid   int
	state byte
}

func (e *strayError) Error() string { return "a child in state " + string(e.state) }

// The first restart comes at once, however long those after it are to wait: a kill costs no more than a start.
func TestFirstRestartIsAtOnce(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	svc := zinittest.Child(t, "say", "hello")
	svc.Restart = zinit.Restart{Delay: time.Hour, MaxDelay: time.Hour}
	up(t, c, "a", svc)
	first := awaitState(t, c, "a", running).PID
	ok(t, c.Kill(t.Context(), "a", "SIGKILL"))
	awaitState(t, c, "a", func(s zinit.Status) bool { return running(s) && s.PID != first })
}

// A service that ends at once is not started in a busy loop.
func TestCrashLoopIsSlow(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	up(t, c, "a", zinittest.Child(t, "exit", "1"))
	up(t, c, "clock", zinit.Service{Exec: []string{"sleep", "1"}, Oneshot: true})
	awaitState(t, c, "clock", func(s zinit.Status) bool { return s.State.Kind == zinit.Success })
	lines, err := c.CurrentLogs(t.Context(), "a")
	ok(t, err)
	starts := 0
	for _, l := range lines {
		if strings.Contains(l, "[start]") {
			starts++
		}
	}
	// 0, 0, 100, 200, 400 ms: five in the first second.
	if starts < 3 || starts > 6 {
		t.Errorf("%d starts in a second, want about 5", starts)
	}
	ok(t, c.Stop(t.Context(), "a")) // also while it waits for its next life
	if s := awaitState(t, c, "a", func(s zinit.Status) bool { return s.PID == 0 }); s.Target != zinit.Down {
		t.Errorf("after the stop: %+v", s)
	}
}

// A test that hangs or can not be run leaves the service Spawned, and its stop
// leaves no test behind.
func TestReadinessTestsGoWithTheirService(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	svc := zinittest.Child(t, "say", "hello")
	svc.Test = []string{"sh", "-c", "echo $$ >" + pidFile + "; exec sleep 100"}
	up(t, c, "hangs", svc)
	var test events.Incarnation
	zinittest.Eventually(t, "the test runs", func() error {
		b, err := os.ReadFile(pidFile)
		if err != nil {
			return err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b))) // there, and written
		if err != nil {
			return err
		}
		test, err = events.IncarnationOf(pid)
		return err
	})
	if s := awaitState(t, c, "hangs", func(s zinit.Status) bool { return s.PID != 0 }); s.State.Kind != zinit.Spawned {
		t.Errorf("while its test hangs: %s", s.State)
	}
	ok(t, c.Stop(t.Context(), "hangs"))
	zinittest.Eventually(t, "the test is gone", func() error {
		if test.Alive() {
			return &strayError{test.PID, 'S'}
		}
		return nil
	})

	svc.Test = []string{"/does/not/exist"}
	up(t, c, "wrong", svc)
	awaitState(t, c, "wrong", func(s zinit.Status) bool { return s.State.Kind == zinit.TestFailure && s.PID != 0 })
}

// A test that is asked again and again, for days, does not fill the log of all services.
func TestTestsThatFailSayItOnce(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	runs := filepath.Join(t.TempDir(), "runs")
	up(t, c, "gone", zinit.Service{Exec: []string{"sleep", "1000"}, Test: []string{"/no/such/test"}})
	up(t, c, "unfit", zinit.Service{Exec: []string{"sleep", "1000"}, Test: []string{"sh", "-c", "echo run >>" + runs + "; exit 1"}})
	zinittest.Eventually(t, "some runs", func() error { // at the same pace
		if b, err := os.ReadFile(runs); strings.Count(string(b), "run") < 6 {
			return fmt.Errorf("are %q, %w", b, err)
		}
		return nil
	})
	awaitState(t, c, "gone", func(s zinit.Status) bool { return s.State.Kind == zinit.TestFailure })
	lines, err := c.CurrentLogs(t.Context(), "")
	ok(t, err)
	slices.Sort(lines)
	want := []string{
		"[-] gone/test: ------------ [start] ------------",
		"[-] gone: ------------ [start] ------------",
		"[-] gone: cannot start its test: start /no/such/test: no such file or directory",
		"[-] unfit/test: ------------ [start] ------------",
		"[-] unfit: ------------ [start] ------------",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}
