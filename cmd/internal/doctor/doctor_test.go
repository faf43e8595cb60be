package doctor

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/state"
	"herosup/dispatch/redistest"
	"herosup/dispatch/runner"
)

func defaults(t *testing.T) config.Config {
	t.Helper()
	c, err := config.Load("", runner.Find)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// want looks for a finding, by its grade and a part of its text.
func want(t *testing.T, found []Finding, check string, g Grade, text string) {
	t.Helper()
	for _, f := range found {
		if f.Check == check && f.Grade == g && strings.Contains(f.Text, text) {
			if (f.Grade != OK) != (f.Hint != "") {
				t.Errorf("what is not ok has a hint, and nothing else: %+v", f)
			}
			return
		}
	}
	t.Errorf("no finding %s %s %q in %+v", g, check, text, found)
}

func TestNothingIsThereYet(t *testing.T) {
	found := Look(t.Context(), Subject{Config: defaults(t), Dir: filepath.Join(t.TempDir(), "a", "b")})
	want(t, found, "state folder", OK, "does not exist yet")
	want(t, found, "daemon", OK, "none runs")
	want(t, found, "nats", OK, "comes with the daemon")
}

// Each of these never answers, and the bound is all that ends the wait.
func TestWhatHangsIsAFinding(t *testing.T) {
	dir := t.TempDir()
	silent := filepath.Join(dir, "zinit.sock")
	for _, at := range []struct{ network, address string }{{"unix", silent}, {"tcp", "127.0.0.1:0"}} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), at.network, at.address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		at.address = l.Addr().String()
		c := defaults(t)
		check := "zinit"
		if at.network == "unix" {
			c.Zinit.Socket = silent
		} else {
			check, c.Redis.URL = "redis", "redis://"+at.address+"/0"
		}
		found := Look(t.Context(), Subject{Config: c, Dir: filepath.Join(dir, "state"), Bound: 100 * time.Millisecond})
		want(t, found, check, Bad, "")
		want(t, found, "open files", OK, "")
		if Well(found) {
			t.Error("it is called well")
		}
	}
}

func TestACheckThatIgnoresTheBoundIsLeftBehind(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	found := runAll(t.Context(), scene{Subject: Subject{Bound: time.Millisecond}}, []check{
		{"stuck", func(context.Context, scene, *what) { <-never }},
		{"quick", func(_ context.Context, _ scene, w *what) { w.ok("fine") }},
	})
	want(t, found, "stuck", Bad, "no answer within 1ms")
	want(t, found, "quick", OK, "fine")
}

// A real server with settings that lose jobs.
func TestRedisSettingsAreJudged(t *testing.T) {
	srv := redistest.Start(t, "--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
	c := defaults(t)
	c.Redis.URL = srv.URL()
	found := Look(t.Context(), Subject{Config: c, Dir: t.TempDir()})
	want(t, found, "redis", OK, "allkeys-lru, appendonly no) answers")
	want(t, found, "redis", Bad, "redis may throw jobs away")
	want(t, found, "redis", Note, "redis keeps nothing on disk")
}

func TestRedisThatIsNotThere(t *testing.T) {
	c := defaults(t)
	c.Redis.URL = "redis://:secret@127.0.0.1:1/0"
	found := Look(t.Context(), Subject{Config: c, Dir: t.TempDir()})
	want(t, found, "redis", Bad, "refused")
	for _, f := range found {
		if strings.Contains(f.Text, "secret") {
			t.Errorf("tells a password: %q", f.Text)
		}
	}
}

func TestFolderOfAnother(t *testing.T) {
	f, err := state.Make(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, Look(t.Context(), Subject{Config: defaults(t), Dir: f.Dir}), "state folder", OK, "can be written")
	if left, _ := filepath.Glob(f.Path(".doctor-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	// Not even root can make a folder below a file.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	found := Look(t.Context(), Subject{Config: defaults(t), Dir: filepath.Join(file, "s")})
	want(t, found, "state folder", Bad, "can not be made")
}

func TestADaemonThatIsNotReady(t *testing.T) {
	f, err := state.Make(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	lock, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release() //nolint:errcheck // the test is over
	want(t, Look(t.Context(), Subject{Config: defaults(t), Dir: f.Dir}), "daemon", Note, "is not ready")
}

func TestInterpreterOfAPoolIsMissing(t *testing.T) {
	c := defaults(t)
	limit := 1
	c.Pools = map[string]config.Pool{"mine": {Type: "mine", Interpreter: "no-such-program -", Max: &limit}}
	found := Look(t.Context(), Subject{Config: c, Dir: t.TempDir()})
	want(t, found, "interpreters", Bad, "pool mine: no-such-program is not on this machine's PATH")
	if _, here := runner.Find("v"); !here {
		want(t, found, "interpreters", Note, "v: v is not on the PATH")
	}
}

func TestAddressOfTheBusIsTaken(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := defaults(t)
	c.NATS.Listen = l.Addr().String()
	want(t, Look(t.Context(), Subject{Config: c, Dir: t.TempDir()}), "nats", Bad, "address already in use")
}

func TestJudgements(t *testing.T) {
	for name, x := range map[string]struct {
		judge func(*what)
		grade Grade
		text  string
	}{
		"files enough":  {func(w *what) { judgeFiles(w, 264, 1) }, OK, "at most 264; 1 actors may need 264"},
		"files too few": {func(w *what) { judgeFiles(w, 263, 1) }, Bad, "at most 263"},
		"group":         {func(w *what) { judgeCgroup(w, nil, []string{"a"}) }, OK, "hold"},
		"no group":      {func(w *what) { judgeCgroup(w, errors.New("none"), nil) }, Note, "no pool has any"},
		"no group, and a pool needs it": {
			func(w *what) { judgeCgroup(w, errors.New("none"), []string{"a", "b"}) },
			Bad, "do not hold (pools: a b)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &what{check: "c"}
			x.judge(w)
			want(t, w.found, "c", x.grade, x.text)
		})
	}
}
