package server

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"herosup/events"
	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// grandchild is a process whose parent reaps it.
func grandchild(t *testing.T) events.Incarnation {
	t.Helper()
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $!; wait; sleep 1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() })
	text, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	life, err := events.IncarnationOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	return life
}

// The end of a process that another one reaps is seen, and how it ended is
// known where the kernel keeps that, and never wrong.
func TestEndOfAForeignProcess(t *testing.T) {
	life := grandchild(t)
	f, err := openForeign(life)
	if err != nil || f == nil {
		t.Fatalf("open: %v, %v", f, err)
	}
	defer f.close()
	if err := unix.Kill(life.PID, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	how, err := f.wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if how.Kind == zinit.Unknown && !kernelKeepsStatus(t) {
		t.Log("this kernel does not keep the status of who is reaped")
		return
	}
	if how.Signal != "SIGTERM" {
		t.Errorf("ended by SIGTERM, seen as %s", how)
	}
	for life.Alive() || stillThereNumber(life.PID) { // reaped by its parent
	}
	if again, _ := openForeign(life); again != nil {
		t.Error("what is reaped was opened")
	}
}

func stillThereNumber(pid int) bool { return unix.Kill(pid, 0) == nil }

// kernelKeepsStatus: since Linux 6.15.
func kernelKeepsStatus(t *testing.T) bool {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	_, _ = fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return major > 6 || major == 6 && minor >= 15
}

// A number that has become another process's is not taken for ours.
func TestForeignIsAnIncarnation(t *testing.T) {
	life := grandchild(t)
	life.Start--
	if f, err := openForeign(life); f != nil || err != nil {
		t.Errorf("another start time: %v, %v", f, err)
	}
}

// Nor is one that a thread has by now, as after another start of the machine: what
// is recorded of a process that is long gone is in nobody's way.
func TestForeignNumberIsAThreads(t *testing.T) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range threads {
		tid, err := strconv.Atoi(e.Name())
		if err != nil || tid == os.Getpid() {
			continue
		}
		seen++
		life := events.Incarnation{Boot: "01234567", PID: tid, Start: 1}
		if f, err := openForeign(life); f != nil || err != nil {
			t.Errorf("the number of thread %d: %v, %v", tid, f, err)
		}
	}
	if seen == 0 {
		t.Fatal("the Go runtime has one thread only")
	}
}
