package runner

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CheckLog says whether outputs can be copied into a log.
func CheckLog(f *os.File) error {
	log, err := openLog(f)
	if err != nil {
		return err
	}
	return log.Close()
}

// openLog opens what f is open on once more, for a write that ends: an open file description of its own does not wait in
// the kernel, which f's may not be told to, as other processes have it, too. (To look first whether f takes a piece is no
// way: of two that look, both see the last free page.) And f may be the standard output, where a write without a reader
// ends this process by SIGPIPE. A socket can not be opened so, nor anything without /proc.
func openLog(f *os.File) (log *os.File, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("the log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("the log: %w", err)
	}
	if failed := raw.Control(func(fd uintptr) {
		if !info.Mode().IsRegular() {
			log, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
			return
		}
		// Who writes into a file has a place in it, which they must share. A file never waits.
		var twin int
		if twin, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3); err == nil {
			log = os.NewFile(uintptr(twin), f.Name())
		}
	}); failed != nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("the log: %w", err)
	}
	return log, nil
}
