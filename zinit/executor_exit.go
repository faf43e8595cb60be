package zinit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"herosup/events"

	"golang.org/x/sys/unix"
)

// waitExit returns nil when this very process has ended, whoever its parent is,
// within microseconds of it; or ctx's error. It uses a pidfd in Go's own poller,
// so a thousand of them need no thread. Where there is none to be had (no
// descriptors left, an old kernel) it looks often instead.
func waitExit(ctx context.Context, life events.Incarnation) error {
	err := pollPidfd(ctx, life)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	look := time.NewTicker(exitLook)
	defer look.Stop()
	for life.Alive() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// exitLook is the pace of looking at a process that can not be polled.
const exitLook = 20 * time.Millisecond

// pollPidfd waits for the end of a process, or of ctx.
func pollPidfd(ctx context.Context, life events.Incarnation) error {
	fd, err := unix.PidfdOpen(life.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch pid %d: %w", life.PID, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer func() { _ = f.Close() }()
	// The descriptor is bound to whoever has the number now; a stranger means
	// that ours is gone.
	if !life.Alive() {
		return nil
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch pid %d: %w", life.PID, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	return conn.Read(func(fd uintptr) (done bool) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}
