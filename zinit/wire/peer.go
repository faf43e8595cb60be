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

// PeerDir is the folder that the process which listens on a socket works in.
func PeerDir(socket string) (string, error) {
	pid, err := PeerPID(socket)
	if err != nil {
		return "", err
	}
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
		return 0, fmt.Errorf("who listens at %s: %w", socket, asked)
	}
	return int(peer.Pid), nil
}
