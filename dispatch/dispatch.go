package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"herosup/dispatch/store"
	"herosup/events"
)

// Component is the daemon's side of the way of a job. See the package comment.
type Component struct {
	cfg   Config
	store *store.Store
	bus   *events.Bus
	log   *slog.Logger
	ready chan struct{}
	// reading is closed when the reader has its place among the actors' facts: what
	// happens from then on is told.
	reading chan struct{}
	// factsRead is the id of the newest fact read; nil before reading is closed.
	factsRead atomic.Pointer[string]
	boot      string // of this machine, as incarnations have it

	js     jetstream.JetStream
	stream jetstream.Stream

	// daemon is the store under the present epoch. The intake alone replaces it.
	daemon atomic.Pointer[store.Daemon]
	epoch  atomic.Uint64
	filled atomic.Uint64 // the epoch under which Redis was last known to have what the log has
	// types are the job types known, from the depth loop; never nil while running.
	types atomic.Pointer[[]string]
	told  *progress
	// waiting are the jobs that are ready, by type, from the depth loop; claimed counts those taken.
	waiting atomic.Pointer[map[string]int]
	claimed claimCounts
	// published counts the facts told that may be about where jobs are.
	published atomic.Uint64
	// deadKV is the bucket of the dead, deadIndex what lies in it.
	deadKV      jetstream.KeyValue
	deadStream  jetstream.Stream
	deadIndex   atomic.Pointer[deadList]
	againSecret []byte // see again.go; read only once loops run

	endings endings
	keepers keepers

	// ending is held in a round of ends, and in a rebuild: neither sees what the other has done by half in the log and the bucket of the dead.
	ending sync.Mutex

	// reused are the numbers of the log that two messages may have had.
	reused atomic.Pointer[numbers]
	// lookedAt counts the connection's returns up to the one behind which the log was looked at.
	lookedAt atomic.Uint64

	// mark is how far Redis was known to have come; oldCopy why the last one was not good.
	markLock sync.Mutex
	mark     mark
	oldCopy  atomic.Pointer[string]
	voided   atomic.Uint64 // epoch of the last copy that lost it

	// Kicks: a channel of one, whose reader then looks at the truth.
	rebuildNow, sweepNow, measureNow, delayedNow, endedNow, gatesNow, stateNow, cancelsNow chan struct{}

	stopping <-chan struct{}         // closed when Run has to end
	reports  chan report             // to health
	tell     chan telling            // to the teller
	exits    chan exit               // router to deaths
	orders   chan any                // router, intake to gates: an order, exit, name, ringAll
	heard    chan any                // teller to gates: hello, drainedFact
	asks     chan events.Message     // router to the script group answers
	waits    chan any                // to the waiters: see waiters.go
	dead     chan any                // to the dead: see dead.go
	cancels  chan cancelling         // workers to the cancels
	lookups  chan string             // waiters to the workers: a job to be looked up
	watched  chan string             // depth to foreign: a type seen first
	signals  chan nats.Status        // the connection's
	after    func(step string) error // tests break the loops here; nil otherwise
}

// The sizes of the channels. None of them loses anything when full: the sender waits, or what it
// sends is a hint to look at the truth.
const (
	reportsBuffer = 64
	tellBuffer    = 1024
	exitsBuffer   = 4096
	ordersBuffer  = 4096
	heardBuffer   = 1024
	asksBuffer    = 256
	waitsBuffer   = 1024
	deadBuffer    = 256
	cancelsBuffer = 256
)

// New checks the configuration and makes the component; nothing runs before Run.
// bus is this component's own (facts of one story keep their order on one
// connection); log nil discards.
func New(cfg Config, bus *events.Bus, log *slog.Logger) (*Component, error) {
	cfg, err := cfg.defaults()
	if err != nil {
		return nil, err
	}
	self, err := events.IncarnationOf(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("new dispatch: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	one := func() chan struct{} { return make(chan struct{}, 1) }
	c := &Component{
		cfg: cfg, store: cfg.Store, bus: bus, log: log, ready: make(chan struct{}), reading: make(chan struct{}), boot: self.Boot, told: newProgress(),
		rebuildNow: one(), sweepNow: one(), measureNow: one(), delayedNow: one(), endedNow: one(), gatesNow: one(), stateNow: one(), cancelsNow: one(),
		reports: make(chan report, reportsBuffer), tell: make(chan telling, tellBuffer), exits: make(chan exit, exitsBuffer),
		orders: make(chan any, ordersBuffer), heard: make(chan any, heardBuffer), asks: make(chan events.Message, asksBuffer),
		waits: make(chan any, waitsBuffer), dead: make(chan any, deadBuffer), cancels: make(chan cancelling, cancelsBuffer), lookups: make(chan string), watched: make(chan string, maxTypes),
	}
	c.types.Store(&[]string{})
	c.deadIndex.Store(&deadList{})
	c.reused.Store(&numbers{})
	c.waiting.Store(&map[string]int{})
	return c, nil
}

// Ready is closed once the prefix is ours, the epoch stands, and commands and
// orders reach the component. A refill may still be under way.
func (c *Component) Ready() <-chan struct{} { return c.ready }

func (c *Component) isReady() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// Run works until ctx ends (nil) or something is wrong that waiting does not mend:
// an *OwnerError, or no stream. It may be called once. While Redis is away it
// waits, also before it is ready.
func (c *Component) Run(ctx context.Context) error {
	err := c.run(ctx)
	if ctx.Err() != nil {
		return nil // that is why, whatever it looks like
	}
	return err
}

func (c *Component) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	c.stopping = ctx.Done()
	js, err := jetstream.New(c.bus.Conn())
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	c.js = js
	err = limited(ctx, func(ctx context.Context) (err error) {
		c.stream, err = js.Stream(ctx, events.JobsStream)
		return err
	})
	if err != nil {
		return fmt.Errorf("open the log %s: %w", events.JobsStream, err)
	}
	sub, err := c.bus.Subscribe(events.Facts, events.OrdersOf("intake", c.cfg.Node), events.OrdersOf("script", c.cfg.Node))
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	svc, err := c.serve()
	if err != nil {
		return err
	}
	defer func() { _ = svc.Stop() }()
	batches, err := c.serveBatches()
	if err != nil {
		return err
	}
	defer func() { _ = batches.Stop() }()
	defer c.watchConnection()()

	// What has to run before Redis is known to be ours: only loops that write
	// nothing there.
	g.Go(func() error { return c.runHealth(ctx) })
	g.Go(func() error { return c.runPing(ctx) })
	g.Go(func() error { return c.runRouter(ctx, sub) })
	g.Go(func() error { return c.runBatches(ctx, batches.C) }) // needs the log alone
	g.Go(func() error { return c.begin(ctx, g, svc) })
	err = g.Wait()
	c.disown(ctx)
	return err
}

// begin takes the prefix and settles the epoch, and then lets all loops run.
func (c *Component) begin(ctx context.Context, g *errgroup.Group, svc *events.Service) error {
	fit, err := c.checkAtStart(ctx)
	if err != nil {
		return err
	}
	if err := c.own(ctx, c.reporter("owner"), false); err != nil {
		return err
	}
	if err := c.openDead(ctx); err != nil {
		return err
	}
	if err := c.loadAgainKey(ctx); err != nil {
		return err
	}
	r := c.reporter("intake")
	if err := c.settleCopy(ctx, r); err != nil {
		return err
	}
	from, err := c.settleEpoch(ctx, r)
	if err != nil {
		return err
	}
	for _, loop := range []func(context.Context) error{c.runOwner, c.runCopies, c.runTeller} {
		g.Go(func() error { return loop(ctx) })
	}
	select {
	case <-c.reading: // what the loops below do in Redis is told
	case <-ctx.Done():
		return nil
	}
	for _, loop := range []func(context.Context) error{
		c.runAdrift, c.runDeaths, c.runGates, c.runAsks, c.runEnded, c.runDelayed, c.runDepth, c.runWaiters,
		c.runDead, c.runCancels, c.runWatchdog,
	} {
		g.Go(func() error { return loop(ctx) })
	}
	g.Go(func() error { return fit.run(ctx) })
	g.Go(func() error { return c.runForeign(ctx, g) })
	for range workers {
		g.Go(func() error { return c.runWorker(ctx, svc.C) })
	}
	close(c.ready)
	return c.runIntake(ctx, r, from)
}

// d is the store under the present epoch.
func (c *Component) d() *store.Daemon { return c.daemon.Load() }

// askRebuild wakes the intake, which looks whether the epoch really is another.
func (c *Component) askRebuild() { kick(c.rebuildNow) }

// publish sends a fact. An error is one of ours (a token that is none) or of a
// closed connection: the log is the only place left.
func (c *Component) publish(e events.Event, opts ...events.Option) {
	switch e.(type) {
	case events.QueueMeasured, events.ActorPinged, events.ActorPonged, events.RedisChecked:
	default:
		c.published.Add(1)
	}
	if err := c.bus.Publish(e, opts...); err != nil {
		c.log.Warn("publish", "err", err)
	}
}

// step lets a test stop a loop between two of its steps.
func (c *Component) step(name string) error {
	if c.after == nil {
		return nil
	}
	return c.after(name)
}
