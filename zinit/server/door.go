package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
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
	// reopenEvery is how often the door looks whether its socket's name is there: who cleans up a folder takes it for a
	// file that nobody uses, and nobody could come in any more.
	reopenEvery = time.Second
)

// door accepts clients.
type door struct {
	path string
	api  *api
	log  *slog.Logger

	mu       sync.Mutex
	listener *net.UnixListener
	shut     bool
}

// opening is where clients come in now; nil when the door is shut.
func (d *door) opening() *net.UnixListener {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return nil
	}
	return d.listener
}

// close shuts the door.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	_ = d.listener.Close()
}

// tend makes the socket anew when its name is gone, until ctx ends. What somebody else put there stays.
func (d *door) tend(ctx context.Context) {
	tick := time.NewTicker(reopenEvery)
	defer tick.Stop()
	said := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Lstat(d.path); !errors.Is(err, os.ErrNotExist) {
			said = false
			continue
		}
		l, err := wire.Listen(ctx, d.path)
		if err != nil {
			if !said { // its folder may be gone for good
				said = true
				d.log.Warn("the socket was removed and can not be made again", "socket", d.path, "err", err)
			}
			continue
		}
		d.log.Warn("the socket was removed, and is made again", "socket", d.path)
		d.mu.Lock()
		_ = d.listener.Close()
		if d.listener = l; d.shut {
			_ = l.Close()
		}
		d.mu.Unlock()
	}
}

// run serves clients until ctx ends, and returns when all are served: what was
// asked before is answered.
func (d *door) run(ctx context.Context) {
	defer context.AfterFunc(ctx, d.close)()
	var conns sync.WaitGroup
	defer conns.Wait()
	conns.Go(func() { d.tend(ctx) })
	places := make(chan struct{}, connLimit())
	var long budget
	for {
		l := d.opening()
		if l == nil {
			return
		}
		c, err := l.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			continue // shut, or another one is open
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
