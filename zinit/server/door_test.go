package server_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herosup/zinit"
	"herosup/zinit/wire"
	"herosup/zinit/zinittest"

	"golang.org/x/sys/unix"
)

func dial(t testing.TB, s *zinittest.Server) net.Conn {
	t.Helper()
	c, err := wire.Dial(t.Context(), s.Socket)
	ok(t, err)
	t.Cleanup(func() { _ = c.Close() })
	ok(t, c.SetDeadline(time.Now().Add(zinittest.Patience)))
	return c
}

func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	_, err := c.Write([]byte(text))
	ok(t, err)
}

// Half messages, garbage and clients that do not read stall nobody else.
func TestBadClientsStallNobody(t *testing.T) {
	s := zinittest.Start(t)
	say(t, dial(t, s), `{"jsonrpc":"2.0","id":1,"meth`)
	say(t, dial(t, s), "status with no end of its line")
	garbage := dial(t, s)
	say(t, garbage, `{"jsonrpc":"2.0","id":8,"method":"service_list"}`+"list\nstatus x\n")
	deaf := dial(t, s)
	// It reads nothing: after some answers its socket is full, and after some
	// more calls nothing of it is read either.
	go func() {
		for range 10_000 {
			if _, err := deaf.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}`)); err != nil {
				return // the end of the test closes it
			}
		}
	}()
	_, err := s.Client(t).List(t.Context()) // waits for two seconds
	ok(t, err)
	scan := wire.NewScanner(garbage)
	refused := 0
	for range 3 { // the call's answer is in no order with them
		msg, err := scan.Next()
		ok(t, err)
		refused += strings.Count(string(msg), "-32700")
	}
	if refused != 2 {
		t.Errorf("two lines of garbage were refused %d times", refused)
	}
	say(t, garbage, `{"jsonrpc":"2.0","id":9,"method":"service_list"}`)
	msg, err := scan.Next()
	ok(t, err)
	if !strings.Contains(string(msg), `"id":9`) {
		t.Errorf("after garbage: %s", msg)
	}
}

// Who closes his side after his call is answered all the same, also when that takes a while. Who closes altogether is let go.
func TestHalfClose(t *testing.T) {
	s := zinittest.Start(t)
	good := s.Client(t)
	for name, timeout := range map[string]time.Duration{"deaf": 300 * time.Millisecond, "stuck": time.Hour} {
		svc := zinittest.Child(t, "ignore", "SIGTERM")
		svc.StopTimeout, svc.ShutdownTimeout = timeout, time.Second
		up(t, good, name, svc)
		awaitLine(t, good, name, is("ready"))
	}
	c := dial(t, s)
	say(t, c, `{"jsonrpc":"2.0","id":7,"method":"service_stop","params":["deaf"]}`)
	ok(t, c.(*net.UnixConn).CloseWrite())
	msg, err := io.ReadAll(c)
	ok(t, err)
	if !strings.Contains(string(msg), `"id":7,"result"`) {
		t.Errorf("answered %q", msg)
	}

	before := s.Descriptors(t)
	gone := dial(t, s)
	say(t, gone, `{"jsonrpc":"2.0","id":8,"method":"service_stop","params":["stuck"]}`)
	awaitState(t, good, "stuck", func(s zinit.Status) bool { return s.Target == zinit.Down })
	ok(t, gone.(*net.UnixConn).CloseWrite())
	ok(t, gone.Close())
	zinittest.Eventually(t, "the connection is let go", func() error {
		if n := s.Descriptors(t); n > before {
			return fmt.Errorf("%d descriptors, %d before", n, before)
		}
		return nil
	})
}

// A message without end is cut off where the bound is.
func TestEndlessMessage(t *testing.T) {
	s := zinittest.Start(t)
	c := dial(t, s)
	say(t, c, `{"jsonrpc":"2.0","id":1,"method":"`)
	chunk := strings.Repeat("x", 1<<20)
	var err error
	for range 12 {
		if _, err = c.Write([]byte(chunk)); err != nil {
			break // cut off already
		}
	}
	msg, nextErr := wire.NewScanner(c).Next()
	if nextErr == nil && !strings.Contains(string(msg), "too long") {
		t.Errorf("answered %s", msg)
	}
	if nextErr != nil && err == nil {
		t.Errorf("neither answered nor cut off: %v", nextErr)
	}
	if got := residentMiB(t, s.PID()); got > 200 {
		t.Errorf("the server uses %d MiB", got)
	}
}

// So is a command of the text dialect without end.
func TestEndlessCommand(t *testing.T) {
	s := zinittest.Start(t)
	c := dial(t, s)
	_, err := c.Write([]byte(strings.Repeat("x", 4*wire.MaxLine)))
	msg, nextErr := wire.NewScanner(c).Next()
	if nextErr == nil && !strings.Contains(string(msg), "too long") {
		t.Errorf("answered %s", msg)
	}
	if nextErr != nil && err == nil {
		t.Errorf("neither answered nor cut off: %v", nextErr)
	}
}

// One connection too many is told so, and there is room again when one goes.
func TestConnectionsAreBounded(t *testing.T) {
	s := zinittest.Start(t)
	const most = 2000
	var open []net.Conn
	for range most {
		open = append(open, dial(t, s))
	}
	// Those before are served: connections are taken in their order.
	say(t, open[most-1], list)
	_, err := wire.NewScanner(open[most-1]).Next()
	ok(t, err)
	msg, err := wire.NewScanner(dial(t, s)).Next()
	ok(t, err)
	if !strings.Contains(string(msg), "too many connections (2000)") {
		t.Errorf("connection %d: %s", most+1, msg)
	}
	ok(t, open[0].Close())
	zinittest.Eventually(t, "room for one", func() error {
		c := dial(t, s)
		// Still full: the server may have turned this one away before the request
		// is written.
		if _, err := c.Write([]byte(list + "\n")); err != nil {
			return err
		}
		msg, err := wire.NewScanner(c).Next()
		if err == nil && !strings.Contains(string(msg), `"result"`) {
			err = net.ErrClosed
		}
		return err
	})
}

const list = `{"jsonrpc":"2.0","id":1,"method":"service_list"}`

// A thousand clients at once, of all kinds: those that ask are answered, and
// when all have gone nothing of them is left.
func TestAThousandClients(t *testing.T) {
	s := zinittest.Start(t)
	good := s.Client(t)
	_, err := good.List(t.Context())
	ok(t, err)
	keeper := onlyChild(t, s.PID())
	files, routines := s.Descriptors(t), s.Goroutines(t)

	brackets := strings.Repeat("[", 1<<20) // with those of a hundred there is more than may be read at a time
	var clients []net.Conn
	var refused atomic.Int64
	var others sync.WaitGroup
	for i := range 1000 {
		c := dial(t, s)
		clients = append(clients, c)
		others.Go(func() {
			switch i % 10 {
			case 0:
				if _, err := c.Write([]byte(brackets)); err != nil {
					refused.Add(1)
				}
			case 1, 2, 3:
				_, _ = c.Write([]byte(`{"jsonrpc":"2.0","id":1,"meth`))
			case 4, 5, 6:
				scan := wire.NewScanner(c)
				for range 20 {
					if _, err := c.Write([]byte(list)); err != nil {
						t.Errorf("client %d: %v", i, err)
					}
					if msg, err := scan.Next(); err != nil || !strings.Contains(string(msg), `"result"`) {
						t.Errorf("client %d: %s, %v", i, msg, err)
					}
				}
			default: // silent
			}
		})
	}
	// Beside them, while most hold their connections with nothing or half a message: nobody waits for those.
	up(t, good, "a", zinit.Service{Exec: []string{"sleep", "1000"}})
	ok(t, good.Stop(t.Context(), "a"))
	others.Wait()
	if refused.Load() == 0 {
		t.Error("a hundred messages of a mebibyte without an end were all taken")
	}
	if got := residentMiB(t, s.PID()); got > 200 {
		t.Errorf("the server uses %d MiB", got)
	}
	for _, c := range clients {
		ok(t, c.Close())
	}
	zinittest.Eventually(t, "all are forgotten", func() error {
		if f, g := s.Descriptors(t), s.Goroutines(t); f > files+1 || g > routines {
			return fmt.Errorf("%d descriptors, were %d; %d goroutines, were %d", f, files, g, routines)
		}
		return nil
	})
	if now := onlyChild(t, s.PID()); now != keeper {
		t.Errorf("the keeper was %d and is %d", keeper, now)
	}
	// What was held for long messages is free again.
	c := dial(t, s)
	say(t, c, brackets+strings.Repeat("]", 1<<20))
	msg, err := wire.NewScanner(c).Next()
	ok(t, err)
	if !strings.Contains(string(msg), "-32700") {
		t.Errorf("a tower of brackets is answered %.100s", msg)
	}
}

// Somebody else's process is not served, whatever the socket's mode says by now.
func TestPeerIsChecked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT ROOT: no other user to be")
	}
	s := zinittest.Start(t)
	ok(t, os.Chmod(s.Socket, 0o666)) //nolint:gosec // the point of it
	said := make(chan string, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread is somebody else from here on
		const nobody = 65534
		// By an open folder, so that it does not matter whether he may enter it.
		dir, err := unix.Open(filepath.Dir(s.Socket), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			said <- err.Error()
			return
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			said <- errno.Error()
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/task/%d/fd/%d/%s", unix.Gettid(), dir, filepath.Base(s.Socket))})
		}
		if err != nil {
			said <- err.Error()
			return
		}
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
		b := make([]byte, 4096)
		n, err := unix.Read(fd, b)
		_, _ = unix.Close(fd), unix.Close(dir)
		said <- fmt.Sprint(string(b[:max(n, 0)]), err)
	}()
	if got := <-said; !strings.Contains(got, "user 65534 (PID ") || !strings.Contains(got, "may not use the socket of user 0") {
		t.Errorf("another user is answered %q", got)
	}
}

// There is no HTTP door, and the machine is left alone.
func TestRefusedMethods(t *testing.T) {
	s := zinittest.Start(t)
	c := dial(t, s)
	scan := wire.NewScanner(c)
	for _, method := range []string{"system_start_http_server", "system_stop_http_server"} {
		say(t, c, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"address":"127.0.0.1:1"}}`)
		msg, err := scan.Next()
		ok(t, err)
		if !strings.Contains(string(msg), "no HTTP door") {
			t.Errorf("%s: %s", method, msg)
		}
	}
	say(t, c, `{"jsonrpc":"2.0","id":1,"method":"service_create","params":["x",{"oneshot":true}]}`)
	msg, err := scan.Next()
	ok(t, err)
	if !strings.Contains(string(msg), "-32005") || !strings.Contains(string(msg), "no program") {
		t.Errorf("content that could not be loaded: %s", msg)
	}
	say(t, c, `{"jsonrpc":"2.0","id":1,"method":"system_reboot"}`)
	msg, err = scan.Next()
	ok(t, err)
	if !strings.Contains(string(msg), `"result":null`) {
		t.Errorf("reboot: %s", msg)
	}
	s.Wait(t)
}

// A socket whose name somebody removed is made again: who is connected stays so, and others come in.
func TestARemovedSocketIsMadeAgain(t *testing.T) {
	s := zinittest.Start(t)
	up(t, s.Client(t), "svc", zinit.Service{Exec: []string{"sleep", "1000"}})
	before := dial(t, s)
	ok(t, os.Remove(s.Socket))
	if c, err := wire.Dial(t.Context(), s.Socket); err == nil {
		_ = c.Close()
		t.Fatal("it answers under a name that is gone")
	}
	zinittest.Eventually(t, "the socket is there", func() error {
		c, err := wire.Dial(t.Context(), s.Socket)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	fi, err := os.Stat(s.Socket)
	ok(t, err)
	if fi.Mode().Perm() != 0o600 {
		t.Errorf("made with mode %v", fi.Mode())
	}
	awaitState(t, s.Client(t), "svc", running)
	say(t, before, `{"jsonrpc":"2.0","id":1,"method":"service_list"}`)
	if msg, err := wire.NewScanner(before).Next(); err != nil || !strings.Contains(string(msg), "svc") {
		t.Errorf("who was in before gets %s, %v", msg, err)
	}
}

// What somebody put in the place of a removed socket is his, also at the end.
func TestAFileInThePlaceOfTheSocketStays(t *testing.T) {
	s := zinittest.Start(t)
	ok(t, os.Remove(s.Socket))
	ok(t, os.WriteFile(s.Socket, []byte("mine"), 0o600))
	s.Stop(t)
	if text, err := os.ReadFile(s.Socket); err != nil || string(text) != "mine" {
		t.Errorf("%q %v", text, err)
	}
}

// Sockets that are made again and again leave no descriptor open.
func TestSocketsThatAreMadeAgainAreClosed(t *testing.T) {
	s := zinittest.Start(t)
	again := func() {
		ok(t, os.Remove(s.Socket))
		zinittest.Eventually(t, "the socket is there", func() error {
			c, err := wire.Dial(t.Context(), s.Socket)
			if err == nil {
				_ = c.Close()
			}
			return err
		})
	}
	again()
	before := s.Descriptors(t)
	again()
	again()
	zinittest.Eventually(t, "as many descriptors", func() error {
		if n := s.Descriptors(t); n > before {
			return fmt.Errorf("%d, had %d", n, before)
		}
		return nil
	})
}
