package wire

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what sockaddr_un holds without its final NUL.
const maxSocketPath = 107

// Dial connects to the unix socket at path, which may be longer than the
// kernel's address holds.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	addr, release, err := address(path)
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", addr)
}

// Listen makes the unix socket at path, readable and writable for its owner
// alone from its first moment: the mode is set before bind gives it a name.
// The socket's file is left when the listener closes; whoever holds the lock
// removes it.
func Listen(ctx context.Context, path string) (*net.UnixListener, error) {
	addr, release, err := address(path)
	if err != nil {
		return nil, err
	}
	defer release()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmod error
		if err := c.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) }); err != nil {
			return err
		}
		return chmod
	}}
	l, err := lc.Listen(ctx, "unix", addr)
	if err != nil {
		return nil, err
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	return ul, nil
}

// address is path, or for a long one a short way to the same file: through an
// open handle on its folder. release closes the handle after use.
func address(path string) (addr string, release func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	addr = filepath.Join("/proc/self/fd", strconv.FormatUint(uint64(dir.Fd()), 10), filepath.Base(path))
	if len(addr) > maxSocketPath {
		_ = dir.Close()
		return "", nil, fmt.Errorf("socket name %q is too long", filepath.Base(path))
	}
	return addr, func() { _ = dir.Close() }, nil
}
