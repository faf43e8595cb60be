package zinit_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/wire"
	"herosup/zinit/zinittest"
)

// silent listens on a socket, reads all and answers nothing, until end is called.
func silent(t *testing.T, socket string) (end func()) {
	t.Helper()
	return listen(t, socket, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

// listen has each connection to a socket served, until end is called.
func listen(t *testing.T, socket string, serve func(net.Conn)) (end func()) {
	t.Helper()
	_ = os.Remove(socket) // of one that was killed
	l, err := wire.Listen(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { serve(c) })
		}
	})
	end = sync.OnceFunc(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	t.Cleanup(end)
	return end
}

// A zinit that hangs is one that is away: told once, with the reason, and the actor
// that ran under the one before is there when another answers.
func TestExecutorOutlivesASilentZinit(t *testing.T) {
	b := newBed(t)
	b.options.Timeout = 200 * time.Millisecond
	b.execute()
	life := b.up()
	b.zinit.Kill(t) // its services live on
	end := silent(t, b.zinit.Socket)
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	if got := expect[events.ZinitLost](b); !strings.Contains(got.Reason, "deadline") || strings.Contains(got.Reason, "\n") {
		t.Errorf("lost: %+v", got)
	}
	if !life.Alive() {
		t.Error("the actor ended with its zinit")
	}
	end()
	b.zinit = zinittest.StartIn(t, b.zinit.Dir, b.zinit.Socket)
	_ = expect[events.ZinitBack](b)
	// The order that waited is obeyed now, over the one that has adopted the actor.
	if got := expect[events.ProcessExited](b, events.ProcessObserved{}); got.Incarnation != life || !got.ByUs {
		t.Errorf("exited: %+v, want %s", got, life)
	}
	b.gone()
}

// Ours understands text: a client that spoke it to the one before would do so for ever,
// without what text has no word for, and with the files in the folder that ours works in.
func TestClientFindsOursInThePlaceOfText(t *testing.T) {
	t.Chdir(t.TempDir()) // where ours will work
	for name, call := range map[string]func(*zinit.Client) error{
		"a file": func(c *zinit.Client) error { return c.Create(t.Context(), "a", zinittest.Child(t, "say", "x")) },
		"a list": func(c *zinit.Client) error { _, err := c.List(t.Context()); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			socket := filepath.Join(dir, "z.sock")
			end := listen(t, socket, func(c net.Conn) {
				if line, _ := bufio.NewReader(c).ReadString('\n'); strings.HasPrefix(line, "{") {
					_, _ = io.WriteString(c, `{"state":"error","body":"unknown command"}`)
				} else {
					_, _ = io.WriteString(c, `{"state":"ok","body":{}}`)
				}
				_ = c.Close()
			})
			c := zinittest.Dial(t, socket)
			if d, err := c.Dialect(t.Context()); err != nil || d != zinit.Text {
				t.Fatalf("before: %s, %v", d, err)
			}
			end()
			_ = os.Remove(socket)
			zinittest.StartIn(t, dir, socket)
			if err := call(c); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "a.yaml")); name == "a file" && err != nil {
				t.Error(err)
			}
			if d, err := c.Dialect(t.Context()); err != nil || d != zinit.JSONRPC {
				t.Errorf("with ours it speaks %s, %v", d, err)
			}
		})
	}
}

// A zinit of one dialect that another takes the place of, on the same socket, and
// back: the executor goes on with whoever answers.
func TestExecutorOverAnotherDialect(t *testing.T) {
	binary := zinittest.Crate(t)
	b := newExecutorBed(t)
	ours, socket := b.zinit.Dir, b.zinit.Socket
	life := b.up()
	b.zinit.Stop(t)
	if got := expect[events.ProcessExited](b); got.Incarnation != life {
		t.Errorf("exited: %+v", got)
	}
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
	_ = expect[events.ZinitLost](b)

	crate := zinittest.StartCrateIn(t, binary, t.TempDir(), socket)
	_ = expect[events.ZinitBack](b)
	if d, err := b.client.Dialect(t.Context()); err != nil || d != zinit.Crate {
		t.Errorf("the dialect: %s, %v", d, err)
	}
	b.order(b.startOrder())
	life = expect[events.ProcessStarted](b, events.ProcessObserved{}).Incarnation
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	if got := expect[events.ProcessExited](b, events.ProcessObserved{}); got.Incarnation != life {
		t.Errorf("exited: %+v, want %s", got, life)
	}
	if err := b.client.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	crate.Wait(t)

	b.order(b.startOrder())
	_ = expect[events.ZinitLost](b, events.ProcessObserved{})
	b.zinit = zinittest.StartIn(t, ours, socket)
	_ = expect[events.ZinitBack](b)
	// It has the actor's file of before, and may have begun to run it already.
	if got := expect[events.ProcessStarted](b, events.ProcessObserved{}, events.ProcessExited{}); !got.Incarnation.Alive() {
		t.Errorf("started: %+v", got)
	}
	if d, err := b.client.Dialect(t.Context()); err != nil || d != zinit.JSONRPC {
		t.Errorf("the dialect: %s, %v", d, err)
	}
}
