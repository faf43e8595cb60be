package store

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// The suite runs on both servers we support. Where redis-server is missing the run says so
// in its last line, and fails if HEROSUP_REQUIRE names redis.
func TestMain(m *testing.M) {
	_, missing := exec.LookPath("redis-server")
	if missing != nil && required("redis") {
		fmt.Fprintln(os.Stderr, "FAIL dispatch/store: redis-server is not on PATH and HEROSUP_REQUIRE names redis")
		os.Exit(1)
	}
	flag.Parse()
	if f := flag.Lookup("rapid.steps"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("60") // an interleaving needs room: a job's whole way is five steps
	}
	goleak.VerifyTestMain(m,
		// go-redis looks for a lost server once a second from a goroutine that sees its client's Close
		// only after that second.
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
		goleak.Cleanup(func(code int) {
			if missing != nil {
				fmt.Fprintln(os.Stderr, "dispatch/store: redis-server is not on PATH: tested on miniredis only")
			}
			os.Exit(code)
		}))
}

func required(tool string) bool {
	for name := range strings.SplitSeq(os.Getenv("HEROSUP_REQUIRE"), ",") {
		if strings.TrimSpace(name) == tool {
			return true
		}
	}
	return false
}

// server is one Redis for a test.
type server struct {
	name string // real, mini
	url  string
	mini *miniredis.Miniredis // nil for real
	pid  int                  // 0 for mini
}

// eachServer runs a test on the real Redis and on miniredis.
func eachServer(t *testing.T, f func(t *testing.T, srv *server)) {
	t.Helper()
	t.Run("real", func(t *testing.T) { f(t, realServer(t)) })
	t.Run("mini", func(t *testing.T) { f(t, miniServer(t)) })
}

func miniServer(t testing.TB) *server {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return &server{name: "mini", url: "redis://" + m.Addr() + "?read_timeout=30s", mini: m} // it is slow under the race detector
}

func realServer(t testing.TB, more ...string) *server {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not on PATH: not tested on a real Redis")
	}
	dir, err := os.MkdirTemp("", "hs") // not t.TempDir: a long test name would pass the 108 bytes of a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	sock := filepath.Join(dir, "r.sock")
	cmd := exec.CommandContext(t.Context(), bin, append([]string{
		"--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "", "--appendonly", "no",
	}, more...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		runtime.LockOSThread() // Pdeathsig is about the thread
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			ready <- err
			return
		}
		var said strings.Builder
		for sc := bufio.NewScanner(io.TeeReader(out, &said)); sc.Scan(); {
			if strings.Contains(sc.Text(), "eady to accept connections") {
				ready <- nil
				_, _ = io.Copy(io.Discard, out)
			}
		}
		select {
		case ready <- fmt.Errorf("redis-server ended: %s", said.String()):
		default:
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { <-gone }) // t.Context has ended by then, which killed it
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	return &server{name: "real", url: "unix://" + sock, pid: cmd.Process.Pid}
}

func (srv *server) open(t testing.TB, more ...func(*Options)) *Store {
	t.Helper()
	o := Options{URL: srv.url}
	for _, m := range more {
		m(&o)
	}
	s, err := Open(o, discard)
	if err != nil {
		t.Fatal(err)
	}
	s.jitter = func() float64 { return 0 } // pauses are none, unless a test draws them
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// bench is a store with epoch 1 and its daemon.
type bed struct {
	*testing.T
	srv *server
	s   *Store
	d   *Daemon
}

func newBed(t *testing.T, srv *server) *bed {
	t.Helper()
	return newBedOn(t, srv, srv.open(t))
}

func newBedOn(t *testing.T, srv *server, s *Store) *bed {
	t.Helper()
	if err := s.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.RaiseEpoch(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	return &bed{T: t, srv: srv, s: s, d: s.Daemon(1)}
}

// eachBed gives every case its own empty Redis state on each server.
func eachBed(t *testing.T, cases map[string]func(b *bed)) {
	eachServer(t, func(t *testing.T, srv *server) {
		for name, f := range cases {
			t.Run(name, func(t *testing.T) { f(newBed(t, srv)) })
		}
	})
}

// ended reads the oldest entries of the list; the fact that it names is the newest there is.
func (b *bed) ended(limit int) []EndedEntry {
	b.Helper()
	es, fact, err := b.d.Ended(b.ctx(), limit)
	if last, lastErr := b.d.s.LastFact(b.ctx()); err != nil || lastErr != nil || fact != last {
		b.Fatalf("ended: %v %v, fact %s of %s", err, lastErr, fact, last)
	}
	return es
}

func must[T any](b *bed) func(v T, err error) T {
	return func(v T, err error) T {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
}

func (b *bed) ctx() context.Context { return b.Context() }

// actor registers an actor of type "sh" and claims as its incarnation.
func (b *bed) actor(name, inc string) *Actor {
	b.Helper()
	a := must[*Actor](b)(b.s.Actor(name, "sh", inc))
	if h := must[Hello](b)(a.Hello(b.ctx())); h.Code != OK {
		b.Fatalf("hello of %s: %s", name, h.Code)
	}
	return a
}

func (b *bed) accept(jobs ...Submission) []Accepted {
	b.Helper()
	return must[[]Accepted](b)(b.d.Accept(b.ctx(), 0, jobs))
}

// job accepts one job of type "sh".
func (b *bed) job(id string, seq uint64) Accepted {
	b.Helper()
	return b.accept(Submission{ID: id, Type: "sh", Script: "echo " + id, Sequence: seq})[0]
}

func (b *bed) claim(a *Actor) ClaimResult {
	b.Helper()
	return must[ClaimResult](b)(a.Claim(b.ctx()))
}

// take claims and wants a job.
func (b *bed) take(a *Actor) Claimed {
	b.Helper()
	r := b.claim(a)
	if r.Code != GotJob {
		b.Fatalf("claim: %s, want a job", r.Code)
	}
	return *r.Job
}

func (b *bed) finish(a *Actor, j Claimed, next bool) FinishResult {
	b.Helper()
	return must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Output: "out of " + j.ID}, next))
}

func (b *bed) record(id string) Record {
	b.Helper()
	return must[Record](b)(b.s.Job(b.ctx(), id))
}

// kinds are the kinds of all facts so far.
func (b *bed) kinds() string {
	b.Helper()
	var out []string
	for _, f := range must[FactBatch](b)(b.s.ReadFacts(b.ctx(), noFact, 0)).Facts {
		out = append(out, string(f.Kind))
	}
	return strings.Join(out, " ")
}

func (b *bed) lastFact() Fact {
	b.Helper()
	fs := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), noFact, 0)).Facts
	if len(fs) == 0 {
		b.Fatal("no facts")
	}
	return fs[len(fs)-1]
}

func (b *bed) list(k key) []string {
	b.Helper()
	return must[[]string](b)(b.s.rdb.LRange(b.ctx(), k.name, 0, -1).Result())
}

func (b *bed) wantCode(got, want Code) {
	b.Helper()
	if got != want {
		b.Errorf("code %s, want %s", got, want)
	}
}

var discard = slog.New(slog.DiscardHandler)

const soon = 5 * time.Second // bounds waits that end at once when all is well

type zType = redis.Z

func z(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }

// push does what an original supervisor does: a record of these fields, if any, then the id.
func (b *bed) push(id string, fields ...any) {
	b.Helper()
	if len(fields) > 0 {
		b.s.rdb.HSet(b.ctx(), b.s.keys.job(id).name, fields...)
	}
	if err := b.s.rdb.LPush(b.ctx(), b.s.keys.queue("sh").name, id).Err(); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) ttl(name string) time.Duration {
	b.Helper()
	return must[time.Duration](b)(b.s.rdb.TTL(b.ctx(), name).Result())
}

// raise raises the epoch and the bed's daemon with it.
func raise(b *bed, to uint64) (uint64, error) {
	_, epoch, err := b.s.RaiseEpoch(b.ctx(), to)
	b.d = b.s.Daemon(to)
	return epoch, err
}

// renew renews one job.
func (b *bed) renew(a *Actor, j Claimed) Code {
	b.Helper()
	return must[[]Code](b)(a.Renew(b.ctx(), j))[0]
}

// next says in how long time brings something for these types.
func (b *bed) next(types ...string) (time.Duration, bool) {
	b.Helper()
	a := must[Ahead](b)(b.d.Ahead(b.ctx(), types))
	return a.In, !a.Next.IsZero()
}
