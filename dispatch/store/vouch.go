package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// errUnvouched is what a connection to a server process ends with that the daemon has not looked at yet.
var errUnvouched = errors.New("it is another server process than before, and the daemon has not yet looked whether it has an old copy")

// A Redis with an older state of itself (a replaced dump, a replica that lagged behind) looks like a good one:
// same epoch, plausible queues. But it is always another server process, so it can only appear behind a new connection.
// The daemon vouches for the process whose state it has compared with what it knows, by writing its run id into Redis;
// every other client compares the two when a connection is made, and uses none that nobody vouches for. That costs
// nothing afterwards. Without a word of a daemon, or where a server does not tell its run id (the embedded one, which
// never comes back with an old copy), nothing is compared.

// greet looks at each new connection.
func (s *Store) greet(ctx context.Context, c *redis.Conn) error {
	vouched, err := c.Get(ctx, s.keys.vouched().name).Result()
	switch {
	case errors.Is(err, redis.Nil), err != nil && isAnswer(err) && !unready(err): // a Cluster's other node, a replica: what is asked of it says so
		return nil
	case err != nil:
		return err
	}
	run, err := runID(ctx, c)
	switch {
	case err != nil:
		return err
	case run == "" || run == vouched:
		return nil
	}
	select {
	case s.judge <- struct{}{}:
	default:
	}
	return errUnvouched
}

// runID names the server process; "" if it does not tell.
func runID(ctx context.Context, c *redis.Conn) (string, error) {
	info, err := c.Info(ctx, "server").Result()
	if err != nil && !isAnswer(err) {
		return "", err
	}
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
			return id, nil
		}
	}
	return "", nil
}

// Unvouched says that a connection was made to a server process that nobody vouches for, and given up. The daemon then
// compares its state with what it knows, by Bare, and voids its epoch or not, and vouches for it.
func (s *Store) Unvouched() <-chan struct{} { return s.judge }

// Bare is this Store without that look at new connections: the judge's, and for what is about a server and not about
// jobs. It is closed with this one.
func (s *Store) Bare() *Store {
	s.bare.Do(func() {
		b := &Store{
			keys: s.keys, conn: s.conn, waiters: make(chan *waiter, maxIdleWaiters), life: s.life, end: s.end,
			scripts: s.scripts, lease: s.lease, maxPriorityWait: s.maxPriorityWait, judge: make(chan struct{}, 1),
		}
		b.conn.opts.OnConnect = nil
		b.conn.opts.PoolSize = 4
		b.rdb = b.conn.client()
		s.judges = b
	})
	return s.judges
}

// Vouched reports whether the server that answers now is the one vouched for. One that does not tell its run id is.
func (s *Store) Vouched(ctx context.Context) (ok bool, run string, err error) {
	node, err := s.node(ctx)
	if err != nil {
		return false, "", s.fault(ctx, err, nil)
	}
	// Both from one connection, or a failover could fall between.
	c, ok := node.(*redis.Client)
	if !ok {
		return false, "", fmt.Errorf("ask redis for its run id: a client of kind %T", node)
	}
	conn := c.Conn()
	defer conn.Close()
	vouched, err := conn.Get(ctx, s.keys.vouched().name).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, "", s.fault(ctx, err, nil)
	}
	if run, err = runID(ctx, conn); err != nil {
		return false, "", s.fault(ctx, err, nil)
	}
	return run == "" || run == vouched, run, nil
}

// Void takes the epoch away, if it is still this one: from then on every script answers NO_EPOCH. OK, or Gone.
func (d *Daemon) Void(ctx context.Context) (Code, error) {
	r, err := d.s.run(ctx, "void", []key{d.s.keys.epoch()}, dec(d.epoch))
	if errors.Is(err, ErrNoEpoch) {
		return Gone, nil
	}
	if err != nil {
		return "", err
	}
	return r.code(), r.err
}

// Vouch says that the server process of this run id was looked at: it has the state that the daemon knows, or no epoch.
func (s *Store) Vouch(ctx context.Context, run string) error {
	k := s.keys.vouched()
	return s.fault(ctx, s.rdb.Set(ctx, k.name, run, 0).Err(), []key{k})
}
