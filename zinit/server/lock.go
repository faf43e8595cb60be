package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"herosup/zinit/wire"

	"golang.org/x/sys/unix"
)

// Locked says that another server holds the socket or the folder.
type Locked struct {
	// Path is what both want.
	Path string
	// PID is the holder's, 0 if it did not say.
	PID int
}

func (l *Locked) Error() string {
	who := "another process"
	if l.PID != 0 {
		who = "PID " + strconv.Itoa(l.PID)
	}
	return fmt.Sprintf("start zinit: %s is served by %s already; use that one, or end it first", l.Path, who)
}

// takeLock locks path for what it stands for, and writes our PID into it. The
// lock ends with the returned file or with this process, whichever is first;
// the file itself stays, because removing it would let two hold "the" lock.
// Children do not inherit it (Go opens files close-on-exec).
func takeLock(path, stands string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start zinit: open lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		const longest = 32 // a PID and a newline
		b, _ := io.ReadAll(io.LimitReader(f, longest))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		_ = f.Close()
		return nil, &Locked{Path: stands, PID: pid}
	}
	if err == nil {
		err = sign(f)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("start zinit: lock %s: %w", path, err)
	}
	return f, nil
}

// takeLockOfTheDead is takeLock, and waits a moment for a lock whose holder has
// just been killed: what that one was about to start has it until its exec.
func takeLockOfTheDead(ctx context.Context, path, stands string) (*os.File, error) {
	const patience, pause = 2 * time.Second, time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		lock, err := takeLock(path, stands)
		held, isHeld := errors.AsType[*Locked](err)
		if !isHeld || ctx.Err() != nil {
			return lock, err
		}
		if holder, err := readProc(held.PID); err == nil && holder.live() {
			return nil, held
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// sign writes our PID into a lock that we hold.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// listen makes the socket. Its lock is held, so a socket file that is there was
// left by a dead server, unless one that knows no lock (the original) answers
// on it. Anything but a socket is somebody's file and stays.
func listen(ctx context.Context, path string) (*net.UnixListener, error) {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("start zinit: %w", err)
	case fi.Mode()&os.ModeSocket == 0:
		return nil, fmt.Errorf("start zinit: %s is not a socket but something else; remove it or name another path", path)
	default:
		if c, err := wire.Dial(ctx, path); err == nil {
			_ = c.Close()
			return nil, &Locked{Path: path}
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("start zinit: remove the socket of a dead server: %w", err)
		}
	}
	l, err := wire.Listen(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("start zinit: listen on %s: %w", path, err)
	}
	return l, nil
}
