package runner

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"herosup/events"
)

// A dead member that nobody has collected yet is no reason to wait: PID 1 of a container may take seconds, or for ever.
func TestGroupOfZombiesIsEmpty(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "100")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pgid := cmd.Process.Pid
	if !events.GroupRuns(pgid) {
		t.Error("a running process does not count")
	}
	if waitEmpty(pgid, 10*time.Millisecond) {
		t.Error("did not wait for it")
	}
	signalGroup(pgid, unix.SIGKILL)
	waitExit(pgid)
	if err := unix.Kill(-pgid, 0); err != nil {
		t.Fatalf("this test does not test what it says: no zombie is in the group: %v", err)
	}
	if events.GroupRuns(pgid) {
		t.Error("a zombie counts")
	}
	_ = cmd.Wait()
	if events.GroupRuns(pgid) {
		t.Error("nobody counts")
	}
}
