package daemon

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"herosup/dispatch"
	"herosup/dispatch/store"
	"herosup/events"
	"herosup/events/embedded"
	"herosup/fsm"
)

// Rounds of the scale-down race; `-rounds 1000` for the whole promise.
var rounds = flag.Int("rounds", 50, "rounds of the scale-down race")

// Eight actors are scaled down to four while claims race the stops, again and
// again. Never may a process be signalled that holds a job, and four are left when
// it is quiet. The scripts, dispatch and the keeper are the real ones; the
// processes are stand-ins: a goroutine that speaks the actor's side of the
// protocol, and a sleeping child for its identity.
func TestScaleDownNeverStopsAnActorThatHoldsAJob(t *testing.T) {
	t.Run("redis-server", func(t *testing.T) { scaleDown(t, realRedis(t)) })
	t.Run("embedded", func(t *testing.T) { scaleDown(t, embeddedRedis(t)) })
}

func realRedis(t *testing.T) string {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if strings.Contains(","+os.Getenv("HEROSUP_REQUIRE")+",", ",redis,") {
			t.Fatal("redis-server is required and not here")
		}
		t.Skip("MISSING here: redis-server; this test did not run")
	}
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "r.sock")
	cmd := exec.Command(program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); os.RemoveAll(dir) })
	return "unix://" + socket
}

func embeddedRedis(t *testing.T) string {
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "r.sock")
	m := miniredis.NewMiniRedis()
	c, err := m.Dial()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.Server().ServeConn(c)
		}
	}()
	t.Cleanup(func() { l.Close(); m.Close(); os.RemoveAll(dir) })
	return "unix://" + socket
}

func scaleDown(t *testing.T, url string) {
	srv, err := embedded.Start(embedded.Config{Dir: t.TempDir(), State: "0a1b2c3d"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	s, err := store.Open(store.Options{URL: url}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	raw := redis.NewClient(opt)
	t.Cleanup(func() { raw.Close() })
	connect := func(name string) *events.Bus {
		b, err := srv.Connect(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	bus := connect("test")
	soon, done := context.WithTimeout(ctx, 10*time.Second)
	err = events.EnsureStreams(soon, bus)
	done()
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, c component) {
		wg.Go(func() {
			if err := c.Run(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		select {
		case <-c.Ready():
		case <-time.After(10 * time.Second):
			t.Fatalf("%s is not ready", name)
		}
	}
	x := &standIn{t: t, bus: connect("zinit"), store: s, raw: raw, lives: map[string]*life{}}
	x.start(ctx, &wg)
	keeper, err := fsm.New(fsm.Config{Pools: map[string]fsm.PoolConfig{"bash": {Max: 8}}}, connect("fsm"), nil)
	if err != nil {
		t.Fatal(err)
	}
	run("fsm", keeper)
	d, err := dispatch.New(dispatch.Config{Store: s, State: "0a1b2c3d", Pools: []dispatch.Pool{{Name: "bash", Types: []string{"bash"}}}}, connect("dispatch"),
		slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	run("dispatch", d)
	js, err := jetstream.New(bus.Conn())
	if err != nil {
		t.Fatal(err)
	}
	sub, err := bus.Subscribe(events.Facts)
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{t: t, sub: sub, states: map[string]string{}, ended: map[string]bool{}}
	names := make([]string, 8)
	for i := range names {
		names[i] = fmt.Sprintf("bash_%d", i+1)
	}
	ask := func(e events.Event) {
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := bus.Request(one, e, nil); err != nil {
			t.Fatal(err)
		}
	}
	submitted := 0
	for n := range *rounds {
		for _, a := range names {
			ask(events.ActorStart{Actor: a})
		}
		w.until("eight up", func() bool { return w.up() == 8 })
		// Four of them go, each while four jobs are submitted of which it is the next to get one, so that claims,
		// hand-overs and ends race the stops.
		gone := map[string]bool{}
		for range 4 {
			victim := x.next(names, gone)
			gone[victim] = true
			var four sync.WaitGroup
			for range 4 {
				id := fmt.Sprintf("job-%d", submitted)
				submitted++
				four.Go(func() {
					if _, _, _, err := dispatch.Submit(ctx, js, "", "bash", []byte("x"), dispatch.Options{ID: id}); err != nil {
						t.Error(err)
					}
				})
			}
			ask(events.ActorStop{Actor: victim})
			four.Wait()
		}
		w.until("four left and all jobs ended", func() bool { return w.down() == 4 && len(w.ended) == submitted })
		if up := w.up(); up != 4 {
			t.Fatalf("round %d: %d actors are up", n, up)
		}
	}
	if v := x.violations.Load(); v != 0 {
		t.Errorf("%d of %d stops reached an actor that held a job", v, x.stops.Load())
	}
	t.Logf("%d rounds, %d jobs, %d stops, %d asked for while a job was held", *rounds, submitted, x.stops.Load(), w.raced)
	if w.raced == 0 {
		t.Error("no stop met an actor with a job: the test shows nothing")
	}
}

// next is who gets the next job, of those that are not gone: the idle one that had work last, else anybody.
func (x *standIn) next(names []string, gone map[string]bool) string {
	idle, err := x.raw.ZRangeArgs(x.t.Context(), redis.ZRangeArgs{Key: "hero:idle:bash", Start: 0, Stop: -1, Rev: true}).Result()
	if err != nil {
		x.t.Fatal(err)
	}
	for _, member := range slices.Concat(idle, names) {
		if name, _, _ := strings.Cut(member, " "); !gone[name] {
			return name
		}
	}
	x.t.Fatal("all are gone")
	return ""
}

type watcher struct {
	t      *testing.T
	sub    *events.Subscription
	states map[string]string
	ended  map[string]bool
	raced  int // stops that found the actor running
}

func (w *watcher) until(what string, done func() bool) {
	w.t.Helper()
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	for !done() {
		select {
		case raw := <-w.sub.C:
			m, err := w.sub.Open(raw)
			if err != nil {
				w.t.Fatal(err)
			}
			switch e := m.Event.(type) {
			case events.ActorStateChanged:
				w.states[e.Actor] = e.To
				if e.From == "running" && e.To == "draining" {
					w.raced++
				}
			case events.JobEnded:
				w.ended[e.Job] = true
			}
		case <-end.C:
			w.t.Fatalf("waited 20 s for %s: states %v, %d ended", what, w.states, len(w.ended))
		}
	}
}

func (w *watcher) up() int { return w.in("idle", "running", "pinging") }

func (w *watcher) down() int { return w.in("stopped") }

func (w *watcher) in(states ...string) int {
	n := 0
	for _, s := range w.states {
		if slices.Contains(states, s) {
			n++
		}
	}
	return n
}

// standIn obeys process orders with stand-ins.
type standIn struct {
	t     *testing.T
	bus   *events.Bus
	store *store.Store
	raw   *redis.Client
	lives map[string]*life // by the loop

	stops, violations atomic.Int64
}

type life struct {
	inc    events.Incarnation
	child  *exec.Cmd
	cancel context.CancelFunc
	done   chan struct{}
}

func (x *standIn) start(ctx context.Context, wg *sync.WaitGroup) {
	sub, err := x.bus.Subscribe(events.OrdersOf("process", events.LocalNode), events.Of(events.ObserveProcesses{}), events.Of(events.ActorRegistered{}))
	if err != nil {
		x.t.Fatal(err)
	}
	wg.Go(func() {
		defer func() {
			for _, l := range x.lives {
				x.end(l)
			}
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case raw := <-sub.C:
				m, err := sub.Open(raw)
				if err != nil {
					x.t.Error(err)
					return
				}
				x.obey(ctx, m)
			}
		}
	})
}

func (x *standIn) obey(ctx context.Context, m events.Message) {
	switch e := m.Event.(type) {
	case events.StartProcess:
		if x.lives[e.Actor] != nil {
			return
		}
		child := exec.Command("sleep", "3600")
		if err := child.Start(); err != nil {
			x.t.Error(err)
			return
		}
		inc, err := events.IncarnationOf(child.Process.Pid)
		if err != nil {
			x.t.Error(err)
			return
		}
		own, cancel := context.WithCancel(ctx)
		l := &life{inc: inc, child: child, cancel: cancel, done: make(chan struct{})}
		x.lives[e.Actor] = l
		x.tell(events.ProcessStarted{Pool: "bash", Actor: e.Actor, Incarnation: inc})
		go func() { defer close(l.done); x.work(own, e.Actor, inc) }()
	case events.ActorRegistered:
		if l := x.lives[e.Actor]; l != nil && l.inc == e.Incarnation {
			x.tell(events.ProcessReady{Pool: "bash", Actor: e.Actor, Incarnation: l.inc})
		}
	case events.StopProcess:
		x.stop(ctx, e.Actor)
	case events.KillProcess:
		x.t.Errorf("%s was killed", e.Actor)
		x.stop(ctx, e.Actor)
	case events.ObserveProcesses:
		_ = m.Respond(nil)
	}
}

// stop is the moment of truth: Redis says whether the actor holds a job now.
func (x *standIn) stop(ctx context.Context, actor string) {
	l := x.lives[actor]
	if l == nil {
		x.tell(events.ProcessObserved{Pool: "bash", Actor: actor, State: "absent"})
		return
	}
	x.stops.Add(1)
	held, err := x.raw.LLen(ctx, "hero:held:"+l.inc.String()).Result()
	if err != nil {
		x.t.Error(err)
	}
	if held != 0 {
		x.violations.Add(1)
	}
	x.end(l)
	delete(x.lives, actor)
	x.tell(events.ProcessExited{Pool: "bash", Actor: actor, Incarnation: l.inc, ExitCode: -1, Signal: "SIGTERM", ByUs: true})
}

func (x *standIn) end(l *life) {
	l.cancel()
	<-l.done
	_ = l.child.Process.Kill()
	_ = l.child.Wait()
}

func (x *standIn) tell(e events.Event) {
	if err := x.bus.Publish(e); err != nil {
		x.t.Error(err)
	}
}

// work is an actor: hello, then jobs until it is ended. A call without an answer
// is repeated, which every script allows.
func (x *standIn) work(ctx context.Context, name string, inc events.Incarnation) {
	a, err := x.store.Actor(name, "bash", inc.String())
	if err != nil {
		x.t.Error(err)
		return
	}
	again := func(call func() error) bool {
		for range 30 {
			if err = call(); err == nil || ctx.Err() != nil {
				return ctx.Err() == nil
			}
		}
		x.t.Errorf("%s: %v", name, err)
		return false
	}
	if !again(func() (err error) { _, err = a.Hello(ctx); return }) {
		return
	}
	for n := 0; ; {
		var job *store.Claimed
		if !again(func() error {
			c, err := a.Claim(ctx)
			job = c.Job
			return err
		}) {
			return
		}
		if job == nil && !again(func() error {
			w, err := a.WaitWake(ctx, time.Minute)
			job = w.Job
			return err
		}) {
			return
		}
		for ; job != nil; n++ {
			select {
			case <-time.After(time.Duration(n%5*2) * time.Millisecond): // the work
			case <-ctx.Done():
				return
			}
			done := *job
			if !again(func() error {
				f, err := a.Finish(ctx, done, store.Outcome{Output: "x"}, true)
				job = f.Job
				return err
			}) {
				return
			}
		}
	}
}
