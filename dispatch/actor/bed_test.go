package actor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"herosup/dispatch/store"
)

const soon = 30 * time.Second // bounds waits that end at once when all is well

// bed is a Redis with the daemon's side, and the facts read so far.
type bed struct {
	*testing.T
	url   string
	s     *store.Store
	d     *store.Daemon
	epoch uint64
	seq   uint64
	facts []store.Fact
	last  string
	logs  logs
	hurry bool
}

func newBed(t *testing.T, srv server) *bed {
	b := &bed{T: t, url: srv.url, s: open(t, srv.url), last: "0-0"}
	b.raise(1)
	return b
}

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{URL: url}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (b *bed) raise(epoch uint64) {
	b.Helper()
	patient(b, func() (store.Code, error) {
		code, _, err := b.s.RaiseEpoch(b.Context(), epoch)
		return code, err
	})
	b.epoch, b.d, b.last, b.facts = epoch, b.s.Daemon(epoch), "0-0", nil
}

// accept puts a job into Redis as the daemon does.
func (b *bed) accept(sub store.Submission) string {
	b.Helper()
	b.seq++
	if sub.ID == "" {
		sub.ID = fmt.Sprintf("job-%d", b.seq)
	}
	if sub.Type == "" {
		sub.Type = "t"
	}
	sub.Sequence = b.seq
	got := patient(b, func() ([]store.Accepted, error) { return b.d.Accept(b.Context(), 0, []store.Submission{sub}) })
	if got[0].Code != store.OK && got[0].Code != store.Same { // Same: repeated
		b.Fatalf("accept %s: %v", sub.ID, got)
	}
	return sub.ID
}

func (b *bed) script(text string) string {
	b.Helper()
	return b.accept(store.Submission{Script: text})
}

// await waits for a fact.
func (b *bed) await(what string, is func(store.Fact) bool) (found store.Fact) {
	b.Helper()
	seen := 0
	b.until(what, func() bool {
		for ; seen < len(b.facts); seen++ {
			if found = b.facts[seen]; is(found) {
				return true
			}
		}
		return false
	})
	return found
}

// until reads facts until something holds.
func (b *bed) until(what string, holds func() bool) {
	b.Helper()
	for end := time.Now().Add(soon); !holds(); {
		if time.Now().After(end) {
			b.Fatalf("no fact: %s; have %s; the actors' log:\n%s", what, b.kinds(), b.logs.String())
		}
		batch, err := b.s.ReadFacts(b.Context(), b.last, 200*time.Millisecond)
		if errors.Is(err, store.ErrAway) { // a test took it away
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		b.facts, b.last = append(b.facts, batch.Facts...), batch.Last
	}
}

func (b *bed) kinds() string {
	var k []string
	for _, f := range b.facts {
		k = append(k, string(f.Kind))
	}
	return strings.Join(k, " ")
}

func (b *bed) count(kind store.FactKind) (n int) {
	for _, f := range b.facts {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

func (b *bed) hello(name string) store.Fact {
	b.Helper()
	return b.await("hello of "+name, func(f store.Fact) bool { return f.Kind == store.FactHello && f.Actor == name })
}

func (b *bed) started(id string) store.Fact {
	b.Helper()
	return b.await("start of "+id, func(f store.Fact) bool { return f.Kind == store.FactStarted && f.Job == id })
}

// ended waits for a job's end and gives its record.
func (b *bed) ended(id string) store.Record {
	b.Helper()
	b.await("end of "+id, func(f store.Fact) bool { return f.Kind == store.FactEnded && f.Job == id })
	return b.record(id)
}

func (b *bed) record(id string) store.Record {
	b.Helper()
	return patient(b, func() (store.Record, error) { return b.s.Job(b.Context(), id) })
}

func (b *bed) ring(name string) {
	b.Helper()
	patient(b, func() (store.Code, error) { return b.d.Ring(b.Context(), name) })
}

func (b *bed) ping(name, nonce string) {
	b.Helper()
	if code := patient(b, func() (store.Code, error) { return b.d.Ping(b.Context(), name, nonce) }); code != store.OK {
		b.Fatalf("ping: %s", code)
	}
}

func (b *bed) gate(turn func(context.Context, string) (store.Gate, error), name string) {
	b.Helper()
	if g := patient(b, func() (store.Gate, error) { return turn(b.Context(), name) }); g.Code != store.OK {
		b.Fatalf("gate: %+v", g)
	}
}

// recover takes the one job of an incarnation back.
func (b *bed) recover(inc string, interrupted bool) store.Recovered {
	b.Helper()
	rec := patient(b, func() (store.Recovered, error) { return b.d.Recover(b.Context(), inc, interrupted, 3) })
	if rec.Code != store.OK || len(rec.Jobs) != 1 {
		b.Fatalf("recover: %+v", rec)
	}
	return rec
}

// patient is the test's own end of the store on a machine that has other work: every call may be repeated.
func patient[T any](b *bed, call func() (T, error)) T {
	b.Helper()
	for until := time.Now().Add(soon); ; {
		v, err := call()
		if err == nil {
			return v
		}
		if !errors.Is(err, store.ErrAway) || time.Now().After(until) {
			b.Fatal(err)
		}
	}
}

// running is one actor under test.
type running struct {
	stop context.CancelFunc
	done chan error
}

// endGrace is short only where a test is about it.
func (b *bed) endGrace() time.Duration {
	if b.hurry {
		return 50 * time.Millisecond
	}
	return endGrace
}

// end stops it and gives what it returned.
func (r running) end(b *bed) error {
	b.Helper()
	r.stop()
	return r.ended(b)
}

func (r running) ended(b *bed) error {
	b.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(soon):
		b.Fatalf("the actor does not end; its log:\n%s", b.logs.String())
		return nil
	}
}

// start runs an actor with a store and connections of its own. breaks wraps its side of the store.
func (b *bed) start(name string, h Handler, change func(*Config), breaks func(side) side) running {
	b.Helper()
	cfg := Config{Store: open(b.T, b.url), Name: name, Type: "t", Handler: h, Log: slog.New(slog.NewTextHandler(&b.logs, nil))}
	if change != nil {
		change(&cfg)
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	redis, err := cfg.Store.Actor(name, cfg.Type, "00000000-1-"+fmt.Sprint(time.Now().UnixNano()))
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(redis.SetSlots(cfg.Concurrency), redis.Serve(cfg.Types)); err != nil {
		b.Fatal(err)
	}
	var s side = redis
	if breaks != nil {
		s = breaks(redis)
	}
	ctx, stop := context.WithCancel(b.Context())
	r := running{stop: stop, done: make(chan error, 1)}
	go func() { r.done <- run(ctx, cfg, s, b.endGrace()) }()
	b.Cleanup(func() { _ = r.end(b) })
	return r
}

// recv is a receive that fails instead of hanging.
func recv[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(soon):
		t.Fatal("what the test waits for does not come")
	}
	return v
}

// echo is a handler that says what it was given.
func echo(_ context.Context, j Job) Outcome { return Outcome{Output: "did " + j.Script, ExitCode: "0"} }

// logs is a log that several actors write to.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// soonest gives a deadline to look at.
func soonest() (over func() bool) {
	until := time.Now().Add(soon)
	return func() bool { return time.Now().After(until) }
}
