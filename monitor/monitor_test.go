package monitor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"herosup/events"
)

// Ten idle minutes, with real messages, in a millisecond.
func TestTenIdleMinutes(t *testing.T) {
	bubble(t, func(t *testing.T, b *bed) {
		b.say(b.keeper, moved("bash_1", "starting", "idle", 1))
		b.pass(10*time.Minute - time.Millisecond)
		b.want(b.quiet())
		b.pass(time.Millisecond)
		b.want(b.quiet(), "ping bash_1")
		b.say(b.dispatch, events.ActorPinged{Pool: "bash", Actor: "bash_1", Nonce: "n1"}, events.ActorPonged{Pool: "bash", Actor: "bash_1", Nonce: "n1", Incarnation: inc(1)})
		b.pass(10 * time.Minute)
		b.want(b.quiet(), "ping bash_1")
		for _, n := range []string{"ping bash_1", "ping bash_1", "unresponsive bash_1 after 3"} {
			b.say(b.dispatch, events.ActorPinged{Pool: "bash", Actor: "bash_1", Nonce: "n"})
			b.pass(5 * time.Second)
			b.want(b.quiet(), n)
		}
	})
}

func TestOverrunIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, b *bed) {
		b.say(b.keeper, moved("bash_1", "starting", "idle", 1))
		b.say(b.dispatch, events.JobStarted{Type: "bash", Job: "j", Actor: "bash_1", Incarnation: inc(1), Attempt: 1, Timeout: 30})
		b.pass(time.Hour)
		b.want(b.quiet(), "overran j on bash_1: 40s")
	})
}

func TestQueriesAreAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, b *bed) {
		b.say(b.dispatch, story()...)
		v := NewView(config())
		now := time.Now()
		for _, e := range story() {
			v.Fold(e, now)
		}
		status, err := ask[Status](b, events.SystemStatus{})
		if d := cmp.Diff(v.Status(now), status); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
		pools, err := ask[[]Pool](b, events.PoolList{})
		if d := cmp.Diff(v.Pools(now), pools); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
		actors, err := ask[[]Actor](b, events.ActorList{Pool: "bash"})
		if d := cmp.Diff(v.Actors("bash"), actors); err != nil || d != "" || len(actors) != 2 {
			t.Errorf("%v\n%s", err, d)
		}
		b.quiet()
		_, err = ask[[]Actor](b, events.ActorList{Pool: "bahs"})
		var r *events.Refusal
		if !errors.As(err, &r) || r.Status != 404 || r.Hint != `did you mean "bash"?` {
			t.Errorf("%v", err)
		}
		b.want(b.quiet(), `rejected actor-list unknown_pool: pool "bahs" is not configured (did you mean "bash"?)`)
	})
}

// What nobody serves is rejected exactly once; what somebody serves is his.
// What was told before somebody asks is in the answer: who listens first and asks then has no gap.
func TestAnswersAreNotBehind(t *testing.T) {
	bubble(t, func(t *testing.T, b *bed) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for n := range 50 {
			for range 100 {
				if err := b.keeper.Publish(moved("bash_1", "idle", "running", n)); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.keeper.Publish(moved("bash_1", "running", "idle", n)); err != nil {
				t.Fatal(err)
			}
			if err := b.keeper.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			actors, err := ask[[]Actor](b, events.ActorList{Pool: "bash"})
			if err != nil || len(actors) != 1 || actors[0].State != "idle" {
				t.Fatalf("%d: %+v, %v", n, actors, err)
			}
		}
	})
}

func TestGatekeeper(t *testing.T) {
	bubble(t, func(t *testing.T, b *bed) {
		svc, err := b.keeper.Serve(events.ServiceConfig{Name: "keeper", Description: "test", Patterns: []events.Pattern{events.CommandsOf("actor")}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = svc.Stop() }()
		for _, c := range []struct{ subject, want string }{
			{"hero.cmd.job.submt.bash", `rejected unknown unknown_command: subject "hero.cmd.job.submt.bash" names no message that Herosup knows (did you mean hero.cmd.job.submit.<type>?)`},
			{"hero.cmd.system.staus", `rejected unknown unknown_command: subject "hero.cmd.system.staus" names no message that Herosup knows (did you mean hero.cmd.system.status?)`},
			{"hero.cmd.xyzzy", `rejected unknown unknown_command: subject "hero.cmd.xyzzy" names no message: want hero.<evt|cmd>.<entity>.<verb> ()`},
			{"hero.cmd.pool.scale", `rejected unknown malformed: subject "hero.cmd.pool.scale" has 0 tokens behind pool.scale, want 1 (pool) (did you mean hero.cmd.pool.scale.<pool>?)`},
			{"hero.cmd.job.submit.a.b", `rejected unknown malformed: subject "hero.cmd.job.submit.a.b" has 2 tokens behind job.submit, want 1 (type) (did you mean hero.cmd.job.submit.<type>?)`},
			{"hero.cmd.actor.kill.bash_1", `rejected unknown malformed: subject "hero.cmd.actor.kill.bash_1" names no message that Herosup knows ()`}, // the keeper's
		} {
			r := b.request(c.subject)
			if !strings.Contains(c.want, r.Reason) {
				t.Errorf("%s: answered %+v", c.subject, r)
			}
			b.want(b.quiet(), c.want)
			b.raw(c.subject, "{}") // without asking for an answer
			b.want(b.quiet(), c.want)
		}
		b.raw("hero.cmd.job.submit.bash", "echo hi")
		b.raw("hero.cmd.job.cancel.j1", "not json")
		b.want(b.quiet())
	})
}

func TestMalformedFactsAreReportedOncePerKind(t *testing.T) {
	bubble(t, func(t *testing.T, b *bed) {
		for range 5 {
			b.raw("hero.evt.job.queued.bash.j1", "{")
			b.raw("hero.evt.nonsense.from.somebody", "{}")
			b.raw("hero.evt.more.nonsense", "{}")
			b.raw("hero.evt.job.started.bash.j1", `{"specversion":"1.0"}`)
			b.raw("hero.evt.system.rejected.x", "{}")
		}
		got := b.quiet()
		if len(got) != 4 {
			t.Errorf("%d reports, want 4: %q", len(got), got)
		}
	})
}

func TestHoleIsToldAndCounted(t *testing.T) {
	bubble(t, func(t *testing.T, b *bed) {
		fact := func(seq string) string {
			return `{"specversion":"1.0","id":"x","source":"gap","type":"hero.system.zinitback.v1","sequence":"` + seq + `","data":{}}`
		}
		b.raw("hero.evt.system.zinitback", fact("1"))
		b.raw("hero.evt.system.zinitback", fact("2"))
		b.raw("hero.evt.system.zinitback", fact("7"))
		b.want(b.quiet(), "resynchronised: 4 facts of gap were lost")
		b.raw("hero.evt.system.zinitback", fact("9"))
		b.want(b.quiet()) // not again at once
		status, err := ask[Status](b, events.SystemStatus{})
		if err != nil || status.FactsLost != 5 {
			t.Errorf("%v %d", err, status.FactsLost)
		}
	})
}

func TestStartAndStopHammered(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	srv := newServer(t)
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	for i := range 100 {
		bus := newBus(t, srv, "monitor")
		m, err := New(config(), bus, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if i%4 == 0 {
			cancel() // before the start
		}
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		if i%2 == 0 {
			<-m.Ready()
		}
		cancel()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		bus.Close()
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	c := Config{Pools: []PoolConfig{
		{Name: "x", Types: []string{"bash"}, Health: Health{PingEvery: time.Millisecond, PingTimeout: 2 * time.Hour, PingLost: 0}},
		{Name: "a.b", Types: []string{""}, Health: DefaultHealth()},
		{Name: "x", Types: []string{"bash"}},
	}}
	want := `pools.x.health.ping_every: got 1ms, want 10ms..720h0m0s (0s never pings)
pools.x.health.ping_timeout: got 2h0m0s, want 10ms..1h0m0s (longer than the slowest answer)
pools.x.health.ping_lost: got 0, want 1..100 (pings in a row before a restart)
pools.a.b: name "a.b" has "." at position 2: only A-Z a-z 0-9 _ - are allowed
pools.a.b.type is empty: want 1 to 64 of A-Z a-z 0-9 _ -
pools.x: is there twice`
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, err := New(c, nil, nil); err == nil {
		t.Error("New takes it")
	}
}
