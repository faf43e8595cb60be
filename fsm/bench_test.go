package fsm

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
	"herosup/events/embedded"
)

// BenchmarkKeeper: facts a second that go through the keeper over the real bus,
// and out again as a change of state: JobStarted and JobEnded in turn, so each
// fact moves a machine. BenchmarkFloor is the same bytes from the same
// publisher to a bare subscription: what the bus itself allows.
func BenchmarkKeeper(b *testing.B) {
	for _, actors := range []int{1, 100} {
		b.Run(fmt.Sprintf("actors=%d", actors), func(b *testing.B) { benchKeeper(b, actors) })
	}
}

// window is how many facts are under way at most; half of what a reader's
// buffer holds would do as well.
const window = 1024

func benchKeeper(b *testing.B, actors int) {
	srv := benchServer(b)
	k, err := New(Config{Pools: map[string]PoolConfig{"bash": {Max: actors}}}, benchBus(b, srv, "fsm"), nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	<-k.Ready()
	executor, dispatch := benchBus(b, srv, "zinit"), benchBus(b, srv, "dispatch")
	sub, err := benchBus(b, srv, "watch").Subscribe(events.Of(events.ActorStateChanged{}))
	if err != nil {
		b.Fatal(err)
	}
	for n := 1; n <= actors; n++ {
		id := fmt.Sprintf("bash_%d", n)
		if err := executor.Publish(events.ProcessObserved{Pool: "bash", Actor: id, Incarnation: life(n), WantedUp: true}); err != nil {
			b.Fatal(err)
		}
		if err := executor.Publish(events.ProcessReady{Pool: "bash", Actor: id, Incarnation: life(n)}); err != nil {
			b.Fatal(err)
		}
	}
	for range 2 * actors { // starting, idle
		<-sub.C
	}
	cpu, start, sent, heard := cpuTime(b), time.Now(), 0, 0
	for b.Loop() {
		n, job := sent%actors+1, sent/actors
		id, name := fmt.Sprintf("bash_%d", n), fmt.Sprintf("J%d", job/2)
		var e events.Event = events.JobStarted{Type: "bash", Job: name, Actor: id, Incarnation: life(n), Attempt: 1}
		if job%2 == 1 {
			e = events.JobEnded{Type: "bash", Job: name, Actor: id, Incarnation: life(n), Attempt: 1, Outcome: events.Finished}
		}
		if err := dispatch.Publish(e); err != nil {
			b.Fatal(err)
		}
		if sent++; sent-heard >= window {
			<-sub.C
			heard++
		}
	}
	for ; heard < sent; heard++ {
		<-sub.C
	}
	b.ReportMetric(float64(sent)/time.Since(start).Seconds(), "facts/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(sent), "cpu-us/fact")
	if n := k.Ignored(); n > 0 {
		b.Errorf("%d facts were ignored", n)
	}
}

func BenchmarkFloor(b *testing.B) {
	srv := benchServer(b)
	dispatch := benchBus(b, srv, "dispatch").Conn()
	c := make(chan *nats.Msg, events.Backlog)
	probe, err := benchBus(b, srv, "probe").Subscribe(events.Of(events.JobStarted{}))
	if err != nil {
		b.Fatal(err)
	}
	if err := benchBus(b, srv, "dispatch2").Publish(events.JobStarted{Type: "bash", Job: "J1", Actor: "bash_1", Incarnation: life(1), Attempt: 1}); err != nil {
		b.Fatal(err)
	}
	raw := <-probe.C // the bytes of one fact
	if _, err := benchBus(b, srv, "watch").Conn().ChanSubscribe(raw.Subject, c); err != nil {
		b.Fatal(err)
	}
	probe.Unsubscribe()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
	defer cancel()
	if err := dispatch.FlushWithContext(ctx); err != nil {
		b.Fatal(err)
	}
	cpu, start, sent, heard := cpuTime(b), time.Now(), 0, 0
	for b.Loop() {
		if err := dispatch.Publish(raw.Subject, raw.Data); err != nil {
			b.Fatal(err)
		}
		if sent++; sent-heard >= window {
			<-c
			heard++
		}
	}
	for ; heard < sent; heard++ {
		<-c
	}
	b.ReportMetric(float64(sent)/time.Since(start).Seconds(), "facts/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(sent), "cpu-us/fact")
}

// BenchmarkFold is the decision alone.
func BenchmarkFold(b *testing.B) {
	chart, err := NewChart()
	if err != nil {
		b.Fatal(err)
	}
	a := NewActor(events.LocalNode, "bash_1", PoolConfig{Max: 1}.withDefaults(), "n")
	now := time.Unix(0, 0)
	for _, e := range []events.Event{
		events.ProcessObserved{Incarnation: life(1), WantedUp: true}, events.ProcessReady{Incarnation: life(1)},
	} {
		a, _ = chart.Fold(b.Context(), a, e, now)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		attempt := n/2 + 1
		var e events.Event = events.JobStarted{Job: "J1", Actor: "bash_1", Incarnation: life(1), Attempt: attempt}
		if n%2 == 1 {
			e = events.JobEnded{Job: "J1", Actor: "bash_1", Incarnation: life(1), Attempt: attempt, Outcome: events.Finished}
		}
		var out Output
		if a, out = chart.Fold(b.Context(), a, e, now); len(out.Publish) != 1 {
			b.Fatal(out)
		}
	}
}

// cpuTime is what this process, server and publishers included, has used so far:
// steadier than a rate on a machine that others use too (research/bench.md, 0).
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchServer(b *testing.B) *embedded.Server {
	srv, err := embedded.Start(embedded.Config{Dir: b.TempDir(), NoListen: true, State: "0a1b2c3d"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(srv.Stop)
	return srv
}

func benchBus(b *testing.B, srv *embedded.Server, name string) *events.Bus {
	bus, err := srv.Connect(name)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(bus.Close)
	return bus
}
