package schedule

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch"
	"herosup/events"
	"herosup/events/embedded"
)

// bed is a bus with its streams, in a bubble of fake time that begins at midnight,
// 2000-01-01 UTC, and the facts about schedules as they were told.
type bed struct {
	*testing.T
	srv   *embedded.Server
	bus   *events.Bus // the test's own: an operator
	js    jetstream.JetStream
	heard *events.Subscription
	names int
}

func bubble(t *testing.T, f func(*bed)) {
	t.Helper()
	dir := t.TempDir()
	// nats.go keeps timers in a process-wide pool; one of a bubble must not be used
	// outside of it or in the next one. A sync.Pool is empty after two collections.
	empty := func() { runtime.GC(); runtime.GC() }
	empty()
	defer empty()
	synctest.Test(t, func(t *testing.T) {
		srv, err := embedded.Start(embedded.Config{Dir: dir, NoListen: true, State: "0a1b2c3d", SyncInterval: 1000 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{T: t, srv: srv}
		b.bus = b.connect()
		if err := events.EnsureStreams(b.soon(), b.bus); err != nil {
			t.Fatal(err)
		}
		if b.js, err = jetstream.New(b.bus.Conn()); err != nil {
			t.Fatal(err)
		}
		if b.heard, err = b.bus.Subscribe(events.FactsOf("schedule"), events.Of(events.CommandRejected{})); err != nil {
			t.Fatal(err)
		}
		defer func() {
			b.bus.Close()
			srv.Stop()
			<-time.After(time.Second) // of the bubble: the server's writer of the history may look once more
			synctest.Wait()
		}()
		f(b)
	})
}

func (b *bed) connect() *events.Bus {
	b.Helper()
	b.names++
	bus, err := b.srv.Connect(fmt.Sprintf("test%d", b.names))
	if err != nil {
		b.Fatal(err)
	}
	return bus
}

func (b *bed) soon() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	b.Cleanup(cancel)
	return ctx
}

// life is one run of the component.
type life struct {
	c      *Component
	b      *bed
	bus    *events.Bus
	cancel context.CancelFunc
	done   chan error
}

// start runs a component until end. die, if not empty, is the step at which it ends
// as if it had been killed: each time, or when on says so.
func (b *bed) start(step func(string) error, defs ...Definition) *life {
	b.Helper()
	l := &life{b: b, bus: b.connect(), done: make(chan error, 1)}
	c, err := New(Config{Definitions: defs}, l.bus, nil)
	if err != nil {
		b.Fatal(err)
	}
	l.c = c
	if step != nil {
		c.step = step
	}
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	go func() { l.done <- c.Run(ctx) }()
	select {
	case <-c.Ready():
	case err := <-l.done:
		b.Fatalf("not ready: %v", err)
	}
	synctest.Wait()
	return l
}

func (l *life) end() {
	l.b.Helper()
	l.cancel()
	if err := <-l.done; err != nil && !errors.Is(err, errStopped) {
		l.b.Errorf("Run: %v", err)
	}
	l.bus.Close()
	synctest.Wait()
}

func (b *bed) ask(e events.Event, out any) error {
	b.Helper()
	err := b.bus.Request(b.soon(), e, out)
	synctest.Wait()
	return err
}

func (b *bed) must(e events.Event) View {
	b.Helper()
	var v View
	if err := b.ask(e, &v); err != nil {
		b.Fatalf("%T: %v", e, err)
	}
	return v
}

// pass lets time go by.
func (b *bed) pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock: this is how it moves
	synctest.Wait()
}

// told are the facts since the last call, as short lines.
func (b *bed) told() []string {
	b.Helper()
	var lines []string
	for {
		select {
		case raw := <-b.heard.C:
			m, err := b.heard.Open(raw)
			if err != nil {
				b.Fatal(err)
			}
			lines = append(lines, line(m.Event))
		default:
			return lines
		}
	}
}

func line(e events.Event) string {
	clock := func(t time.Time) string { return t.UTC().Format("2 15:04:05") }
	switch e := e.(type) {
	case events.ScheduleFired:
		return fmt.Sprintf("fired %s for %s", e.Job, clock(e.Due))
	case events.ScheduleMissed:
		return fmt.Sprintf("missed %d of %s, %s to %s (%s)", e.Count, e.Schedule, clock(e.First), clock(e.Last), e.Policy)
	case events.ScheduleAdded:
		return fmt.Sprintf("added %s, next %s", e.Schedule, clock(e.Next))
	case events.ScheduleResumed:
		return fmt.Sprintf("resumed %s, next %s", e.Schedule, clock(e.Next))
	case events.ScheduleRemoved:
		return fmt.Sprintf("removed %s: %s", e.Schedule, e.Reason)
	case events.CommandRejected:
		return fmt.Sprintf("rejected %s: %s", e.Command, e.Code)
	}
	return fmt.Sprintf("%T %+v", e, e)
}

func (b *bed) wantTold(want ...string) {
	b.Helper()
	if got := b.told(); !slices.Equal(got, want) {
		b.Errorf("told:\n%q\nwant:\n%q", got, want)
	}
}

// jobs are the ids of the log's messages, in order.
func (b *bed) jobs() []string {
	b.Helper()
	s, err := b.js.Stream(b.soon(), events.JobsStream)
	if err != nil {
		b.Fatal(err)
	}
	info, err := s.Info(b.soon())
	if err != nil {
		b.Fatal(err)
	}
	var ids []string
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(b.soon(), seq)
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, m.Header.Get(dispatch.HeaderJobID))
	}
	return ids
}

// epoch is the unix time of a moment of 2000-01-01.
func epoch(hour, minute, second int) int64 {
	return time.Date(2000, 1, 1, hour, minute, second, 0, time.UTC).Unix()
}
