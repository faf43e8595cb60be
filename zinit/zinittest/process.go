package zinittest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/zinit"
)

const readyLine = "ready"

// Patience is how long a test waits for what should happen soon. It is only
// ever used up by a failure.
const Patience = 20 * time.Second

// Server is our server in a process of its own.
type Server struct {
	// Dir holds its service files, Socket is where it answers.
	Dir, Socket string
	cmd         *exec.Cmd
	input       io.Closer // held open for as long as the test lives
	exited      chan struct{}
}

// Start runs our server over a new folder until the end of the test.
func Start(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	return StartIn(t, dir, filepath.Join(dir, "z.sock"))
}

// StartIn runs our server over dir, answering on socket.
func StartIn(t testing.TB, dir, socket string) *Server {
	t.Helper()
	s, err := TryStart(t, dir, socket)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TryStart is StartIn for a server that may refuse; the error is what it said.
// At the end of the test the server is asked to end, and then everything in it
// must be gone.
func TryStart(t testing.TB, dir, socket string) (*Server, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Dir: dir, Socket: socket, exited: make(chan struct{})}
	s.cmd = exec.Command(exe)
	s.cmd.Env = append(os.Environ(), roleVar+"="+roleServer, dirVar+"="+dir, socketVar+"="+socket)
	s.cmd.Stderr = &testLog{t: t}
	// A leftover that holds the pipe must not hold up Wait.
	s.cmd.WaitDelay = time.Second
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	if said = strings.TrimSpace(said); said != readyLine {
		<-s.exited
		return nil, errors.New(said)
	}
	t.Cleanup(func() { s.Stop(t) })
	return s, err
}

// PID is the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Goroutines is how many the server has.
func (s *Server) Goroutines(t testing.TB) (n int) {
	t.Helper()
	file := filepath.Join(s.Dir, goroutinesFile)
	_ = os.Remove(file)
	_ = s.cmd.Process.Signal(syscall.SIGUSR2)
	Eventually(t, "the number of goroutines", func() error {
		b, err := os.ReadFile(file)
		if err == nil {
			_, err = fmt.Sscanln(string(b), &n)
		}
		return err
	})
	return n
}

// Descriptors is how many files the server has open.
func (s *Server) Descriptors(t testing.TB) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// Stop asks the server to end, and waits until it has.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.Wait(t)
}

// Kill ends the server with SIGKILL: its services live on.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	_ = s.cmd.Process.Kill()
	s.Wait(t)
}

// Wait waits for the end of the server.
func (s *Server) Wait(t testing.TB) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(Patience):
		_ = s.cmd.Process.Kill()
		t.Fatalf("the server does not end")
	}
}

// Client is a client of the server, closed at the end of the test.
func (s *Server) Client(t testing.TB) *zinit.Client { return Dial(t, s.Socket) }

// Dial is a client of whoever answers at socket, closed at the end of the test.
func Dial(t testing.TB, socket string) *zinit.Client {
	t.Helper()
	return dial(t, socket, zinit.Options{Timeout: Patience})
}

func dial(t testing.TB, socket string, o zinit.Options) *zinit.Client {
	t.Helper()
	c, err := zinit.Dial(t.Context(), socket, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Eventually waits until f returns nil. It is for what has no event to wait for.
func Eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	const every = 2 * time.Millisecond
	end := time.After(Patience)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-end:
			t.Fatalf("waited %s in vain: %s: %v", Patience, what, err)
		case <-time.After(every):
		}
	}
}

// testLog shows what a process says on its standard error with a failed test.
type testLog struct{ t testing.TB }

func (l *testLog) Write(b []byte) (int, error) {
	defer func() { _ = recover() }() // the test may be over already
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// NewName is a service name that no other test has.
func NewName(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%s-%d", name[:min(len(name), 80)], time.Now().UnixNano()%1e6)
}
