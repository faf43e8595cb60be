package monitor

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

// bed is a monitor on a real server. The other components are played by the
// test, each on its own connection.
type bed struct {
	t                        testing.TB
	dispatch, keeper, anyone *events.Bus
	// heard is everything the monitor said of itself.
	heard *events.Subscription
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

// bubble runs f with a monitor inside a bubble of fake time.
func bubble(t *testing.T, f func(t *testing.T, b *bed)) {
	t.Helper()
	emptyTimerPool()
	defer emptyTimerPool()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		own, watch := newBus(t, srv, "monitor"), newBus(t, srv, "watch")
		b := &bed{t: t, dispatch: newBus(t, srv, "dispatch"), keeper: newBus(t, srv, "keeper"), anyone: newBus(t, srv, "anyone")}
		heard, err := watch.Subscribe(events.FactsOf("system"), events.Of(events.ActorUnresponsive{}), events.Of(events.JobOverran{}), events.CommandsOf("actor"))
		if err != nil {
			t.Fatal(err)
		}
		b.heard = heard
		m, err := New(config(), own, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		<-m.Ready()
		defer func() {
			cancel()
			if err := <-done; err != nil {
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

// emptyTimerPool drops the timers that nats.go keeps in a process-wide pool: one
// that was made in a bubble must not be used outside of it, or in the next one.
// Stopping a micro service flushes with a timeout, so the pool can not be
// avoided. A sync.Pool is empty after two collections.
func emptyTimerPool() {
	runtime.GC()
	runtime.GC()
}

func (b *bed) say(bus *events.Bus, list ...events.Event) {
	b.t.Helper()
	for _, e := range list {
		if err := bus.Publish(e); err != nil {
			b.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// raw publishes bytes on a subject.
func (b *bed) raw(subject, data string) {
	b.t.Helper()
	if err := b.anyone.Conn().Publish(subject, []byte(data)); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
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
				continue
			}
			switch e := m.Event.(type) {
			case events.CommandRejected:
				list = append(list, fmt.Sprintf("rejected %s %s: %s (%s)", e.Command, e.Code, e.Reason, e.Hint))
			case events.Resynchronised:
				list = append(list, "resynchronised: "+e.Reason)
			case events.ActorPing, events.ActorUnresponsive, events.JobOverran:
				list = append(list, words(e))
			}
		default:
			return list
		}
	}
}

func (b *bed) want(got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("got\n  %q\nwant\n  %q", got, want)
	}
}

// ask sends a query and decodes its answer.
func ask[T any](b *bed, e events.Event) (out T, err error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = b.anyone.Request(ctx, e, &out)
	return out, err
}

// request sends anything on any subject and returns its refusal.
func (b *bed) request(subject string) events.Refusal {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m, err := b.anyone.Conn().RequestWithContext(ctx, subject, nil)
	if err != nil {
		b.t.Fatalf("%s: %v", subject, err)
	}
	var r events.Refusal
	if err := json.Unmarshal(m.Data, &r); err != nil || m.Header.Get("Nats-Service-Error-Code") == "" {
		b.t.Fatalf("%s: %v %q", subject, err, m.Data)
	}
	return r
}
