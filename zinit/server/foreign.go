package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"herosup/events"
	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// foreign is a process of ours whose parent we are not: an earlier server over
// the same folder started it. It is known by a pidfd, which names this very
// process for as long as it is open, whatever becomes of its number.
type foreign struct {
	pid  int
	file *os.File
}

// openForeign returns a handle of the process life, or nil if it is gone or was
// never there.
func openForeign(life events.Incarnation) (*foreign, error) {
	if life.IsZero() {
		return nil, nil
	}
	fd, err := unix.PidfdOpen(life.PID, unix.PIDFD_NONBLOCK)
	if err != nil && !life.Alive() {
		// Nobody has the number, or by now a thread has it, of which there is no such
		// handle (EINVAL, from Linux 6.16 on ENOENT).
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("watch PID %d: %w", life.PID, err)
	}
	// The handle is of whoever has the number now. If that is ours, it stays so.
	if !life.Alive() {
		_ = unix.Close(fd)
		return nil, nil
	}
	return &foreign{life.PID, os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (f *foreign) close() { _ = f.file.Close() }

// wait returns when the process has ended, and how: Unknown where nobody can
// say. It uses Go's poller, so it holds no thread.
func (f *foreign) wait(ctx context.Context) (zinit.State, error) {
	conn, err := f.file.SyscallConn()
	if err != nil {
		return zinit.State{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = f.file.SetReadDeadline(time.Unix(1, 0)) })()
	if err := conn.Read(func(fd uintptr) bool { return readable(fd, 0) }); err != nil {
		return zinit.State{}, err
	}
	how := zinit.State{Kind: zinit.Unknown}
	err = conn.Control(func(fd uintptr) {
		if status, ok := exitOf(fd, f.pid); ok {
			how = endOf(f.pid, status)
		}
	})
	return how, err
}

// readable reports whether the process has ended.
func readable(fd uintptr, wait time.Duration) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(wait.Milliseconds()))
	return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
}

// exitOf is how the process ended, though it was not ours to wait for. As long
// as its parent has not reaped it /proc shows that, and from Linux 6.15 on the
// kernel keeps it with the pidfd afterwards. In between, on older kernels, it
// is lost with a parent that is faster than we are.
func exitOf(fd uintptr, pid int) (unix.WaitStatus, bool) {
	if status, ok := zombieStatus(pid); ok && stillThere(fd) {
		return status, true
	}
	return keptStatus(fd)
}

// stillThere reports whether the process is not reaped: its number is its own.
func stillThere(fd uintptr) bool { return unix.PidfdSendSignal(int(fd), 0, nil, 0) == nil }

// keptStatus asks the kernel (ioctl PIDFD_GET_INFO, linux/pidfd.h).
func keptStatus(fd uintptr) (unix.WaitStatus, bool) {
	const (
		maskExit = 1 << 3
		request  = 3<<30 | infoSize<<16 | 0xff<<8 | 11 // _IOWR(0xff, 11, struct pidfd_info)
	)
	var info pidfdInfo
	info.mask = maskExit
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(&info)))
	if errno != 0 || info.mask&maskExit == 0 {
		return 0, false
	}
	return unix.WaitStatus(info.exitCode), true
}

// pidfdInfo is struct pidfd_info in its first version, which later kernels take.
type pidfdInfo struct {
	mask, cgroup uint64
	_            [11]uint32 // numbers of the process and of its users
	exitCode     int32
}

const infoSize = unsafe.Sizeof(pidfdInfo{})

// signalGroup signals all of the group that the process leads, also when it has
// ended itself and others are left. ESRCH says that there is none any more.
//
// Linux 6.9 and later do that by the pidfd. Before, it takes the number, which
// is the group's as long as its leader lives.
func (f *foreign) signalGroup(sig syscall.Signal) error {
	const processGroup = 1 << 2 // PIDFD_SIGNAL_PROCESS_GROUP
	conn, err := f.file.SyscallConn()
	if err != nil {
		return err
	}
	result := error(nil)
	err = conn.Control(func(fd uintptr) {
		result = unix.PidfdSendSignal(int(fd), sig, nil, processGroup)
		if errors.Is(result, unix.EINVAL) {
			if result = unix.ESRCH; !readable(fd, 0) {
				result = unix.Kill(-f.pid, sig)
			}
		}
	})
	return errors.Join(err, result)
}
