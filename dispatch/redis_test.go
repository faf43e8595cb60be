package dispatch

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"herosup/dispatch/store"
)

// redisServer is a Redis that a test may flush, kill and start again.
type redisServer struct {
	url string
	// direct is the URL of one server, where url is of Sentinels; "": the same.
	direct string
	stop   func() // real: SIGKILL
	boot   func() // start again, empty
	// options changes how stores are opened on it; may be nil.
	options func(*store.Options)
}

// eachRedis runs a test on the real Redis and on miniredis.
func eachRedis(t *testing.T, f func(t *testing.T, r *redisServer)) {
	t.Helper()
	t.Run("real", func(t *testing.T) {
		if _, err := exec.LookPath("redis-server"); err != nil {
			t.Skip("redis-server is not on PATH; the run's last line says so")
		}
		f(t, realRedis(t))
	})
	t.Run("mini", func(t *testing.T) { f(t, miniRedis(t)) })
}

func miniRedis(t testing.TB) *redisServer {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	addr := m.Addr()
	r := &redisServer{url: "redis://" + addr, stop: m.Close}
	r.boot = func() { // a new one: after miniredis' own Restart blocking commands get no answer
		m := miniredis.NewMiniRedis()
		if err := m.StartAddr(addr); err != nil {
			t.Fatal(err)
		}
		r.stop = m.Close
	}
	t.Cleanup(func() { r.stop() })
	return r
}

func realRedis(t testing.TB) *redisServer {
	t.Helper()
	// Not t.TempDir: a long test name would pass the 108 bytes of a socket's path.
	dir, err := os.MkdirTemp("", "hd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &redisServer{url: "unix://" + filepath.Join(dir, "r.sock")}
	r.boot = func() { r.stop = startRedis(t, dir) }
	r.boot()
	t.Cleanup(func() { r.stop() })
	return r
}

// startRedis returns when it accepts connections; the result kills it and waits.
func startRedis(t testing.TB, dir string) (stop func()) {
	t.Helper()
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", filepath.Join(dir, "r.sock"), "--dir", dir, "--save", "", "--appendonly", "no")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, gone := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(gone)
		runtime.LockOSThread() // Pdeathsig is about the thread
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			ready <- err.Error()
			return
		}
		var said strings.Builder
		for sc := bufio.NewScanner(io.TeeReader(out, &said)); sc.Scan(); {
			if strings.Contains(sc.Text(), "eady to accept connections") {
				ready <- ""
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		select {
		case ready <- "redis-server ended: " + said.String():
		default:
		}
		_ = cmd.Wait()
	}()
	if trouble := <-ready; trouble != "" {
		t.Fatal(trouble)
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			<-gone
		})
	}
}

func (r *redisServer) open(t testing.TB) *store.Store {
	t.Helper()
	o := store.Options{URL: r.url}
	if r.options != nil {
		r.options(&o)
	}
	s, err := store.Open(o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// testLog writes to the test's log, which is shown on failure only.
func testLog(t testing.TB) *slog.Logger {
	w := &logWriter{t: t}
	t.Cleanup(w.close)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type logWriter struct {
	mu sync.Mutex
	t  testing.TB
}

func (w *logWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Log(string(bytes.TrimSpace(b)))
	}
	return len(b), nil
}

func (w *logWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}
