package server

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// forkExec is syscall.ForkExec with the mask and the bounds of a service, which
// hold from the process' first instruction on.
//
// Go has no place for either between fork and exec, and a helper program in
// between would cost more than most services do. So the mask is that of a thread
// which forks and then has the old one again (threads share theirs unless asked
// otherwise; one that ended for each start would use up the spare ones), and
// the bounds are set while the kernel holds the new program before its first
// instruction, which is what it does for a debugger.
func forkExec(path string, argv []string, attr *syscall.ProcAttr, e zinit.Extension) (pid int, err error) {
	if e.Umask == nil && len(e.Rlimits) == 0 {
		return syscall.ForkExec(path, argv, attr)
	}
	done := make(chan struct{})
	became := false
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer func() {
			if !became { // as it was, but for folder and mask of its own, which we never change
				runtime.UnlockOSThread()
			}
		}()
		if e.Umask != nil {
			if err = unix.Unshare(unix.CLONE_FS); err != nil {
				err = fmt.Errorf("umask: %w", err)
				return
			}
			defer unix.Umask(unix.Umask(int(*e.Umask)))
		}
		if len(e.Rlimits) == 0 {
			pid, err = syscall.ForkExec(path, argv, attr)
			return
		}
		attr.Sys.Ptrace = true
		if pid, err = syscall.ForkExec(path, argv, attr); err != nil {
			return
		}
		err = setLimits(pid, e.Rlimits)
		if c := attr.Sys.Credential; c != nil && errors.Is(err, unix.EPERM) {
			// The process is another user's already, and to bound that one takes a
			// right (CAP_SYS_RESOURCE) that root in a container often lacks. He himself
			// needs none, so this thread becomes him for the rest of its life: not
			// unlocked, it ends with this goroutine.
			became = true
			if err = become(c); err == nil {
				err = setLimits(pid, e.Rlimits)
			}
		}
		if err == nil {
			err = letGo(pid)
		}
		if err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}()
	<-done
	if became && err == nil { // there was room for a process
		reserveThreads(spareThreads)
	}
	return pid, err
}

func setLimits(pid int, limits map[string]uint64) error {
	for name, n := range limits {
		resource, _ := zinit.Resource(name) // it was validated
		if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: n, Max: n}, nil); err != nil {
			return fmt.Errorf("rlimits.%s: %w", name, err)
		}
	}
	return nil
}

// become gives the calling thread, and no other, another user.
func become(c *syscall.Credential) error {
	uid, gid := uintptr(c.Uid), uintptr(c.Gid)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return errno
	}
	return nil
}

// letGo ends the hold on a process. It may take a moment until the kernel has
// come to the first instruction.
func letGo(pid int) error {
	const patience, pause = 5 * time.Second, 50 * time.Microsecond
	for end := time.Now().Add(patience); ; {
		err := syscall.PtraceDetach(pid)
		if !errors.Is(err, unix.ESRCH) {
			return err
		}
		if time.Now().After(end) {
			return nil // killed before it began: its end is on the way
		}
		<-time.After(pause)
	}
}
