package store

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxIdleWaiters bounds the connections kept for the next blocking call; each call under way
// has one of its own, so none can starve another or the pool.
const maxIdleWaiters = 32

// waiter is a client of one connection for blocking commands. go-redis does not see a context's cancel
// while it reads, and a blocked actor must end at once: so the connection is closed under it.
type waiter struct {
	client *redis.Client
	conn   atomic.Pointer[net.Conn]
	killed atomic.Bool
}

// newWaiter makes one. With Sentinel it is a client of its own that listens there: when the master changes, it
// closes the connection under a blocked call. In a Cluster it is of the node that has the keys now, and dropped when that
// one says MOVED.
func (s *Store) newWaiter(ctx context.Context) (*waiter, error) {
	w := &waiter{}
	u := s.conn.opts
	u.PoolSize, u.PipelinePoolSize = 1, -1
	if s.conn.sentinel() {
		w.client = redis.NewFailoverClient(u.Failover())
		return w, nil
	}
	o := u.Simple()
	if s.conn.cluster() {
		n, err := s.node(ctx)
		if err != nil {
			return nil, err
		}
		o.Addr = n.(*redis.Client).Options().Addr //nolint:forcetypeassert // a Cluster's node is one
	}
	dial := o.Dialer
	if dial == nil { // TLS: go-redis' own
		dial = redis.NewDialer(o)
	}
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		w.conn.Store(&c)
		if w.killed.Load() { // kill came before there was anything to close
			_ = c.Close()
		}
		return c, nil
	}
	w.client = redis.NewClient(o)
	return w, nil
}

func (w *waiter) kill() {
	w.killed.Store(true)
	if c := w.conn.Load(); c != nil {
		_ = (*c).Close()
		return
	}
	_ = w.client.Close() // with Sentinel the connection is go-redis' own
}

// blocking runs f on a waiter's client and returns when f does, or soon after ctx or the store ends.
func (s *Store) blocking(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	if err := s.life.Err(); err != nil {
		return context.Cause(s.life)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var w *waiter
	select {
	case w = <-s.waiters:
	default:
		var err error
		if w, err = s.newWaiter(ctx); err != nil {
			return err
		}
	}
	stopCtx, stopLife := context.AfterFunc(ctx, w.kill), context.AfterFunc(s.life, w.kill)
	err := f(ctx, w.client)
	untouched, open := stopCtx(), stopLife()
	// After a failed dial go-redis would answer from memory for up to a second: so only a sound one is kept.
	if untouched && open && (err == nil || isAnswer(err) && !elsewhere(err)) {
		s.keepWaiter(w)
		return err
	}
	_ = w.client.Close()
	if err != nil && !open {
		return context.Cause(s.life)
	}
	return err
}

// keepWaiter keeps a connection for the next call; not past Close.
func (s *Store) keepWaiter(w *waiter) {
	select {
	case s.waiters <- w:
	default:
		_ = w.client.Close()
	}
	if s.life.Err() != nil {
		_ = s.dropWaiters()
	}
}

func (s *Store) dropWaiters() error {
	var err error
	for {
		select {
		case w := <-s.waiters:
			err = errors.Join(err, w.client.Close())
		default:
			return err
		}
	}
}

// seconds is a blocking time as Redis takes it; go-redis' own methods round up to whole seconds.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
