package zinit_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"herosup/events"
	"herosup/events/embedded"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

const (
	prefix = "herosup-0badcafe-"
	pool   = "work"
	actor  = "work_1"
)

// bed is an executor with all that is real around it: a bus, and a zinit in a
// process of its own. The test plays the keeper and dispatch.
type bed struct {
	options zinit.Options // of the executor's client
	socket  string        // where that asks; "" for zinit's own
	t       *testing.T
	nats    *embedded.Server
	zinit   *zinittest.Server
	client  *zinit.Client
	bus     *events.Bus
	facts   *events.Subscription
	stop    func() // ends the executor, and waits
}

// config changes what an executor is made with.
type config func(*zinit.ExecutorConfig)

// withChild makes the actors of the pool run this child (see zinittest.Child).
func withChild(t *testing.T, words ...string) config {
	s := zinittest.Child(t, words...)
	return func(c *zinit.ExecutorConfig) {
		c.Pools = map[string]zinit.Template{pool: {Exec: s.Exec, Env: s.Env, StopTimeout: time.Second}}
	}
}

// newBed has everything but the executor.
func newBed(t *testing.T) *bed {
	t.Helper()
	return newBedOver(t, zinittest.Start(t))
}

// newBedOver has this zinit.
func newBedOver(t *testing.T, z *zinittest.Server) *bed {
	t.Helper()
	n, err := embedded.Start(embedded.Config{Dir: t.TempDir(), NoListen: true, State: "0badcafe"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	b := &bed{t: t, nats: n, zinit: z}
	b.bus = b.connect("test")
	if b.facts, err = b.bus.Subscribe(events.Facts); err != nil {
		t.Fatal(err)
	}
	b.client = b.zinit.Client(t)
	return b
}

func (b *bed) connect(name string) *events.Bus {
	b.t.Helper()
	bus, err := b.nats.Connect(name)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(bus.Close)
	return bus
}

// newExecutorBed has the executor too, ready.
func newExecutorBed(t *testing.T, cfg ...config) *bed {
	t.Helper()
	b := newBed(t)
	b.execute(cfg...)
	return b
}

// execute starts an executor and waits until it is ready.
func (b *bed) execute(cfg ...config) {
	b.t.Helper()
	ready := b.executeSoon(cfg...)
	select {
	case <-ready:
	case <-time.After(zinittest.Patience):
		b.t.Fatal("the executor is not ready")
	}
}

func (b *bed) executeSoon(cfg ...config) (ready <-chan struct{}) {
	b.t.Helper()
	client := zinit.NewClient(cmp.Or(b.socket, b.zinit.Socket), b.options)
	c := zinit.ExecutorConfig{Client: client, Prefix: prefix, Folder: b.folder()}
	withChild(b.t, "say", "hello")(&c)
	for _, f := range cfg {
		f(&c)
	}
	log := slog.New(slog.NewTextHandler(b.t.Output(), nil))
	x, err := zinit.NewExecutor(c, b.connect("zinit"), log)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := x.Run(ctx); err != nil {
			b.t.Errorf("run: %v", err)
		}
	})
	b.stop = func() { cancel(); wg.Wait(); client.Close() }
	b.t.Cleanup(func() { b.stop() })
	return x.Ready()
}

// order sends an order of the keeper.
func (b *bed) order(e events.Event) {
	b.t.Helper()
	if err := b.bus.Publish(e); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) startOrder() events.StartProcess {
	return events.StartProcess{Node: events.LocalNode, Actor: actor, Pool: pool}
}

// hello is what dispatch says when a process has registered.
func (b *bed) hello(life events.Incarnation) {
	b.t.Helper()
	b.order(events.ActorRegistered{Pool: pool, Actor: actor, Type: "x", Incarnation: life})
}

// expect waits for the next fact of this type; those of other types that come
// before it must be among also.
func expect[T events.Event](b *bed, also ...events.Event) T {
	b.t.Helper()
	var passed []string
	end := time.After(zinittest.Patience)
	for {
		select {
		case raw := <-b.facts.C:
			m, err := b.facts.Open(raw)
			if err != nil {
				b.t.Fatal(err)
			}
			if e, ok := m.Event.(T); ok {
				return e
			}
			passed = append(passed, fmt.Sprintf("%T%+v", m.Event, m.Event))
			if !known(m.Event, also) {
				b.t.Fatalf("waiting for %T: got %s", *new(T), strings.Join(passed, ", "))
			}
		case <-end:
			b.t.Fatalf("waited for %T in vain; passed: %s", *new(T), strings.Join(passed, ", "))
		}
	}
}

func known(e events.Event, also []events.Event) bool {
	for _, a := range also {
		if fmt.Sprintf("%T", a) == fmt.Sprintf("%T", e) {
			return true
		}
	}
	return false
}

// quiet wants that nothing was told: an answered request is behind everything
// that was on its way.
func (b *bed) quiet(allowed ...events.Event) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), zinittest.Patience)
	defer cancel()
	if err := b.bus.Request(ctx, events.ObserveProcesses{Node: events.LocalNode}, nil); err != nil {
		b.t.Fatal(err)
	}
	for {
		select {
		case raw := <-b.facts.C:
			m, err := b.facts.Open(raw)
			if err != nil {
				b.t.Fatal(err)
			}
			if !known(m.Event, append(allowed, events.ProcessObserved{})) {
				b.t.Errorf("told without a cause: %T%+v", m.Event, m.Event)
			}
		default:
			return
		}
	}
}

// up starts the actor and returns its process.
func (b *bed) up() events.Incarnation {
	b.t.Helper()
	b.order(b.startOrder())
	return expect[events.ProcessStarted](b).Incarnation
}

// gone wants zinit to know nothing of the actor any more.
func (b *bed) gone() {
	b.t.Helper()
	zinittest.Eventually(b.t, "the service is gone", func() error {
		if _, err := b.client.Status(b.t.Context(), prefix+actor); !errors.Is(err, zinit.ServiceNotFound) {
			return errors.Join(err, errors.New("it is there"))
		}
		if _, err := os.Stat(filepath.Join(b.zinit.Dir, prefix+actor+".yaml")); !os.IsNotExist(err) {
			return errors.Join(err, errors.New("its file is there"))
		}
		return nil
	})
}

// folder stands for a state folder of the bed's own: other tests have actors of the same names.
func (b *bed) folder() string { return b.client.Socket() }

// burying kills an actor's process and returns the question for its script groups: until that is answered the
// executor is in the middle of its end.
func (b *bed) burying(life events.Incarnation) events.Message {
	b.t.Helper()
	dispatch, err := b.bus.Subscribe(events.Of(events.AskScriptGroups{}))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(dispatch.Unsubscribe)
	kill(b.t, life.PID, syscall.SIGKILL)
	question, err := dispatch.Open(<-dispatch.C)
	if err != nil {
		b.t.Fatal(err)
	}
	return question
}

// newProgramlessBed has an actor that runs, and whose program is gone.
func newProgramlessBed(t *testing.T) (b *bed, life events.Incarnation, program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "actor")
	if err := os.Symlink("/bin/sleep", program); err != nil {
		t.Fatal(err)
	}
	b = newExecutorBed(t, func(c *zinit.ExecutorConfig) {
		c.Pools = map[string]zinit.Template{pool: {Exec: []string{program, "1000"}}}
	})
	life = b.up()
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	return b, life, program
}
