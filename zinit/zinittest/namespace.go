package zinittest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pidMaxVar is how many PIDs there are to be in a namespace; "" is the usual.
const pidMaxVar = "ZINITTEST_PID_MAX"

// Namespaced runs this test binary with the arguments in a PID namespace of its
// own, below a first process that does what one has to, and returns what it
// printed. With pidMax above 0 the namespace has no more PIDs than that, so that
// they are given again soon (Linux 6.14 and later). ok is false, with the reason
// logged, where we have no right to any of it.
func Namespaced(t testing.TB, pidMax int, args ...string) (output string, ok bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), roleVar+"="+roleInit)
	if pidMax > 0 {
		cmd.Env = append(cmd.Env, pidMaxVar+"="+strconv.Itoa(pidMax))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	if os.Geteuid() != 0 { // as root of a user namespace, where the machine gives those
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if why, refused := strings.CutPrefix(string(out), noNamespace); refused {
		t.Logf("no PID namespace to be had here: %s", strings.TrimSpace(why))
		return "", false
	}
	if err != nil && cmd.ProcessState == nil {
		t.Logf("no PID namespace to be had here: %v", err)
		return "", false
	}
	if err != nil {
		t.Errorf("in a PID namespace: %v\n%s", err, out)
	}
	return string(out), true
}

// noNamespace begins what beInit says when it can not do its part.
const noNamespace = "NO NAMESPACE: "

// beInit is the first process of a PID namespace: it gives it a /proc, runs the
// test binary, and reaps whoever loses his parent.
func beInit(args []string) int {
	fail := func(what string, err error) int {
		_, _ = fmt.Fprintf(os.Stdout, "%s%s: %v\n", noNamespace, what, err)
		return 1
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fail("make mounts private", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fail("mount /proc", err)
	}
	if most := os.Getenv(pidMaxVar); most != "" {
		var u unix.Utsname
		var major, minor int
		_ = unix.Uname(&u)
		_, _ = fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
		if major < 6 || major == 6 && minor < 14 {
			return fail("bound PIDs", fmt.Errorf("Linux %d.%d has one bound for the whole machine", major, minor))
		}
		if err := os.WriteFile("/proc/sys/kernel/pid_max", []byte(most), 0); err != nil {
			return fail("bound PIDs", err)
		}
	}
	_ = os.Unsetenv(roleVar)
	_ = os.Unsetenv(pidMaxVar)
	exe, err := os.Executable()
	if err != nil {
		return fail("find the program", err)
	}
	pid, err := syscall.ForkExec(exe, append([]string{exe}, args...), &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return fail("start", err)
	}
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case ended == pid:
			return status.ExitStatus()
		case err != nil && !errors.Is(err, syscall.EINTR):
			return 1
		}
	}
}
