package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"herosup/zinit"
	"herosup/zinit/wire"
)

// Bounds of the door.
const (
	// maxConns is how many connections are served at a time; one more is told so
	// and closed. The original's number.
	maxConns = 100
	// acceptPause is the wait after an accept that failed for want of
	// descriptors: they do not come back any faster by asking.
	acceptPause = 50 * time.Millisecond
)

// door accepts clients.
type door struct {
	listener *net.UnixListener
	api      *api
	log      *slog.Logger
}

// run serves clients until ctx ends, and returns when all are served: what was
// asked before is answered.
func (d *door) run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { _ = d.listener.Close() })()
	var conns sync.WaitGroup
	defer conns.Wait()
	places := make(chan struct{}, maxConns)
	for {
		c, err := d.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			d.log.Warn("client not accepted", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case places <- struct{}{}:
			conns.Go(func() {
				defer func() { <-places }()
				serve(ctx, c, d.api)
			})
		default:
			turnAway(c)
		}
	}
}

// turnAway answers a connection that there is no place for. The few bytes fit
// into any socket buffer, so the write waits for nobody.
func turnAway(c net.Conn) {
	defer func() { _ = c.Close() }()
	e := refuse(zinit.InternalError, "connecting", "", "too many connections (100)", "close some, or try again")
	if msg, err := wire.Encode(failure(nil, e)); err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = c.Write(msg)
	}
}
