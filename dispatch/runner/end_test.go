package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"herosup/events"
)

// fifo is where a script tells the test where it is; opening it for both keeps a script from waiting.
func fifo(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return path, func() string {
		t.Helper()
		_ = f.SetReadDeadline(time.Now().Add(10 * time.Second))
		var line []byte
		for b := make([]byte, 1); ; {
			if _, err := f.Read(b); err != nil {
				t.Fatalf("the script did not say where it is: %v", err)
			}
			if b[0] == '\n' {
				return string(line)
			}
			line = append(line, b[0])
		}
	}
}

func pidOf(t *testing.T, text string) events.Incarnation {
	t.Helper()
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	inc, err := events.IncarnationOf(pid)
	if err != nil {
		t.Fatalf("pid %d: %v", pid, err)
	}
	return inc
}

func TestTimeout(t *testing.T) {
	const half = 50 * time.Second // of the time for which the scripts sleep
	for name, tc := range map[string]struct {
		script string
		grace  time.Duration
		signal string
		code   int
		output string
		least  time.Duration
		most   time.Duration
	}{
		"ends at TERM":             {"sleep 100", 0, "SIGTERM", -1, "", 0, half},
		"says goodbye":             {"trap 'echo bye; exit 7' TERM\nsleep 100 & wait", 0, "", 7, "bye\n", 0, half},
		"ignores TERM":             {"trap '' TERM\nwhile :; do sleep 100; done", 300 * time.Millisecond, "SIGKILL", -1, "", 400 * time.Millisecond, DefaultGrace},
		"is stopped":               {"trap 'exit 7' TERM\nkill -STOP $$", 0, "", 7, "", 0, half},
		"no grace":                 {"trap '' TERM\nwhile :; do sleep 100; done", -1, "SIGKILL", -1, "", 0, DefaultGrace},
		"its children ignore TERM": {"(trap '' TERM; sleep 100) &\nexec sleep 100", 0, "SIGTERM", -1, "", 0, DefaultGrace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := bash(tc.script)
			spec.Timeout, spec.Grace = 200*time.Millisecond, tc.grace
			begun := time.Now()
			res := Run(t.Context(), spec)
			took := time.Since(begun)
			if !res.TimedOut || res.Err != nil || res.Finished() {
				t.Errorf("got %+v", res)
			}
			if res.Signal != tc.signal || res.ExitCode != tc.code || res.Output != tc.output {
				t.Errorf("signal %q code %d output %q", res.Signal, res.ExitCode, res.Output)
			}
			if took < tc.least || took < 200*time.Millisecond || took > tc.most {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestTimeoutNotReached(t *testing.T) {
	t.Parallel()
	spec := bash("echo ok")
	spec.Timeout = time.Minute
	if res := Run(t.Context(), spec); !res.Finished() || res.TimedOut {
		t.Errorf("got %+v", res)
	}
}

func TestContextEndsTheScript(t *testing.T) {
	t.Parallel()
	path, next := fifo(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopping := errors.New("stopping")
	done := make(chan Result, 1)
	go func() { done <- Run(ctx, bash("echo here > "+path+"\nsleep 100")) }()
	next()
	cancel(stopping)
	if res := <-done; !errors.Is(res.Err, stopping) || !res.Ran || res.TimedOut || res.Signal != "SIGTERM" {
		t.Errorf("got %+v", res)
	}
}

// A deadline of the context is a timeout like the other.
func TestContextDeadlineIsATimeout(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("any"))
	defer cancel()
	if res := Run(ctx, bash("sleep 100")); !res.TimedOut || !res.Ran || res.Err != nil {
		t.Errorf("got %+v", res)
	}
}

// faults.md W12: children survive the parent.
func TestGrandchildrenEndWithTheScript(t *testing.T) {
	t.Parallel()
	path, next := fifo(t)
	spec := bash(`(trap '' TERM HUP; echo $BASHPID > ` + path + `; while :; do sleep 100; done) &
		(sleep 100 & echo $! > ` + path + `; wait) &
		read -r _ < <(cat ` + path + `.go); echo out`)
	if err := syscall.Mkfifo(path+".go", 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan Result, 1)
	go func() { done <- Run(t.Context(), spec) }()
	a, b := pidOf(t, next()), pidOf(t, next())
	if err := os.WriteFile(path+".go", []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	res := <-done
	if !res.Finished() || res.Output != "out\n" || res.Left {
		t.Errorf("got %+v", res)
	}
	if a.Alive() || b.Alive() {
		t.Errorf("left over: %v %v, %v %v", a, a.Alive(), b, b.Alive())
	}
}

// faults.md W11: who leaves the group lives on, but holds up nothing.
func TestEscapeeDoesNotHoldTheEnd(t *testing.T) {
	t.Parallel()
	path, next := fifo(t)
	if err := syscall.Mkfifo(path+".go", 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan Result, 1)
	go func() {
		done <- Run(t.Context(), bash("setsid bash -c 'echo escaped; echo $$ > "+path+"; exec sleep 100' &\nread -r _ < "+path+".go"))
	}()
	escapee := pidOf(t, next())
	t.Cleanup(func() { _ = unix.Kill(escapee.PID, unix.SIGKILL) })
	if err := os.WriteFile(path+".go", []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	released := time.Now()
	res := <-done
	if took := time.Since(released); took > 50*time.Second { // the other sleeps for 100
		t.Errorf("took %v", took)
	}
	if !res.Finished() || res.Output != "escaped\n" || res.Left {
		t.Errorf("got %+v", res)
	}
	if !escapee.Alive() {
		t.Error("this test does not test what it says: the escapee is dead")
	}
}

// faults.md W17: as fast as it can, and our memory stays flat.
func TestOutputFlood(t *testing.T) {
	spec := bash("echo first; head -c 256M /dev/zero; echo; echo last; yes x >&2")
	spec.Timeout, spec.OutputLimit = 3*time.Second, 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res := Run(t.Context(), spec)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 { // of 256 MiB and more
		t.Errorf("%d bytes were allocated", used)
	}
	if !res.TimedOut || len(res.ErrorText) > ErrorTail+100 || !strings.HasPrefix(res.ErrorText, "... ") {
		t.Errorf("timed out %v, %d bytes of errors", res.TimedOut, len(res.ErrorText))
	}
	const written = len("first\n") + 256<<20 + len("\nlast\n")
	if !res.Truncated || !strings.HasPrefix(res.Output, "first\n") || !strings.HasSuffix(res.Output, "\nlast\n") ||
		!strings.Contains(res.Output, fmt.Sprintf("\n... %d bytes cut ...\n", written-1000)) {
		t.Errorf("truncated %v, output %q", res.Truncated, res.Output)
	}
}

// A leader that goes into another group is ended by its own number.
func TestTimeoutOfALeaderThatLeftItsGroup(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	res := Run(t.Context(), Spec{
		Interpreter: []string{"python3", "-"}, Timeout: time.Second,
		Script: "import os, time\nos.setpgid(0, os.getpgid(os.getppid()))\nprint('left', flush=True)\ntime.sleep(1000)",
	})
	if !res.TimedOut || res.Signal != "SIGTERM" || res.Output != "left\n" {
		t.Errorf("got %+v", res)
	}
}

// A script that forks without end while it is killed leaves nobody.
func TestForkingGroupIsKilledWhole(t *testing.T) {
	t.Parallel()
	var pgid int
	spec := bash("for i in 1 2 3 4; do (trap '' TERM; while :; do sleep 0.001 & done) & done\nsleep 0.2")
	spec.Record = func(p int, _ events.Incarnation) error { pgid = p; return nil }
	res := Run(t.Context(), spec)
	if !res.Finished() || res.Left {
		t.Errorf("got %+v", res)
	}
	if events.GroupRuns(pgid) {
		t.Error("somebody is left in the group")
	}
}

// host is a process that runs a script until it is killed.
func host(dir string) {
	spec := bash("echo script > " + dir + "/at\nsleep 1000 & wait")
	spec.Record = func(pgid int, _ events.Incarnation) error {
		return os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(pgid)), 0o600)
	}
	Run(context.Background(), spec)
}

// faults.md W4: SIGKILL of who runs the script ends the script, with nobody to see to it.
func TestKillOfTheRunnerKillsTheScript(t *testing.T) {
	t.Parallel()
	path, next := fifo(t)
	dir := filepath.Dir(path)
	if err := os.Rename(path, filepath.Join(dir, "at")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), hostMode+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	next() // the script runs
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	leader := pidOf(t, string(pid))
	t.Cleanup(func() { _ = unix.Kill(-leader.PID, unix.SIGKILL) }) // the leader's child has no death signal
	fd, err := unix.PidfdOpen(leader.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	killed := time.Now()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000); n != 1 {
		t.Fatalf("the script outlives its runner (%v)", err)
	}
	t.Logf("script ended %v after its runner was reaped", time.Since(killed))
}
