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

// peerPatience bounds the connecting of PeerDir.
const peerPatience = 2 * time.Second

// PeerDir is the folder that the process which listens on a socket works in.
func PeerDir(socket string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), peerPatience)
	defer cancel()
	c, err := Dial(ctx, socket)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return "", err
	}
	var peer *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		peer, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return "", err
	}
	if asked != nil {
		return "", fmt.Errorf("who listens at %s: %w", socket, asked)
	}
	return os.Readlink("/proc/" + strconv.Itoa(int(peer.Pid)) + "/cwd")
}
