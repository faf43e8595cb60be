package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	readTimeout = 2 * time.Second // of an answer; blocking calls add it to their time
	dialTimeout = time.Second
	poolSize    = 100 // as many errors until go-redis looks for a lost server once a second only; an actor opens two connections
)

// Options are the settings of a Store.
type Options struct {
	// URL of Redis: one server, Sentinel or a Cluster. See CheckURL.
	URL string
	// Password and SentinelPassword override the URL's, so that they need not stand in an argument.
	Password, SentinelPassword string
	// Prefix of all keys; "" means "hero". A Redis Cluster needs one hash tag, "{hero}".
	Prefix string
	// Lease is how long a job in hand may go without a Renew before Overdue names it; 0 means 10 s.
	Lease time.Duration
	// Keep ended records and reply lists this long; 0 means 1 h.
	Keep time.Duration
	// KeepResult is how long the result (output, error, reply list) of a job is kept that does not say it itself, if that is shorter than
	// Keep; nil: as long. 0 is none: it is there for ten seconds, for those that wait for the job. Not of dead jobs.
	KeepResult *time.Duration
	// MaxPriorityWait is how long a job of the lowest level waits at most behind a flood of the highest; 0 means 60 s.
	// Only Accept asks for it.
	MaxPriorityWait time.Duration
	// Done is how many ended records are kept at most, whatever their age; 0 means 10,000.
	Done int
	// DeadMost and DeadAge bound the list of the dead; 0 means 10,000 and 30 days.
	DeadMost int
	DeadAge  time.Duration
	// RetryBase is the upper bound of the pause before the first retry of a failed script; each further one
	// doubles it, up to RetryCap. 0 means 1 s and 1 h.
	RetryBase, RetryCap time.Duration
	// ClientName is set on each connection, for CLIENT LIST; "" for none.
	ClientName string
	// Dial makes each connection, without TLS; nil: the network's way.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Store is a connection to Redis. See the package comment for ownership.
type Store struct {
	keys    keys
	rdb     redis.UniversalClient // everything that does not block
	conn    connection
	waiters chan *waiter // idle connections for blocking calls
	life    context.Context
	end     context.CancelCauseFunc
	scripts map[string]*script
	lease   time.Duration
	judge   chan struct{} // greet found a server process that nobody vouches for
	bare    sync.Once
	judges  *Store // see Bare

	maxPriorityWait time.Duration
	jitter          func() float64 // 0 to 1; tests set it
}

// Open makes a Store; it does not connect yet. The error is a setting that can not be used. log nil discards.
func Open(opts Options, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o, err := parseURL(opts.URL)
	if err != nil {
		return nil, fmt.Errorf("open redis: %w", err)
	}
	conn := connect(o, opts)
	if opts.Prefix == "" {
		opts.Prefix = "hero"
	}
	if !token.MatchString(strings.TrimSuffix(strings.TrimPrefix(opts.Prefix, "{"), "}")) {
		return nil, fmt.Errorf("open redis: bad prefix %q: want letters, digits, _ and -, at most 64, or that in braces", opts.Prefix)
	}
	if err := conn.checkPrefix(opts.Prefix); err != nil {
		return nil, err
	}
	if opts.Lease == 0 {
		opts.Lease = 10 * time.Second
	}
	if opts.Keep == 0 {
		opts.Keep = time.Hour
	}
	if opts.MaxPriorityWait == 0 {
		opts.MaxPriorityWait = defaultPriorityWait
	}
	if opts.MaxPriorityWait < time.Second {
		return nil, fmt.Errorf("open redis: longest wait for priority %v: want a second at least", opts.MaxPriorityWait)
	}
	if opts.Lease < time.Second || opts.Keep < time.Second {
		return nil, fmt.Errorf("open redis: lease %v, keep %v: want a second at least", opts.Lease, opts.Keep)
	}
	if err := opts.bounds(); err != nil {
		return nil, err
	}
	scripts, err := loadScripts(constants{
		prefix: opts.Prefix, keepS: int64(opts.Keep / time.Second), done: opts.Done, result: keptFor(opts.KeepResult),
		deadMost: opts.DeadMost, deadAge: opts.DeadAge.Milliseconds(),
		retryBase: opts.RetryBase.Milliseconds(), retryCap: opts.RetryCap.Milliseconds(),
	})
	if err != nil {
		return nil, err
	}
	quiet(log)
	life, end := context.WithCancelCause(context.Background()) // a Store lives from Open to Close, not as long as a call
	s := &Store{
		keys: keys(opts.Prefix), conn: conn,
		waiters: make(chan *waiter, maxIdleWaiters), life: life, end: end, scripts: scripts, lease: opts.Lease, judge: make(chan struct{}, 1),
		maxPriorityWait: opts.MaxPriorityWait,
		jitter:          rand.Float64,
	}
	s.conn.opts.OnConnect = s.greet
	s.rdb = s.conn.client()
	return s, nil
}

// keptFor is what the scripts are told of a time that may be left open.
func keptFor(d *time.Duration) string {
	if d == nil {
		return ""
	}
	return strconv.FormatInt(max(0, d.Milliseconds()), 10)
}

// bounds fills in and checks the settings that bound what is kept and retried.
func (o *Options) bounds() error {
	for _, n := range []struct {
		name string
		v    *int
		std  int
	}{{"done", &o.Done, 10_000}, {"dead", &o.DeadMost, 10_000}} {
		if *n.v == 0 {
			*n.v = n.std
		}
		if *n.v < 1 || *n.v > 10_000_000 {
			return fmt.Errorf("open redis: %s %d: want 1 to 10,000,000 jobs kept", n.name, *n.v)
		}
	}
	for _, d := range []struct {
		name string
		v    *time.Duration
		std  time.Duration
	}{{"dead age", &o.DeadAge, 30 * 24 * time.Hour}, {"retry base", &o.RetryBase, time.Second}, {"retry cap", &o.RetryCap, time.Hour}} {
		if *d.v == 0 {
			*d.v = d.std
		}
		if *d.v < time.Millisecond || *d.v > 366*24*time.Hour {
			return fmt.Errorf("open redis: %s %v: want 1ms to a year", d.name, *d.v)
		}
	}
	return nil
}

// Close ends all connections; blocked calls return ErrAway.
func (s *Store) Close() error {
	s.end(fmt.Errorf("%w: the store was closed", ErrAway))
	err := errors.Join(s.rdb.Close(), s.dropWaiters())
	s.bare.Do(func() {}) // from here on there is none to be made
	if s.judges != nil {
		err = errors.Join(err, s.judges.Close())
	}
	return err
}

// jobKeys are the keys of every script that can end or hand over jobs of a type.
func (s *Store) jobKeys(jobType string, more ...key) []key {
	k := s.keys
	return append([]key{
		k.epoch(), k.facts(), k.ended(), k.dead(), k.queue(jobType), k.idle(jobType), k.lease(jobType),
	}, more...)
}

// jobArgs are their arguments.
func (s *Store) jobArgs(epoch uint64, jobType string, more ...any) []any {
	return append([]any{dec(epoch), jobType}, more...)
}

func dec(n uint64) string { return strconv.FormatUint(n, 10) }

// bad tells of a name that may not become part of a key.
func bad(what, name string) error {
	if token.MatchString(name) {
		return nil
	}
	return fmt.Errorf("bad %s %q: want 1 to 64 letters, digits, _ and -", what, name)
}

// quiet sends what go-redis would print to stderr to the log. Its logger is one for the process, so
// the first Store's log gets it.
var quietOnce sync.Once

func quiet(log *slog.Logger) { quietOnce.Do(func() { redis.SetLogger(redisLog{log}) }) }

type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis client", "reason", fmt.Sprintf(format, v...))
}
