package scaler

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"herosup/events"
)

// From the submission's fact being published to the intent being received,
// over the real bus with three connections. The floor is the same way without
// the scaler: a fact that its reader answers with an intent.
func BenchmarkReaction(b *testing.B) {
	srv := newServer(b)
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	p := DefaultPolicy()
	p.Max = MaxActors
	// One pool of its own for each round, so that each has a free slot at once.
	b.Run("scaler", func(b *testing.B) {
		own := newBus(b, srv, "scaler")
		defer own.Close()
		const pools = 10
		cfg := Config{}
		for i := range pools {
			cfg.Pools = append(cfg.Pools, Pool{Name: fmt.Sprint("p", i), Types: []string{fmt.Sprint("t", i)}, Policy: p})
		}
		s, err := New(cfg, own, nil)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
		}()
		<-s.Ready()
		react(b, func(bus *events.Bus) {
			_ = bus.Publish(events.SystemStarted{})
		}, srv2{newBus(b, srv, "dispatch"), newBus(b, srv, "keeper")}, pools)
	})
	b.Run("floor", func(b *testing.B) {
		echo := newBus(b, srv, "echo")
		defer echo.Close()
		sub, err := echo.Subscribe(events.Facts)
		if err != nil {
			b.Fatal(err)
		}
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case raw := <-sub.C:
					if m, err := sub.Open(raw); err == nil {
						if _, ok := m.Event.(events.JobQueued); ok {
							_ = echo.Publish(events.ActorStart{Actor: "p0_1"})
						}
					}
				case <-stop:
					return
				}
			}
		}()
		defer func() { close(stop); <-done }()
		react(b, func(*events.Bus) {}, srv2{newBus(b, srv, "dispatch"), newBus(b, srv, "keeper")}, 1)
	})
}

type srv2 struct{ dispatch, keeper *events.Bus }

func react(b *testing.B, begin func(*events.Bus), bus srv2, pools int) {
	defer bus.dispatch.Close()
	defer bus.keeper.Close()
	starts, err := bus.keeper.Subscribe(events.CommandsOf("actor"))
	if err != nil {
		b.Fatal(err)
	}
	begin(bus.dispatch)
	var took []time.Duration
	round := 0
	for b.Loop() {
		script := fmt.Sprint("t", round%pools)
		round++
		job := fmt.Sprint("j", round)
		t0 := time.Now()
		if err := bus.dispatch.Publish(events.JobQueued{Type: script, Job: job, Ready: 1}); err != nil {
			b.Fatal(err)
		}
		raw := <-starts.C
		took = append(took, time.Since(t0))
		m, err := starts.Open(raw)
		if err != nil {
			b.Fatal(err)
		}
		// The actor comes, runs the job, and is gone: back to the beginning.
		actor := m.Event.(events.ActorStart).Actor
		pool := actor[:len(actor)-2]
		for _, e := range []events.Event{
			events.JobStarted{Type: script, Job: job, Actor: actor, Attempt: 1},
			events.JobEnded{Type: script, Job: job, Actor: actor},
			events.ActorStateChanged{Pool: pool, Actor: actor, To: "starting"},
			events.ActorStateChanged{Pool: pool, Actor: actor, To: "stopped"},
		} {
			if err := bus.dispatch.Publish(e); err != nil {
				b.Fatal(err)
			}
		}
		// The next round begins when all is quiet.
		<-time.After(2 * time.Millisecond)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := DefaultPolicy()
			p.Max = n
			s := Snapshot{Pool: "bash", Now: epoch, MeasuredAt: epoch, Ready: n}
			for i := range n {
				s.Actors = append(s.Actors, Actor{Slot: i + 1, State: Running, Jobs: 1})
			}
			b.ReportAllocs()
			for b.Loop() {
				Decide(s, p)
			}
		})
	}
}

func BenchmarkFold(b *testing.B) {
	v := NewView(bash(nil))
	var e events.Event = events.JobStarted{Type: "bash", Job: "j", Actor: "bash_1", Attempt: 1}
	var q events.Event = events.JobQueued{Type: "bash", Job: "j", Ready: 1}
	b.ReportAllocs()
	for b.Loop() {
		v.Fold(q, epoch)
		v.Fold(e, epoch)
	}
}
