package redistest

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Patience bounds each wait for something that takes milliseconds.
const Patience = 30 * time.Second

// Have skips a test where redis-server is missing; the suites fail for it when HEROSUP_REQUIRE names redis.
func Have(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not on PATH")
	}
}

// Server is one redis-server process, or one after the other in the same folder and on the same port.
type Server struct {
	Port int
	Dir  string
	t    testing.TB
	args []string
	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{}
}

// Start runs one on a port of its own. Without more arguments it keeps nothing on disk.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	Have(t)
	dir, err := os.MkdirTemp("", "hr")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Port: freePort(t), Dir: dir, t: t}
	s.args = append([]string{"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no"}, args...)
	t.Cleanup(func() { s.Kill(); _ = os.RemoveAll(dir) })
	s.Boot()
	return s
}

// Addr is its host and port, URL the same as a URL.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL reaches it.
func (s *Server) URL() string { return "redis://" + s.Addr() + "/0" }

// Boot starts it, and returns when it answers.
func (s *Server) Boot() {
	s.t.Helper()
	cmd := exec.Command("redis-server", s.args...)
	if len(s.args) > 0 && strings.HasSuffix(s.args[0], "sentinel.conf") {
		cmd = exec.Command("redis-server", append(s.args, "--sentinel")...)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	begun, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		runtime.LockOSThread() // the parent-death signal is about the thread
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		begun <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-begun; err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.cmd, s.gone = cmd, gone
	s.mu.Unlock()
	c := s.Client()
	defer c.Close()
	Until(s.t, "redis-server answers", func() bool {
		select {
		case <-gone:
			text, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			s.t.Fatalf("redis-server ended:\n%s", text)
		default:
		}
		probe, err := net.Dial("tcp", s.Addr()) // go-redis would print each refusal
		if err != nil {
			return false
		}
		_ = probe.Close()
		return c.Ping(context.Background()).Err() == nil
	})
}

// Client is one for the test itself; close it.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr(), DisableIdentity: true, MaxRetries: -1, DialerRetries: 1})
}

// Kill is SIGKILL, and waits for the end.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		<-s.gone
	}
	s.cmd = nil
}

// Freeze is SIGSTOP, Thaw is SIGCONT.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Until asks again each few milliseconds: what happens in another process tells nobody.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not so after %s: %s", Patience, what)
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener's
}

// copyFile is for a server that comes back with an older state.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

// Snapshot saves a copy of what it has now, where a start does not find it.
func (s *Server) Snapshot() {
	s.t.Helper()
	c := s.Client()
	defer c.Close()
	if err := c.Save(context.Background()).Err(); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.Dir, "dump.rdb"), filepath.Join(s.Dir, "old.rdb")); err != nil {
		s.t.Fatal(err)
	}
}

// Restore is a kill and a start with what Snapshot saved: the older copy.
func (s *Server) Restore() {
	s.t.Helper()
	s.Kill()
	copyFile(s.t, filepath.Join(s.Dir, "old.rdb"), filepath.Join(s.Dir, "dump.rdb"))
	s.Boot()
}
