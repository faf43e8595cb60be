package wire

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// peerPatience bounds the connecting of PeerPID.
const peerPatience = 2 * time.Second

// DirOf is the folder that a process works in.
func DirOf(pid int) (string, error) {
	return os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
}

// PeerPID is the process that listens on a socket.
func PeerPID(socket string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), peerPatience)
	defer cancel()
	c, err := Dial(ctx, socket)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	pid, err := ListenerOf(c)
	if err != nil {
		return 0, fmt.Errorf("who listens at %s: %w", socket, err)
	}
	return pid, nil
}

// ListenerOf is the process that listened where a connection of Dial was made.
func ListenerOf(c net.Conn) (pid int, err error) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		peer, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if asked != nil {
		return 0, asked
	}
	return int(peer.Pid), nil
}
