package main

import (
	"context"
	"io"
)

// interruptible reads what may never come, a terminal or a pipe that stays open, until its context ends. The read that
// is under way then can not be ended: it is left behind, and the process ends soon. Not for concurrent use.
type interruptible struct {
	ctx   context.Context
	r     io.Reader
	buf   []byte
	reads chan readResult // one at most is under way
}

type readResult struct {
	n   int
	err error
}

func newInterruptible(ctx context.Context, r io.Reader) *interruptible {
	return &interruptible{ctx: ctx, r: r, reads: make(chan readResult, 1)}
}

// Read returns the cause of the context's end once that has come, and for ever after.
func (i *interruptible) Read(b []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	if len(i.buf) < len(b) {
		i.buf = make([]byte, len(b))
	}
	go func(buf []byte) {
		n, err := i.r.Read(buf)
		i.reads <- readResult{n, err}
	}(i.buf[:len(b)])
	select {
	case got := <-i.reads:
		return copy(b, i.buf[:got.n]), got.err
	case <-i.ctx.Done():
		return 0, context.Cause(i.ctx)
	}
}
