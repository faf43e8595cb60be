package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"herosup/dispatch/store"
	"herosup/events"
	"herosup/events/embedded"
)

// patience bounds every wait of a test; what is waited for takes milliseconds.
const patience = 20 * time.Second

// bed is a bus, a Redis and somebody who writes down what is told.
type bed struct {
	testing.TB
	nats   *embedded.Server
	redis  *redisServer
	rdb    *redis.Client
	store  *store.Store // the test's own
	bus    *events.Bus  // the test's own: the other components' voice
	js     jetstream.JetStream
	told   *recorder
	cfg    Config
	idPart string // sets the ids of a second batch apart
	// finished holds the ids whose finish was answered with OK.
	finished sync.Map
}

func newBed(t testing.TB, r *redisServer) *bed {
	t.Helper()
	srv, err := embedded.Start(embedded.Config{Dir: t.TempDir(), State: "0a1b2c3d"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	b := &bed{TB: t, nats: srv, redis: r, store: r.open(t)}
	b.bus = b.connect("test")
	if err := events.EnsureStreams(b.soon(), b.bus); err != nil {
		t.Fatal(err)
	}
	if b.js, err = jetstream.New(b.bus.Conn()); err != nil {
		t.Fatal(err)
	}
	o, err := redis.ParseURL(cmp.Or(r.direct, r.url))
	if err != nil {
		t.Fatal(err)
	}
	b.rdb = redis.NewClient(o)
	t.Cleanup(func() { _ = b.rdb.Close() })
	b.told = b.record()
	b.cfg = Config{State: "0a1b2c3d", Pools: []Pool{{Name: "bash", Types: []string{"bash"}}}}
	return b
}

func (b *bed) connect(name string) *events.Bus {
	b.Helper()
	bus, err := b.nats.Connect(name)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(bus.Close)
	return bus
}

func (b *bed) soon() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.Cleanup(cancel)
	return ctx
}

// fresh is a component that does not run yet.
func (b *bed) fresh() *Component {
	b.Helper()
	cfg := b.cfg
	cfg.Store = b.redis.open(b)
	c, err := New(cfg, b.connect("dispatch"), testLog(b))
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// running is one life of the component.
type running struct {
	*Component
	b      *bed
	cancel context.CancelFunc
	stop   func() error // returns what Run returned
}

// start runs a component until the test stops it or ends.
func (b *bed) start(change ...func(*Component)) *running {
	b.Helper()
	c := b.fresh()
	for _, f := range change {
		f(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	var ended error
	stop := func() error {
		once.Do(func() {
			cancel()
			select {
			case ended = <-done:
			case <-time.After(patience):
				buf := make([]byte, 1<<20)
				b.Errorf("Run did not end:\n%s", buf[:runtime.Stack(buf, true)])
			}
		})
		return ended
	}
	b.Cleanup(func() {
		if err := stop(); err != nil {
			b.Errorf("Run: %v", err)
		}
	})
	return &running{Component: c, b: b, cancel: cancel, stop: stop}
}

// up starts one and waits until it is ready.
func (b *bed) up(change ...func(*Component)) *running {
	b.Helper()
	r := b.start(change...)
	select {
	case <-r.Ready():
	case <-time.After(patience):
		b.Fatal("not ready")
	}
	return r
}

func (b *bed) publish(e events.Event) {
	b.Helper()
	if err := b.bus.Publish(e); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) submit(script string, o Options) string {
	b.Helper()
	id, _, _, err := Submit(b.soon(), b.js, "", "bash", []byte(script), o)
	if err != nil {
		b.Fatal(err)
	}
	return id
}

// hello registers an actor that the test plays, as soon as Redis takes it.
func (b *bed) hello(a *store.Actor) {
	b.Helper()
	b.eventually("it is registered", func() bool {
		h, err := a.Hello(b.soon())
		return err == nil && h.Code == store.OK
	})
}

// logged is how many messages the log holds.
func (b *bed) logged() uint64 {
	b.Helper()
	s, err := b.js.Stream(b.soon(), events.JobsStream)
	if err != nil {
		b.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// eventually asks again when a fact is told and when a little time has passed: some
// truths are only in Redis or in the log.
func (b *bed) eventually(what string, ok func() bool) {
	b.Helper()
	limit := time.After(patience)
	for {
		changed := b.told.changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-limit:
			b.Fatalf("not so after %s: %s", patience, what)
		}
	}
}

// recorder keeps all facts in order.
type recorder struct {
	mu   sync.Mutex
	all  []events.Message
	next chan struct{}
}

func (b *bed) record() *recorder {
	b.Helper()
	bus := b.connect("recorder")
	sub, err := bus.Subscribe(events.Facts)
	if err != nil {
		b.Fatal(err)
	}
	r := &recorder{next: make(chan struct{})}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case raw := <-sub.C:
				m, err := sub.Open(raw)
				if err != nil {
					b.Errorf("%s: %v", raw.Subject, err)
					continue
				}
				r.mu.Lock()
				r.all = append(r.all, m)
				close(r.next)
				r.next = make(chan struct{})
				r.mu.Unlock()
			case <-end:
				return
			}
		}
	}()
	b.Cleanup(func() { close(end); <-ended })
	return r
}

func (r *recorder) changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

func (r *recorder) events() []events.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]events.Event, len(r.all))
	for i, m := range r.all {
		out[i] = m.Event
	}
	return out
}

// expect waits for the first fact of a kind that matches.
func expect[E events.Event](b *bed, match func(E) bool) E {
	b.Helper()
	return expectNth(b, 1, match)
}

func expectNth[E events.Event](b *bed, nth int, match func(E) bool) E {
	b.Helper()
	var found E
	b.eventually(fmt.Sprintf("%T number %d is told", found, nth), func() bool {
		n := 0
		for _, e := range b.told.events() {
			if e, ok := e.(E); ok && match(e) {
				if n++; n == nth {
					found = e
					return true
				}
			}
		}
		return false
	})
	return found
}

func any1[E events.Event](E) bool { return true }

// count is how many facts of a kind match so far.
func count[E events.Event](b *bed, match func(E) bool) int {
	n := 0
	for _, e := range b.told.events() {
		if e, ok := e.(E); ok && match(e) {
			n++
		}
	}
	return n
}

func numeral(i int) string { return strconv.Itoa(i) }

// raw publishes a submission as others may write it.
func (b *bed) raw(jobType string, h map[string][]string, script string) uint64 {
	b.Helper()
	ack, err := b.js.PublishMsg(b.soon(), &nats.Msg{Subject: submitSubject("hero", jobType), Header: h, Data: []byte(script)})
	if err != nil {
		b.Fatal(err)
	}
	return ack.Sequence
}
