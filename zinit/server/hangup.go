package server

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hangUpLook is how often it is looked whether a client that has said all it had to say is still there.
const hangUpLook = 100 * time.Millisecond

// answerRest lets the calls of a client that says no more be answered, for as long as it can read that: who closes his side
// alone (nc -N, shutdown(2)) waits for his answers. The end of the server is not waited for: it has them answered itself.
func (c *conn) answerRest(server context.Context, calls *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { calls.Wait(); close(done) }()
	look := time.NewTicker(hangUpLook)
	defer look.Stop()
	for !hungUp(c.net.Conn) {
		select {
		case <-look.C:
		case <-done:
			return
		case <-c.ctx.Done():
			return
		case <-server.Done():
			return
		}
	}
}

// hungUp reports whether nothing can be sent to a client any more: it closed its socket, not its side alone.
func hungUp(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	if err := raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(p, 0)
		gone = err != nil && err != unix.EINTR || p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	}); err != nil {
		return true // closed by us
	}
	return gone
}
