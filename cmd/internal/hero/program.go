package hero

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"herosup/cmd/internal/redisd"
	"herosup/dispatch/scratch"
)

// Config says which program is run, and as what.
type Config struct {
	// Command is the program and its arguments. {redis} stands for the URL of its private Redis.
	Command []string
	// Type of the jobs, which names the list that it waits on.
	Type string
	// Concurrency is how many jobs it may have at a time; 0 is 1.
	Concurrency int
	// Grace is the time from TERM to KILL when it is ended; 0 is 5 s.
	Grace time.Duration
	// Env is the program's whole environment.
	Env []string
	// Log gets the diary; nil discards.
	Log *slog.Logger
}

// Program is a running program of the original protocol and its private Redis.
type Program struct {
	cfg    Config
	dir    *scratch.Dir // of the private Redis' socket; what a killed one left goes with the next
	redis  *redis.Client
	ended  chan struct{} // closed when the private Redis has ended
	stop   context.CancelFunc
	lost   chan Exit // gets how the program ended when nobody asked for it
	pops   chan struct{}
	warned sync.Once

	mu     sync.Mutex
	child  *child
	closed bool
	jobs   map[string]*pending
	past   []string // keys of the last records, see forget
}

// pending is a job that the program has.
type pending struct {
	seen    seen
	changed chan struct{} // room for one
}

const defaultGrace = 5 * time.Second

// Start runs the program and returns when it waits for jobs. Errors: a command that can not be started, a program that
// ended before, or ctx's end.
func Start(ctx context.Context, cfg Config) (*Program, error) {
	if cfg.Grace <= 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := scratch.New("hero")
	if err != nil {
		return nil, fmt.Errorf("private redis: %w", err)
	}
	socket := filepath.Join(dir.Path(), "redis.sock")
	p := &Program{
		cfg: cfg, dir: dir, ended: make(chan struct{}), lost: make(chan Exit, 1), pops: make(chan struct{}, 1), jobs: map[string]*pending{},
	}
	l, err := redisd.Listen(ctx, socket)
	if err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	go p.serve(serving, l)
	p.redis = redis.NewClient(&redis.Options{Network: "unix", Addr: socket, ClientName: ownName, DisableIdentity: true, Protocol: 2})
	if err := p.begin(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Program) serve(ctx context.Context, l net.Listener) {
	defer close(p.ended)
	if err := redisd.ServeOn(ctx, l, p.hook); err != nil {
		p.cfg.Log.Error("private redis", "err", err)
	}
}

// Lost gets how the program ended, if nobody told it to: what it had in hand has to run again, so this process should
// end in the same way, without a word to Redis.
func (p *Program) Lost() <-chan Exit { return p.lost }

// Stop ends the program and its Redis. The jobs in its hands are lost; there should be none.
func (p *Program) Stop() error {
	p.mu.Lock()
	p.closed = true
	c := p.child
	p.mu.Unlock()
	if c != nil {
		c.end(p.cfg.Grace)
	}
	err := p.redis.Close()
	p.stop()
	<-p.ended
	return errors.Join(err, p.dir.Remove())
}
