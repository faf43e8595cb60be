package events_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"herosup/events"
	"herosup/events/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func server(t *testing.T) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(embedded.Config{Dir: t.TempDir(), State: "0a1b2c3d"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func bus(t *testing.T, s *embedded.Server, name string) *events.Bus {
	t.Helper()
	b, err := s.Connect(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func next(t *testing.T, sub *events.Subscription) events.Message {
	t.Helper()
	select {
	case raw := <-sub.C:
		m, err := sub.Open(raw)
		if err != nil {
			t.Fatal(err)
		}
		return m
	case <-within(t).Done():
		t.Fatal("nothing arrived")
	}
	panic("unreachable")
}

func publish(t *testing.T, b *events.Bus, e events.Event, o ...events.Option) {
	t.Helper()
	if err := b.Publish(e, o...); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t *testing.T, b *events.Bus, p ...events.Pattern) *events.Subscription {
	t.Helper()
	sub, err := b.Subscribe(p...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Unsubscribe)
	return sub
}

func TestFactsKeepTheirOrderOverSeveralPatterns(t *testing.T) {
	s := server(t)
	out, in := bus(t, s, "out"), bus(t, s, "in")
	sub := subscribe(t, in, events.FactsOf("job"), events.FactsOf("actor"), events.OrdersOf("process", events.LocalNode))
	var want []events.Event
	for i := range 500 {
		for _, e := range []events.Event{
			events.JobQueued{Type: "bash", Job: fmt.Sprint("j", i), Ready: i},
			events.ActorPonged{Pool: "bash", Actor: "bash_1", Nonce: fmt.Sprint(i)},
			events.StartProcess{Node: events.LocalNode, Actor: fmt.Sprint("bash_", i), Pool: "bash"},
		} {
			want = append(want, e)
			publish(t, out, e)
		}
	}
	for i, w := range want {
		if d := cmp.Diff(w, next(t, sub).Event); d != "" {
			t.Fatalf("message %d:\n%s", i, d)
		}
	}
}

func TestEnvelopeLinksCauseAndChain(t *testing.T) {
	s := server(t)
	out, in := bus(t, s, "out"), bus(t, s, "in")
	sub := subscribe(t, in, events.Facts)
	publish(t, out, events.RedisBack{})
	first := next(t, sub)
	publish(t, out, events.ZinitBack{}, events.CausedBy(first))
	second := next(t, sub)
	publish(t, out, events.FactsLost{Reason: "x"}, events.CausedBy(second))
	third := next(t, sub)
	if second.CausationID != first.ID || third.CausationID != second.ID {
		t.Errorf("causes %q %q, want %q %q", second.CausationID, third.CausationID, first.ID, second.ID)
	}
	if third.CorrelationID != first.ID || second.CorrelationID != first.ID {
		t.Errorf("chain %q %q, want %q", second.CorrelationID, third.CorrelationID, first.ID)
	}
	if first.Source != "herosup/0a1b2c3d/out" {
		t.Errorf("source %q", first.Source)
	}
}

// A reader that lost facts is told how many with the next one.
func TestLossIsTold(t *testing.T) {
	s := server(t)
	out, in := bus(t, s, "out"), bus(t, s, "in")
	sub := subscribe(t, in, events.Facts)
	const extra = 1000
	for range events.Backlog + extra {
		publish(t, out, events.RedisBack{})
	}
	if err := out.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := in.Flush(within(t)); err != nil { // its PONG comes behind the messages
		t.Fatal(err)
	}
	for range events.Backlog {
		if m := next(t, sub); m.Missed != 0 {
			t.Fatalf("missed %d before the loss", m.Missed)
		}
	}
	publish(t, out, events.ZinitBack{})
	if m := next(t, sub); m.Missed != extra {
		t.Errorf("missed %d, want %d", m.Missed, extra)
	}
}

func TestBadTokensNeverReachASubject(t *testing.T) {
	s := server(t)
	b := bus(t, s, "out")
	for _, id := range []string{"", "a.b", "*", ">", "a b", strings.Repeat("x", 65)} {
		if err := b.Publish(events.JobDead{Type: "bash", Job: id}); err == nil {
			t.Errorf("job %q was published", id)
		}
		if err := b.Request(within(t), events.ActorStop{Actor: id}, nil); err == nil || errors.Is(err, events.ErrNobody) {
			t.Errorf("stop of %q was sent: %v", id, err)
		}
	}
}

// Whatever comes on one of our subjects is a message or an error with words,
// and the reader goes on.
func TestMalformedMessages(t *testing.T) {
	s := server(t)
	out, in := bus(t, s, "out"), bus(t, s, "in")
	sub := subscribe(t, in, "evt.>", "cmd.>")
	for subject, body := range map[string]string{
		"hero.evt.job.queued.bash.a":        "",
		"hero.evt.job.queued.bash.b":        "{",
		"hero.evt.job.queued.bash.c":        "[]",
		"hero.evt.job.queued.bash.d":        `{"specversion":"1.0","id":"1","source":"x","type":"hero.job.ended.v1"}`,
		"hero.evt.job.queued.bash.e":        `{"specversion":"9.9","id":"1","source":"x","type":"hero.job.queued.v1"}`,
		"hero.evt.job.queued.bash.f":        strings.Repeat("[", 10_000),
		"hero.evt.job.queued.bash":          "{}",
		"hero.evt.job.queued.bash.*":        "{}",
		"hero.evt.nothing.known":            "{}",
		"hero.evt":                          "{}",
		"hero.cmd.pool.scale.bash":          `{"count":"many"}`,
		"hero.cmd.pool.scale.a..b":          "{}",
		"hero.cmd.pool.scale.uncounted":     "",
		"hero.cmd.pool.scale.\x00":          "{}",
		"hero.cmd.actor.explode.bash_1":     "{}",
		"hero.cmd.job.await.j1":             "\xff\xfe",
		"hero.cmd.actor.stop.bash_1":        `{"deadline":"soon"}`,
		"hero.cmd.job.submit.bash.too.many": "true",
	} {
		if err := out.Conn().Publish(subject, []byte(body)); err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		if err := out.Flush(within(t)); err != nil {
			t.Fatal(err)
		}
		if err := in.Flush(within(t)); err != nil {
			t.Fatal(err)
		}
		select {
		case raw := <-sub.C:
			if m, err := sub.Open(raw); err == nil {
				t.Errorf("%s: decoded as %+v", subject, m.Event)
			}
		default:
			// The server itself matches no wildcard to these.
			if subject != "hero.evt" && !strings.Contains(subject, "..") {
				t.Errorf("%s did not arrive", subject)
			}
		}
	}
}

func TestRequestsAreAnsweredOrRefusedWithWords(t *testing.T) {
	s := server(t)
	caller, keeper := bus(t, s, "caller"), bus(t, s, "keeper")
	rejected := subscribe(t, caller, events.Facts)
	if err := caller.Request(within(t), events.ActorStart{Actor: "bash_1"}, nil); !errors.Is(err, events.ErrNobody) {
		t.Errorf("without a service: %v, want ErrNobody", err)
	}
	svc, err := keeper.Serve(events.ServiceConfig{Name: "keeper", Description: "test", Patterns: []events.Pattern{events.CommandsOf("actor")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Stop() })
	answer := func(f func(events.Message)) {
		go func() { f(<-svc.C) }()
	}
	answer(func(m events.Message) { _ = m.Respond(map[string]string{"state": "starting"}) })
	var got struct{ State string }
	if err := caller.Request(within(t), events.ActorStart{Actor: "bash_1"}, &got); err != nil || got.State != "starting" {
		t.Errorf("answer %+v, %v", got, err)
	}
	answer(func(m events.Message) {
		_ = keeper.Reject(m, &events.Refusal{Status: 404, Code: "unknown_actor", Reason: "no actor bash_9", Hint: "see get actors"})
	})
	var r *events.Refusal
	if err := caller.Request(within(t), events.ActorStop{Actor: "bash_9"}, nil); !errors.As(err, &r) || r.Code != "unknown_actor" || r.Hint == "" {
		t.Errorf("refusal: %v", err)
	}
	if e, ok := next(t, rejected).Event.(events.CommandRejected); !ok || e.Command != "actor-stop" || e.Code != "unknown_actor" {
		t.Errorf("fact of the refusal: %+v", e)
	}
	// Bare JSON, as a person types it, and one that does not decode.
	answer(func(m events.Message) {
		_ = m.Respond(m.Event)
	})
	reply, err := caller.Conn().RequestWithContext(within(t), "hero.cmd.actor.stop.bash_1", []byte(`{"deadline":2}`))
	if err != nil || !bytes.Contains(reply.Data, []byte(`"deadline":2`)) {
		t.Errorf("bare command: %v", err)
	}
	reply, err = caller.Conn().RequestWithContext(within(t), "hero.cmd.actor.stop.bash_1", []byte(`{`))
	if err != nil || reply.Header.Get("Nats-Service-Error-Code") != "400" {
		t.Errorf("malformed command: %v %v", reply, err)
	}
	if e, ok := next(t, rejected).Event.(events.CommandRejected); !ok || e.Code != "malformed" {
		t.Errorf("fact of the malformed command: %+v", e)
	}
}

// An answer goes to inboxes only: a command as the reply subject would be
// published with our rights (research/nats.md, 0.1).
func TestRepliesGoToInboxesOnly(t *testing.T) {
	s := server(t)
	caller, keeper := bus(t, s, "caller"), bus(t, s, "keeper")
	sub := subscribe(t, keeper, events.CommandsOf("actor"))
	for _, reply := range []string{"hero.cmd.pool.scale.bash", "hero.int.process.kill.local.bash_1", ""} {
		if err := caller.Conn().PublishMsg(&nats.Msg{Subject: "hero.cmd.actor.stop.bash_1", Reply: reply}); err != nil {
			t.Fatal(err)
		}
		if m := next(t, sub); m.WantsAnswer() {
			t.Errorf("would answer on %q", reply)
		}
	}
}
