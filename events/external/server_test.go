package external_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"herosup/events"
	"herosup/events/external"
)

// theirs is a NATS server as somebody else runs it, here in this process.
type theirs struct {
	opts natsserver.Options
	srv  *natsserver.Server
}

func (x *theirs) start(t *testing.T) {
	t.Helper()
	opts := x.opts
	srv, err := natsserver.NewServer(&opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	x.opts.Port = srv.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // TCP it is
	x.srv = srv
	t.Cleanup(x.stop)
}

func (x *theirs) stop() {
	x.srv.Shutdown()
	x.srv.WaitForShutdown()
}

func (x *theirs) access() external.Access {
	return external.Access{URL: "nats://someone:s3cret@" + x.srv.Addr().String()}
}

func newTheirs(t *testing.T) *theirs {
	t.Helper()
	x := &theirs{opts: natsserver.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, JetStream: true, StoreDir: filepath.Join(t.TempDir(), "js"),
		Username: "someone", Password: "s3cret",
	}}
	x.start(t)
	return x
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, x *theirs, state string) (*external.Server, *events.Bus) {
	t.Helper()
	s, err := external.Open(within(t), x.access(), state, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s, connect(t, s, "daemon")
}

func connect(t *testing.T, s *external.Server, name string) *events.Bus {
	t.Helper()
	b, err := s.Connect(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
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
	case <-time.After(10 * time.Second):
		t.Fatal("nothing heard")
		return events.Message{}
	}
}

func TestStreamsHaveOneOwner(t *testing.T) {
	x := newTheirs(t)
	_, b := open(t, x, "11112222")
	for range 2 { // a daemon that comes back finds what it made
		if err := events.EnsureReplicas(within(t), b, 1); err != nil {
			t.Fatal(err)
		}
		if err := external.Claim(within(t), b, "11112222"); err != nil {
			t.Fatal(err)
		}
	}
	var taken *external.TakenError
	if err := external.Claim(within(t), b, "33334444"); !errors.As(err, &taken) || taken.State != "11112222" {
		t.Errorf("another claims the streams: %v", err)
	}
	// Replicas that one server can not have.
	if err := events.EnsureReplicas(within(t), b, 3); err == nil {
		t.Error("three replicas on one server")
	}
}

// What the components want of actors reaches who keeps them once, in the order of each and with its answer, whether the
// server is there or not.
func TestActorsAreKeptWithoutTheServer(t *testing.T) {
	x := newTheirs(t)
	s, scaler := open(t, x, "11112222")
	keeper := connect(t, s, "keeper")
	svc, err := keeper.Serve(events.ServiceConfig{Name: "keeper", Patterns: []events.Pattern{events.CommandsOf("actor")}, InHand: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := func(when string) {
		t.Helper()
		for _, e := range []events.Event{events.ActorStart{Actor: "bash_1"}, events.ActorStop{Actor: "bash_1"}, events.ActorPing{Actor: "bash_1"}} {
			if err := scaler.Publish(e); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
		}
		for _, e := range []events.Event{events.ActorStart{Actor: "bash_1"}, events.ActorStop{Actor: "bash_1"}, events.ActorPing{Actor: "bash_1"}} {
			select {
			case m := <-svc.C:
				if m.Event != e || m.ID == "" || m.Source != scaler.Source() || m.WantsAnswer() {
					t.Errorf("%s: %+v, want %+v", when, m, e)
				}
			case <-within(t).Done():
				t.Fatalf("%s: no %+v", when, e)
			}
		}
		go func() {
			if m := <-svc.C; m.WantsAnswer() {
				_ = m.Respond("idle")
			}
		}()
		var answer string
		if err := scaler.Request(within(t), events.ActorStop{Actor: "bash_1"}, &answer); err != nil || answer != "idle" {
			t.Errorf("%s: asked: %q, %v", when, answer, err)
		}
	}
	want("with the server")
	// Nobody is there to be told of a service that has no room but the server.
	refused, err := keeper.Subscribe(events.FactsOf("system"))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := scaler.Publish(events.ActorStart{Actor: "bash_2"}); err != nil {
			t.Fatal(err)
		}
	}
	if m, _ := next(t, refused).Event.(events.CommandRejected); m.Code != "busy" {
		t.Errorf("one too many: %+v", m)
	}
	for range 3 {
		<-svc.C
	}

	away := scaler.Conn().StatusChanged(nats.RECONNECTING)
	x.stop()
	<-away
	want("without the server")
	if n := len(svc.C); n > 0 {
		t.Errorf("%d came twice", n)
	}
	unsent := func(what string, e events.Event) {
		t.Helper()
		for late := within(t); scaler.Publish(e) == nil; { // the other connections may not know yet that the server has gone
			select {
			case <-late.Done():
				t.Fatal(what + " is sent")
			case <-time.After(time.Millisecond):
			}
		}
	}
	unsent("a command that can not be sent", events.PoolPause{Pool: "bash"})
	_ = svc.Stop() // the server is not there to hear of it
	unsent("a command to nobody", events.ActorStart{Actor: "bash_1"})
}

// The components hear and ask one another while the server is away, and those outside
// see by the numbers that they missed something.
func TestComponentsGoOnWithoutTheServer(t *testing.T) {
	x := newTheirs(t)
	s, out := open(t, x, "11112222")
	in := connect(t, s, "in")
	here, err := in.Subscribe(events.Facts, events.OrdersOf("script", events.LocalNode))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := x.access().Dial(within(t), "outside", nil)
	if err != nil {
		t.Fatal(err)
	}
	outside, err := events.NewBus(nc, events.Config{Source: "outside"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(outside.Close)
	there, err := outside.Subscribe(events.Facts)
	if err != nil {
		t.Fatal(err)
	}
	say := func() {
		t.Helper()
		if err := out.Publish(events.RedisBack{}); err != nil {
			t.Fatal(err)
		}
		if m := next(t, here); m.Missed != 0 {
			t.Errorf("a component missed %d", m.Missed)
		}
	}
	say()
	if err := out.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	next(t, there)

	away := out.Conn().StatusChanged(nats.RECONNECTING)
	x.stop()
	<-away
	for range 3 {
		say()
	}
	life, err := events.IncarnationOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		m := next(t, here)
		_ = m.Respond(events.ScriptGroups{Groups: []events.ScriptGroup{{PGID: 42, Leader: life}}})
	}()
	var groups events.ScriptGroups
	err = out.Request(within(t), events.AskScriptGroups{Node: events.LocalNode, Actor: "bash_1", Incarnation: life}, &groups)
	if err != nil || len(groups.Groups) != 1 || groups.Groups[0].PGID != 42 {
		t.Errorf("asked without the server: %v, %v", groups, err)
	}
	// What nobody here answers needs the server, and fails at once.
	if err := out.Request(within(t), events.PoolList{}, nil); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command without the server: %v", err)
	}

	x.start(t)
	for end := time.Now().Add(10 * time.Second); ; {
		if err := errors.Join(out.Flush(within(t)), outside.Flush(within(t))); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("not connected again after 10 s")
		}
	}
	say()
	if m := next(t, there); m.Missed != 3 {
		t.Errorf("outside missed %d, want 3", m.Missed)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	x := newTheirs(t)
	addr := x.srv.Addr().String()
	for _, c := range []struct {
		access external.Access
		want   string
	}{
		{external.Access{URL: "nats://someone:wr0ng@" + addr}, "Authorization Violation"},
		{external.Access{URL: "nats://someone:s3cret@127.0.0.1:1"}, "127.0.0.1:1: nats: no servers available for connection: is it running"},
		{external.Access{URL: "redis://someone:s3cret@h"}, "want nats:// or tls://"},
		{external.Access{URL: "nats://someone:s3cret@h,nats://"}, "no host"},
		{external.Access{URL: "nats://some one:s3cret@%zz"}, "not a URL"},
		{external.Access{URL: "nats://" + addr, Creds: "a", NKey: "b"}, "creds or nkey, not both"},
		{external.Access{URL: "nats://" + addr, NKey: "/nowhere"}, "/nowhere"},
		{external.Access{URL: "nats://" + addr, Creds: "/nowhere"}, "/nowhere"},
	} {
		_, err := external.Open(within(t), c.access, "11112222", nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.access.Public(), err, c.want)
		} else if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	x.stop()
	x.opts.JetStream, x.opts.MaxPayload = false, 1000
	x.start(t)
	if _, err := external.Open(within(t), x.access(), "11112222", nil); err == nil || !strings.Contains(err.Error(), "max_payload is 1000 bytes") {
		t.Errorf("small messages: %v", err)
	}
	x.stop()
	x.opts.MaxPayload = 0
	x.start(t)
	_, b := open(t, x, "11112222")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := external.Explain(events.EnsureStreams(ctx, b)); err == nil || !strings.Contains(err.Error(), "start the server with -js") {
		t.Errorf("without JetStream: %v", err)
	}
}

// A user who may not hear commands is told so at the start, and not left with a daemon that nobody can speak to. What
// components tell one another goes past the server, and so past what that allows.
func TestWhatMayNotBeHeardIsSaid(t *testing.T) {
	x := newTheirs(t)
	x.stop()
	x.opts.Username, x.opts.Password = "", ""
	x.opts.Users = []*natsserver.User{{Username: "someone", Password: "s3cret", Permissions: &natsserver.Permissions{
		Subscribe: &natsserver.SubjectPermission{Deny: []string{"hero.>"}},
	}}}
	x.start(t)
	s, b := open(t, x, "11112222")
	in := connect(t, s, "in")
	if _, err := b.Serve(events.ServiceConfig{Name: "keeper", Patterns: []events.Pattern{events.CommandsOf("actor")}}); err == nil || !strings.Contains(err.Error(), "hero.cmd.actor") {
		t.Errorf("a service that nobody reaches: %v", err)
	}
	if _, err := b.Subscribe(events.Commands); err == nil || !strings.Contains(err.Error(), "hero.cmd.>") {
		t.Errorf("commands that nobody hears: %v", err)
	}
	here, err := in.Subscribe(events.Facts, events.OrdersOf("process", events.LocalNode))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(events.RedisBack{}); err != nil {
		t.Fatal(err)
	}
	next(t, here)
}
