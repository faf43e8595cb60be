package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
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
	nats  *embedded.Server
	redis *redisServer
	rdb   *redis.Client
	store *store.Store // the test's own
	bus   *events.Bus  // the test's own: the other components' voice
	js    jetstream.JetStream
	told  *recorder
	cfg   Config
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
	o, err := redis.ParseURL(r.url)
	if err != nil {
		t.Fatal(err)
	}
	b.rdb = redis.NewClient(o)
	t.Cleanup(func() { _ = b.rdb.Close() })
	b.told = b.record()
	b.cfg = Config{State: "0a1b2c3d", Pools: []Pool{{Name: "bash", Type: "bash"}}}
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

// running is one life of the component.
type running struct {
	*Component
	b    *bed
	stop func() error // returns what Run returned
}

// start runs a component until the test stops it or ends.
func (b *bed) start(change ...func(*Component)) *running {
	b.Helper()
	cfg := b.cfg
	cfg.Store = b.redis.open(b)
	c, err := New(cfg, b.connect("dispatch"), testLog(b))
	if err != nil {
		b.Fatal(err)
	}
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
	return &running{Component: c, b: b, stop: stop}
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

// logged is how many messages the log holds.
func (b *bed) logged() uint64 {
	b.Helper()
	s, err := b.js.Stream(b.soon(), events.JobsStream)
	if err != nil {
		b.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// eventually asks again on each fact that is told, and at least each 20 ms.
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

// process is a live process that stands for an actor's or a script's.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	inc   events.Incarnation
	once  sync.Once
}

// spawn starts one as the leader of a group of its own.
func (b *bed) spawn() *process {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), leaderEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &process{cmd: cmd, stdin: in}
	if p.inc, err = events.IncarnationOf(cmd.Process.Pid); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.kill)
	return p
}

// kill ends it by SIGKILL and reaps it.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		_ = p.stdin.Close()
	})
}

// actor is a stand-in for an actor: a live process that holds the name, and a
// goroutine that does its talking to Redis.
type actor struct {
	b    *bed
	name string
	p    *process
	st   *store.Store
	a    *store.Actor
	// run is the script's run; it returns false to be cut off in the middle.
	run  func(ctx context.Context, j store.Claimed) (store.Outcome, bool)
	halt context.CancelFunc
	done chan struct{}
}

// actor starts one; run nil ends every job well with its script as the output.
func (b *bed) actor(name string, run func(ctx context.Context, j store.Claimed) (store.Outcome, bool)) *actor {
	b.Helper()
	a := &actor{b: b, name: name, p: b.spawn(), st: b.redis.open(b), run: run, done: make(chan struct{})}
	if a.run == nil {
		a.run = func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Output: j.Script, ExitCode: "0"}, true
		}
	}
	var err error
	if a.a, err = a.st.Actor(name, "bash", a.p.inc.String()); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.halt = cancel
	go func() {
		defer close(a.done)
		a.work(ctx)
	}()
	b.Cleanup(func() { cancel(); <-a.done })
	return a
}

// die ends its process and its talking, both in the middle of whatever it is.
func (a *actor) die() {
	a.halt()
	<-a.done
	a.p.kill()
}

func (a *actor) exited(byUs bool) events.ProcessExited {
	return events.ProcessExited{Pool: poolOf(a.name), Actor: a.name, Incarnation: a.p.inc, ExitCode: -1, Signal: "killed", ByUs: byUs}
}

func (a *actor) work(ctx context.Context) {
	registered := false
	for ctx.Err() == nil {
		if !registered {
			h, err := a.a.Hello(ctx)
			if err != nil || h.Code != store.OK {
				pause(ctx, 5*time.Millisecond)
				continue
			}
			registered = true
		}
		c, err := a.a.Claim(ctx)
		switch {
		case errors.Is(err, store.ErrNoEpoch):
			registered = false
		case err != nil:
			pause(ctx, 5*time.Millisecond)
		case c.Code == store.GotJob:
			registered = a.jobs(ctx, c.Job)
		case c.Code == store.Unregistered:
			registered = false
		case c.Code == store.Idle || c.Code == store.Closed:
			w, err := a.a.WaitWake(ctx, time.Minute)
			switch {
			case err != nil:
				pause(ctx, 5*time.Millisecond)
			case w.Kind == store.WakeJob:
				registered = a.jobs(ctx, w.Job)
			case w.Kind == store.WakePing:
				_, _ = a.a.Pong(ctx, w.Nonce)
			}
		}
	}
}

// jobs runs a job and those that its finish brings; false: say hello again.
func (a *actor) jobs(ctx context.Context, j *store.Claimed) bool {
	for j != nil {
		out, ok := a.run(ctx, *j)
		if !ok || ctx.Err() != nil {
			<-ctx.Done()
			return true
		}
		for {
			f, err := a.a.Finish(ctx, *j, out, true)
			if errors.Is(err, store.ErrNoEpoch) {
				return false // its result is stale after the rebuild
			}
			if err == nil {
				j = f.Job
				if f.Next == store.Unregistered {
					return false
				}
				break
			}
			if !pause(ctx, 5*time.Millisecond) {
				return true
			}
		}
	}
	return true
}

// script is a live process that stands for a script in its own group, recorded by
// its actor.
func (a *actor) script(ctx context.Context, j store.Claimed) *process {
	p := a.b.spawn()
	if code, err := a.a.RecordGroup(ctx, j, p.cmd.Process.Pid, p.inc.Start); err != nil || code != store.OK {
		a.b.Errorf("record group: %v %v", code, err)
	}
	return p
}

func number(i int) string { return strconv.Itoa(i) }

// raw publishes a submission as others may write it.
func (b *bed) raw(jobType string, h map[string][]string, script string) uint64 {
	b.Helper()
	ack, err := b.js.PublishMsg(b.soon(), &nats.Msg{Subject: submitSubject("hero", jobType), Header: h, Data: []byte(script)})
	if err != nil {
		b.Fatal(err)
	}
	return ack.Sequence
}
