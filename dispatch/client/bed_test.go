package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"herosup/dispatch"
	"herosup/dispatch/actor"
	"herosup/dispatch/client"
	"herosup/dispatch/store"
	"herosup/events"
	"herosup/events/embedded"
)

// patience bounds every wait of a test; what is waited for takes milliseconds.
const patience = 20 * time.Second

// daemon is a real bus, the embedded Redis and dispatch, with an actor of type
// "echo" that this process is.
type daemon struct {
	dir    string
	nats   *embedded.Server
	redis  *miniredis.Miniredis
	ends   []func()
	gate   chan struct{} // a job "wait" ends when this is closed
	paused sync.Once
}

func start() (_ *daemon, err error) {
	d := &daemon{gate: make(chan struct{})}
	defer func() {
		if err != nil {
			d.stop()
		}
	}()
	if d.dir, err = os.MkdirTemp("", "hc"); err != nil {
		return nil, err
	}
	d.ends = append(d.ends, func() { _ = os.RemoveAll(d.dir) })
	if err := d.bus(); err != nil {
		return nil, err
	}
	d.ends = append(d.ends, func() { d.nats.Stop() })
	if d.redis, err = miniredis.Run(); err != nil {
		return nil, err
	}
	d.ends = append(d.ends, d.redis.Close)
	if err := d.dispatch(); err != nil {
		return nil, err
	}
	return d, d.actor("echo_1", "echo")
}

func (d *daemon) bus() (err error) {
	d.nats, err = embedded.Start(embedded.Config{Dir: d.dir, State: "0a1b2c3d"})
	return err
}

func (d *daemon) open() (*store.Store, error) {
	return store.Open(store.Options{URL: "redis://" + d.redis.Addr()}, slog.New(slog.DiscardHandler))
}

// dispatch starts the component; the function ends it.
func (d *daemon) dispatch() error {
	bus, err := d.nats.Connect("dispatch")
	if err != nil {
		return err
	}
	s, err := d.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := events.EnsureStreams(ctx, bus); err != nil {
		return err
	}
	c, err := dispatch.New(dispatch.Config{Store: s, State: "0a1b2c3d", Pools: []dispatch.Pool{{Name: "echo", Types: []string{"echo"}}}}, bus, nil)
	if err != nil {
		return err
	}
	run, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(run) }()
	d.ends = append(d.ends, func() { end(); drain(done); bus.Close(); _ = s.Close() })
	select {
	case <-c.Ready():
		return nil
	case err := <-done:
		done <- err
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain waits for the end of something that was told to end.
func drain(done <-chan error) {
	if err := <-done; err != nil {
		fmt.Fprintln(os.Stderr, "ended:", err)
	}
}

func (d *daemon) actor(name, jobType string) error {
	s, err := d.open()
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- actor.Run(ctx, actor.Config{Store: s, Name: name, Type: jobType, StopGrace: time.Millisecond, Handler: d.handle})
	}()
	d.ends = append(d.ends, func() { end(); drain(done); _ = s.Close() })
	return nil
}

func (d *daemon) handle(ctx context.Context, j actor.Job) actor.Outcome {
	switch j.Script {
	case "fail":
		return actor.Outcome{Failed: true, Output: "half", Error: "it broke", Reason: "exit 3", ExitCode: "3"}
	case "bytes": // as text each second one is three
		return actor.Outcome{Output: strings.Repeat("a\xff", 3<<20)}
	case "lines":
		return actor.Outcome{Failed: true, Output: strings.Repeat("\n", 5<<20), Error: strings.Repeat("\n", 5<<20), Reason: "too much"}
	case "wait":
		select {
		case <-d.gate:
		case <-ctx.Done():
		}
	}
	return actor.Outcome{Output: strings.TrimPrefix(j.Script, "print "), ExitCode: "0"}
}

// let ends the job "wait".
func (d *daemon) let() { d.paused.Do(func() { close(d.gate) }) }

func (d *daemon) stop() {
	d.let()
	for len(d.ends) > 0 {
		last := len(d.ends) - 1
		d.ends[last]()
		d.ends = d.ends[:last]
	}
}

func (d *daemon) connect(ctx context.Context, r embedded.Role) (*client.Client, error) {
	return client.Connect(ctx, client.Config{URL: d.nats.URL(), KeyFile: embedded.KeyFile(d.dir, r)})
}

// shared is the daemon of the examples.
var shared *daemon

func TestMain(m *testing.M) {
	var err error
	if shared, err = start(); err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		os.Exit(1)
	}
	code := m.Run()
	shared.stop()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// bed is a daemon of a test's own, and a client of it.
func bed(t testing.TB, r embedded.Role) (*daemon, *client.Client) {
	t.Helper()
	d, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	c, err := d.connect(soon(t), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return d, c
}

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// refusal is the one in an error's chain.
func refusal(t testing.TB, err error) *client.Refusal {
	t.Helper()
	var r *client.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%v is no refusal", err)
	}
	return r
}
