package actor

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"herosup/dispatch/store"
)

// An actor that can run nothing gives back what it was given, in order and counted as nothing, lets what it runs go on, answers
// pings, and goes on when it can. One that comes up like that takes nothing before.
func TestUnable(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		var missing atomic.Bool
		begun, end := make(chan string, 10), make(chan struct{})
		able := func(c *Config) {
			c.Concurrency = 2
			c.Able = func() error {
				if missing.Load() {
					return errors.New("no interpreter")
				}
				return nil
			}
		}
		a := b.start("p_1", func(ctx context.Context, j Job) Outcome {
			if missing.Load() {
				return Failed(ReasonUnable, "no interpreter")
			}
			begun <- j.ID
			if j.Script == "long" {
				<-end
			}
			return echo(ctx, j)
		}, able, nil)
		b.hello("p_1")
		long := b.script("long")
		recv(t, begun)
		missing.Store(true)
		ids := []string{b.script("1"), b.script("2"), b.script("3")}
		back := b.await("the first comes back", func(f store.Fact) bool { return f.Kind == store.FactRetried && f.Job == ids[0] })
		if !back.Failed || back.How != store.AttemptInterrupted || back.Reason != "no interpreter" {
			t.Errorf("%+v", back)
		}
		late := b.start("p_2", func(context.Context, Job) Outcome { return Failed(ReasonNotStarted, "called") }, able, nil)
		b.hello("p_2")
		for _, name := range []string{"p_1", "p_2"} {
			if code := patient(b, func() (store.Code, error) { return b.d.Ping(b.Context(), name, "n1") }); code != store.OK {
				t.Fatal(code)
			}
			b.await("a pong of "+name, func(f store.Fact) bool { return f.Kind == store.FactPong && f.Actor == name })
		}
		close(end)
		if r := b.ended(long); r.Status != store.StatusFinished || r.Attempts != 1 {
			t.Errorf("%+v", r)
		}
		for _, id := range ids {
			if r := b.record(id); r.Status != store.StatusDispatched || r.Crashes != 0 || r.Actor == "p_2" {
				t.Errorf("%+v", r)
			}
		}
		if err := late.end(b); err != nil {
			t.Error(err)
		}
		missing.Store(false)
		for _, id := range ids {
			if r := b.ended(id); r.Status != store.StatusFinished {
				t.Errorf("%+v", r)
			}
		}
		last := map[string]int{} // start, of all facts
		for i, f := range b.facts {
			if f.Kind == store.FactStarted {
				last[f.Job] = i
			}
		}
		if last[ids[0]] > last[ids[1]] || last[ids[1]] > last[ids[2]] {
			t.Errorf("handed out out of turn: %v", last)
		}
		if err := a.end(b); err != nil {
			t.Error(err)
		}
	})
}
