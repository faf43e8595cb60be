package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.State = "0a1b2c3d"
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func system(t *testing.T, s *Server, name string) *events.Bus {
	t.Helper()
	b, err := s.Connect(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func ctx5(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func role(t *testing.T, s *Server, r Role) *nats.Conn {
	t.Helper()
	nc, err := Dial(ctx5(t), s.URL(), s.cfg.Dir, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestNobodyEntersWithoutAKey(t *testing.T) {
	s := start(t, Config{})
	if _, err := nats.Connect(s.URL()); !errors.Is(err, nats.ErrAuthorization) && !strings.Contains(err.Error(), "nkey") {
		t.Errorf("without a key: %v, want a refusal", err)
	}
	other := start(t, Config{})
	for _, r := range Roles() {
		if _, err := Dial(ctx5(t), s.URL(), other.cfg.Dir, r, nil); err == nil {
			t.Errorf("%s of another state folder was let in", r)
		}
	}
}

func TestSystemKeyIsWorthlessOverTCP(t *testing.T) {
	s := start(t, Config{})
	pub, _ := s.key.PublicKey()
	if nc, err := nats.Connect(s.URL(), nats.Nkey(pub, s.key.Sign)); err == nil {
		nc.Close()
		t.Error("the system's key was accepted over TCP")
	}
}

func TestKeyFilesArePrivate(t *testing.T) {
	s := start(t, Config{})
	for _, r := range Roles() {
		st, err := os.Stat(KeyFile(s.cfg.Dir, r))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o, want 600", r, st.Mode().Perm())
		}
	}
}

// What each role may do across the accounts, in one table.
func TestRoles(t *testing.T) {
	s := start(t, Config{})
	sys := system(t, s, "test")
	if err := events.EnsureStreams(ctx5(t), sys); err != nil {
		t.Fatal(err)
	}
	svc, err := sys.Serve(events.ServiceConfig{Name: "pools", Description: "test", Patterns: []events.Pattern{events.CommandsOf("pool")}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = svc.Stop(); close(done) })
	go func() {
		for {
			select {
			case m := <-svc.C:
				_ = m.Respond(map[string]bool{"ok": true})
			case <-done:
				return
			}
		}
	}()
	for _, c := range []struct {
		role          Role
		submit, scale bool
	}{{Operator, true, true}, {Submitter, true, false}, {Observer, false, false}} {
		nc := role(t, s, c.role)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx5(t), 300*time.Millisecond)
		_, err = js.Publish(short, "hero.cmd.job.submit.bash", []byte("true"))
		if (err == nil) != c.submit {
			t.Errorf("%s submits: %v, allowed %v", c.role, err, c.submit)
		}
		_, err = nc.RequestWithContext(short, "hero.cmd.pool.scale.bash", []byte(`{"count":1}`))
		if (err == nil) != c.scale {
			t.Errorf("%s scales: %v, allowed %v", c.role, err, c.scale)
		}
		if _, err = js.Stream(short, events.JobsStream); err == nil {
			t.Errorf("%s reaches the JetStream API", c.role)
		}
		cancel()
	}
}

func TestOnlyReadersHearFactsAndOnlyTheSystemTellsThem(t *testing.T) {
	s := start(t, Config{})
	sys := system(t, s, "test")
	facts, err := sys.Subscribe(events.Facts)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		role  Role
		hears bool
	}{{Operator, true}, {Observer, true}, {Submitter, false}} {
		nc := role(t, s, c.role)
		sub, err := nc.SubscribeSync("hero.evt.>")
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.FlushWithContext(ctx5(t)); err != nil {
			t.Fatal(err)
		}
		if err := sys.Publish(events.RedisBack{}); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx5(t), 300*time.Millisecond)
		if _, err := sub.NextMsgWithContext(short); (err == nil) != c.hears {
			t.Errorf("%s: %v, hears %v", c.role, err, c.hears)
		}
		cancel()
		// A forged fact stays in the forger's own account.
		_ = nc.Publish("hero.evt.system.zinitback", []byte(`{}`))
		_ = nc.FlushWithContext(ctx5(t))
		if m, err := facts.Open(<-facts.C); err != nil || m.Event != (events.RedisBack{}) {
			t.Errorf("%s: heard %v %v, want RedisBack", c.role, m.Event, err)
		}
	}
	if n := len(facts.C); n != 0 {
		t.Errorf("%d forged facts arrived", n)
	}
}

func TestDiscoveryShowsEveryServiceToAnOperator(t *testing.T) {
	s := start(t, Config{})
	for _, name := range []string{"one", "two", "three"} {
		b := system(t, s, name)
		svc, err := b.Serve(events.ServiceConfig{Name: name, Description: "test", Patterns: []events.Pattern{"cmd." + events.Pattern(name) + ".x"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = svc.Stop() })
	}
	nc := role(t, s, Operator)
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest("$SRV.PING", inbox, nil); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for range 3 {
		m, err := sub.NextMsgWithContext(ctx5(t))
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		var pong struct{ Name string }
		if err := json.Unmarshal(m.Data, &pong); err != nil {
			t.Fatal(err)
		}
		got[pong.Name] = true
	}
	if len(got) != 3 {
		t.Errorf("found %v, want three services", got)
	}
}

func TestPortIsKeptAndRefusedWhenTaken(t *testing.T) {
	dir := t.TempDir()
	s, err := Start(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	url := s.URL()
	s.Stop()
	again, err := Start(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if again.URL() != url {
		t.Errorf("second start at %s, first at %s", again.URL(), url)
	}
	addr := strings.TrimPrefix(url, "nats://")
	if _, err := Start(Config{Dir: t.TempDir(), Listen: addr}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a taken address: %v", err)
	}
	again.Stop()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	log := hearing{slog.NewTextHandler(t.Output(), nil), "is taken by others", make(chan struct{}, 1)}
	third := start(t, Config{Dir: dir, Log: slog.New(log)})
	if third.URL() == url {
		t.Error("took a port that somebody else listens on")
	}
	if len(log.heard) == 0 {
		t.Error("it moved without a word")
	}
}

func TestStoreThatCanNotBeWrittenIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Config{Dir: dir}); err == nil {
		t.Fatal("started on a file instead of a folder")
	}
}
