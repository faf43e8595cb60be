package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"herosup/zinit"
	"herosup/zinit/wire"

	"golang.org/x/sys/unix"
)

// Bounds of the door.
const (
	// maxConns is how many connections are served at a time; one more is told so
	// and closed. They never take more than a quarter of our descriptors.
	maxConns = 2000
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
	places := make(chan struct{}, connLimit())
	var long budget
	for {
		c, err := d.listener.AcceptUnix()
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
		if err := checkPeer(c); err != nil {
			d.log.Warn("client refused", "err", err)
			turnAway(c, err.Error(), "")
			continue
		}
		select {
		case places <- struct{}{}:
			conns.Go(func() {
				defer func() { <-places }()
				serve(ctx, &meter{Conn: c, budget: &long}, d.api)
			})
		default:
			turnAway(c, fmt.Sprintf("too many connections (%d)", cap(places)), "close some, or try again")
		}
	}
}

// connLimit is maxConns, or less where we may open few files.
func connLimit() int {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Cur/4 < maxConns {
		return max(1, int(files.Cur/4))
	}
	return maxConns
}

// turnAway answers a connection that is not served. The few bytes fit into any
// socket buffer, so the write waits for nobody.
func turnAway(c net.Conn, why, hint string) {
	defer func() { _ = c.Close() }()
	e := refuse(zinit.InternalError, "connecting", "", why, hint)
	if msg, err := wire.Encode(failure(nil, e)); err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = c.Write(msg)
	}
}
