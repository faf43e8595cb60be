package scaler

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"herosup/events"
)

// bed is a scaler on a real server. The other components are played by the
// test, each on its own connection.
type bed struct {
	t                        testing.TB
	srv                      *server.Server
	dispatch, keeper, anyone *events.Bus
	// heard is everything the scaler said, commands included.
	heard *events.Subscription
	done  chan error
	stop  context.CancelFunc
}

func newServer(t testing.TB) *server.Server {
	t.Helper()
	// Nobody listens on a port: an Accept that waits would stop a bubble's clock.
	srv, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(5 * time.Second) {
		t.Fatal("server is not ready")
	}
	return srv
}

func newBus(t testing.TB, srv *server.Server, name string) *events.Bus {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	b, err := events.NewBus(nc, events.Config{Source: "test/" + name})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bubble runs f with a scaler of these pools inside a bubble of fake time.
func bubble(t *testing.T, pools []Pool, f func(t *testing.T, b *bed)) {
	t.Helper()
	bubbleAfter(t, pools, func(*bed) {}, f)
}

// bubbleAfter does something before the scaler starts.
func bubbleAfter(t *testing.T, pools []Pool, before func(b *bed), f func(t *testing.T, b *bed)) {
	t.Helper()
	emptyTimerPool()
	defer emptyTimerPool()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		own := newBus(t, srv, "scaler")
		b := &bed{
			t: t, srv: srv, dispatch: newBus(t, srv, "dispatch"), keeper: newBus(t, srv, "keeper"), anyone: newBus(t, srv, "anyone"),
			done: make(chan error, 1),
		}
		watch := newBus(t, srv, "watch")
		heard, err := watch.Subscribe(events.FactsOf("pool"), events.FactsOf("queue"), events.FactsOf("system"), events.CommandsOf("actor"))
		if err != nil {
			t.Fatal(err)
		}
		b.heard = heard
		before(b)
		b.run(own, pools)
		synctest.Wait() // its first question has gone out, and nobody answers
		defer func() {
			b.stop()
			if err := <-b.done; err != nil {
				t.Error(err)
			}
			for _, bus := range []*events.Bus{own, b.dispatch, b.keeper, b.anyone, watch} {
				bus.Close()
			}
			srv.Shutdown()
			srv.WaitForShutdown()
			synctest.Wait()
		}()
		f(t, b)
	})
}

func (b *bed) run(bus *events.Bus, pools []Pool) {
	b.t.Helper()
	s, err := New(Config{Pools: pools}, bus, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() { b.done <- s.Run(ctx) }()
	<-s.Ready()
}

func (b *bed) say(bus *events.Bus, list ...events.Event) {
	b.t.Helper()
	for _, e := range list {
		if err := bus.Publish(e); err != nil {
			b.t.Fatal(err)
		}
	}
}

// up says that the system runs, and that the queue was measured empty.
func (b *bed) up() {
	b.t.Helper()
	b.say(b.dispatch, events.QueueMeasured{Type: "bash"}, events.SystemStarted{})
	b.quiet()
}

func (b *bed) queued(id string) events.Event {
	return events.JobQueued{Type: "bash", Job: id}
}

func (b *bed) moved(actor, to string) {
	b.t.Helper()
	b.say(b.keeper, events.ActorStateChanged{Pool: actor[:len(actor)-2], Actor: actor, To: to})
}

// measure tells the queue each second for that long.
func (b *bed) measure(e events.QueueMeasured, d time.Duration) {
	b.t.Helper()
	for range int(d / time.Second) {
		b.say(b.dispatch, e)
		b.pass(time.Second)
	}
}

// emptyTimerPool drops the timers that nats.go keeps in a process-wide pool: one
// that was made in a bubble must not be used outside of it, or in the next one.
// Stopping a micro service flushes with a timeout, so the pool can not be
// avoided. A sync.Pool is empty after two collections.
func emptyTimerPool() {
	runtime.GC()
	runtime.GC()
}

// pass lets fake time go by.
func (b *bed) pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// quiet waits until nobody has anything left to do, and returns what was heard
// since, as short lines.
func (b *bed) quiet() []string {
	b.t.Helper()
	synctest.Wait()
	var list []string
	for {
		select {
		case raw := <-b.heard.C:
			m, err := b.heard.Open(raw)
			if err != nil {
				b.t.Fatal(err)
			}
			if line := short(m.Event); line != "" {
				list = append(list, line)
			}
		default:
			return list
		}
	}
}

func short(e events.Event) string {
	switch e := e.(type) {
	case events.ActorStart:
		return "start " + e.Actor
	case events.ActorStop:
		return "stop " + e.Actor
	case events.PoolDecided:
		return "decided: " + e.Reason
	case events.PoolScaled:
		return fmt.Sprintf("scaled %s %d", e.Pool, e.Count)
	case events.PoolPaused:
		return "paused " + e.Pool
	case events.PoolResumed:
		return "resumed " + e.Pool
	case events.PoolDegraded:
		return "degraded " + e.Pool + ": " + e.Reason
	case events.QueueUnserved:
		return fmt.Sprintf("unserved %s %d: %s", e.Type, e.Ready, e.Reason)
	case events.CommandRejected:
		return "rejected " + e.Command + " " + e.Code + ": " + e.Reason + " (" + e.Hint + ")"
	}
	return ""
}

// acts picks what was asked of actors.
func actions(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(s string) bool {
		return len(s) < 5 || s[:5] != "start" && s[:5] != "stop "
	})
}

func (b *bed) want(got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("got\n  %q\nwant\n  %q", got, want)
	}
}

// request sends a command and returns its answer or refusal as one line.
func (b *bed) request(e events.Event) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var out json.RawMessage
	if err := b.anyone.Request(ctx, e, &out); err != nil {
		return "error: " + err.Error()
	}
	return string(out)
}

// next is the next request to a service of the test's own.
func (b *bed) next(svc *events.Service) events.Message {
	b.t.Helper()
	select {
	case m := <-svc.C:
		return m
	case <-time.After(10 * time.Second): // fake time
		b.t.Fatal("nobody asks")
	}
	panic("unreachable")
}

func bash(change func(*Policy)) []Pool {
	p := DefaultPolicy()
	p.Max = 4
	if change != nil {
		change(&p)
	}
	return []Pool{{Name: "bash", Types: []string{"bash"}, Policy: p}}
}
