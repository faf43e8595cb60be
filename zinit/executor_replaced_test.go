package zinit_test

import (
	"io"
	"net"
	"os"
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
			wg.Go(func() { _, _ = io.Copy(io.Discard, c) })
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
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
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
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
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
