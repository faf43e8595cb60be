package store

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A full Redis refuses in mid-script the first command that may grow memory, and what the script wrote
// before stays. So no script may have written anything by then.
func TestFullRedisChangesNothing(t *testing.T) {
	t.Parallel()
	srv := realServer(t)
	for name, first := range map[string]string{"a job is next": "", "an id without a record is next": "alsonothing"} {
		t.Run(name, func(t *testing.T) { fullRedis(newBed(t, srv), first) })
	}
}

func fullRedis(b *bed, first string) {
	t := b.T
	holder, idle, dead := b.actor("p_1", "i1"), b.actor("p_2", "i2"), b.actor("p_3", "i3")
	b.job("j1", 1)
	j := b.take(holder)
	b.job("j2", 2)
	b.take(dead)
	b.accept(Submission{ID: "late", Type: "sh", Script: "x", Due: time.Now().Add(time.Hour), Sequence: 3})
	b.s.rdb.ZAddXX(b.ctx(), "hero:delayed:sh", z(1, "late"))
	b.job("j4", 4)
	b.push("nothing")
	if first != "" {
		b.s.rdb.RPush(b.ctx(), "hero:q:work:type:sh", first)
	}
	b.s.rdb.RPush(b.ctx(), "hero:held:i9", "j1")
	if err := b.s.rdb.ConfigSet(b.ctx(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	before := snapshot(b)
	calls := map[string]func() error{
		"accept": func() error {
			_, err := b.d.Accept(b.ctx(), 0, []Submission{{ID: "new", Type: "sh", Script: "x", Sequence: 9}})
			return err
		},
		"claim":   func() error { _, err := idle.Claim(b.ctx()); return err },
		"finish":  func() error { _, err := holder.Finish(b.ctx(), j, Outcome{Output: "x"}, true); return err },
		"recover": func() error { _, err := b.d.Recover(b.ctx(), "i3", false, 3); return err },
		"dead":    func() error { _, err := b.d.Recover(b.ctx(), "i3", false, 1); return err },
		"promote": func() error { _, err := b.d.Promote(b.ctx(), "sh"); return err },
		"cancel":  func() error { _, err := b.d.Cancel(b.ctx(), "j4"); return err },
		"hello": func() error {
			a := must[*Actor](b)(b.s.Actor("p_3", "sh", "i4"))
			_, err := a.Hello(b.ctx())
			return err
		},
		"close": func() error { _, err := b.d.CloseGate(b.ctx(), "p_1"); return err },
		"ping":  func() error { _, err := b.d.Ping(b.ctx(), "p_1", "n"); return err },
	}
	for what, call := range calls {
		err := call()
		refused, ok := errors.AsType[*RefusedError](err)
		if !ok || refused.Kind != "OOM" || refused.Hint == "" {
			t.Errorf("%s: %v", what, err)
		}
		if d := cmp.Diff(before, snapshot(b)); d != "" {
			t.Errorf("%s, refused, changed (-before +after):\n%s", what, d)
		}
	}
	// And with room again all goes on.
	if err := b.s.rdb.ConfigSet(b.ctx(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if f := b.finish(holder, j, true); f.Next != GotJob || f.Job.ID != "j4" {
		t.Errorf("%+v", f)
	}
}

func TestPassword(t *testing.T) {
	srv := realServer(t, "--requirepass", "secret")
	s := srv.open(t)
	_, err := s.Epoch(t.Context())
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Kind != "NOAUTH" || refused.Hint == "" {
		t.Error(err)
	}
	s = srv.open(t, func(o *Options) { o.Password = "wrong" })
	_, err = s.Epoch(t.Context())
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Kind != "WRONGPASS" {
		t.Error(err)
	}
	s = srv.open(t, func(o *Options) { o.Password = "secret" })
	if _, err := s.Epoch(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReplicaRefuses(t *testing.T) {
	b := newBed(t, realServer(t))
	if err := b.s.rdb.ReplicaOf(b.ctx(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := b.d.Accept(b.ctx(), 0, []Submission{{ID: "j", Type: "sh", Script: "x"}})
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Kind != "READONLY" || refused.Hint == "" {
		t.Error(err)
	}
}

// A Redis that hangs, or goes in mid-wait, is away; a Redis that comes back is found again.
func TestFrozenAndBack(t *testing.T) {
	t.Parallel()
	srv := realServer(t)
	b := newBed(t, srv)
	a := b.actor("p_1", "i1")
	if err := syscall.Kill(srv.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	_, err := a.Claim(b.ctx())
	took := time.Since(from)
	if err := syscall.Kill(srv.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, ErrAway) || took < readTimeout-100*time.Millisecond || took > 2*readTimeout {
		t.Errorf("%v after %v", err, took)
	}
	b.wantCode(b.claim(a).Code, Idle) // whether the first was executed or not
	got := make(chan error, 1)
	go func() { _, err := a.WaitWake(b.ctx(), time.Hour); got <- err }()
	blocked(b, 1)
	if err := syscall.Kill(srv.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, ErrAway) {
		t.Error(err)
	}
}

func TestCheckServer(t *testing.T) {
	t.Parallel()
	b := newBed(t, realServer(t))
	srv := must[Server](b)(b.s.CheckServer(b.ctx()))
	if srv.Version == "" || srv.Policy != "noeviction" || srv.AppendOnly != "no" || len(srv.Findings) != 1 || srv.Findings[0].Code != "persistence" {
		t.Errorf("%+v", srv)
	}
	b.s.rdb.ConfigSet(b.ctx(), "maxmemory-policy", "allkeys-lru")
	b.s.rdb.ConfigSet(b.ctx(), "appendonly", "yes")
	srv = must[Server](b)(b.s.CheckServer(b.ctx()))
	if len(srv.Findings) != 1 || srv.Findings[0].Code != "eviction" || !srv.Findings[0].Bad {
		t.Errorf("%+v", srv)
	}
	mini := newBed(t, miniServer(t))
	if srv := must[Server](b)(mini.s.CheckServer(b.ctx())); len(srv.Findings) > 0 {
		t.Errorf("%+v", srv)
	}
	for version, bad := range map[string]bool{"6.0.16": true, "5.0.1": true, "6.2.0": false, "7.2.4": false, "": false, "8.0.0": false} {
		if got := len(Server{Version: version, AppendOnly: "yes"}.judge()) > 0; got != bad {
			t.Errorf("version %q judged bad: %v", version, got)
		}
	}
}

// A Redis whose clock is off by more than a moment is told so, by how much and what that does.
func TestCheckServerLooksAtTheClock(t *testing.T) {
	t.Parallel()
	srv := miniServer(t)
	b := newBed(t, srv)
	for by, want := range map[time.Duration]string{
		3 * time.Second: "", -3 * time.Second: "",
		20 * time.Second:                  "redis' clock is 20s ahead of this machine's: delayed jobs begin, and start-by times pass, that much too early",
		-(3*time.Minute + 14*time.Second): "redis' clock is 3m0s behind this machine's: delayed jobs begin, and start-by times pass, that much too late",
	} {
		srv.mini.SetTime(time.Now().Add(by))
		found := must[Server](b)(b.s.CheckServer(b.ctx())).Findings
		switch {
		case want == "" && len(found) > 0:
			t.Errorf("%v off: %+v", by, found)
		case want != "" && (len(found) != 1 || found[0].Code != FindingClock || !found[0].Bad || found[0].Text != want || found[0].Hint == ""):
			t.Errorf("%v off: %+v", by, found)
		}
	}
}
