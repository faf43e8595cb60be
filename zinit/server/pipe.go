package server

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pipe carries the output of a child to a pump.
type pipe struct{ r, w int }

// newPipe makes a pipe whose write end is open for reading as well. As long as
// a child holds it there is a reader, so a child that writes after we were
// killed gets no SIGPIPE: it goes on, and blocks only when the pipe is full.
// Where /proc can not do that the plain write end has to do.
//
// The write end blocks, as programs expect of their output; only ours does not.
// (os.Pipe would make both non-blocking.)
func newPipe() (pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return pipe{}, fmt.Errorf("make a pipe for the output: %w", err)
	}
	p := pipe{r: fds[0], w: fds[1]}
	if w, err := unix.Open("/proc/self/fd/"+strconv.Itoa(p.w), unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Close(p.w)
		p.w = w
	}
	return p, nil
}

// keepReader gives up the child's end and returns ours, which ends when no
// child holds the other any more.
func (p pipe) keepReader() *os.File {
	_ = unix.Close(p.w)
	_ = unix.SetNonblock(p.r, true) // so that Close ends a Read
	return os.NewFile(uintptr(p.r), "output")
}

// abandon gives up both ends.
func (p pipe) abandon() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}
