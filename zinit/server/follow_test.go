package server

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herosup/zinit/wire"
)

// follows is a client that follows the log, and what writes into that.
type follows struct {
	net.Conn
	scan   *wire.Scanner
	logs   *logs
	end    context.CancelFunc // of the server
	served chan struct{}
}

// following has a client ask.
func following(t *testing.T, ask string) follows {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	disk := newSpool(t.TempDir(), slog.New(slog.DiscardHandler))
	g, err := newLogs(ctx, ctx, 1000, &wg, disk)
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(disk.run)
	wg.Go(g.run)
	t.Cleanup(func() { end(); wg.Wait() })
	client, ours := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	f := follows{client, wire.NewScanner(client), g, end, make(chan struct{})}
	go func() {
		serve(ctx, &meter{Conn: ours, budget: &budget{}}, &api{logs: g, methods: endpoints()})
		close(f.served)
	}()
	if _, err := client.Write([]byte(ask)); err != nil {
		t.Fatal(err)
	}
	if ask == follow {
		if _, err := f.scan.Next(); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

const follow = `{"jsonrpc":"2.0","id":1,"method":"stream_subscribeLogs","params":[]}`

// write adds lines until the follower loses some.
func (f follows) write() {
	for range 3 * followLines {
		f.logs.add(line{stdout, "a", "x"})
	}
	synctest.Wait()
}

func (f follows) isServed() bool {
	select {
	case <-f.served:
		return true
	default:
		return false
	}
}

// A follower may take its time (a pager, a terminal that stands still): it loses lines and
// is told how many, and goes on.
func TestFollowerThatPauses(t *testing.T) {
	for _, ask := range []string{follow, "log\n"} {
		synctest.Test(t, func(t *testing.T) {
			f := following(t, ask)
			synctest.Wait()
			f.write()
			<-time.After(time.Hour)
			if f.isServed() {
				t.Fatalf("after %q: given up", ask)
			}
			var text strings.Builder
			go func() {
				b := make([]byte, 1<<10)
				for {
					n, err := f.Read(b)
					text.Write(b[:n])
					if err != nil {
						return
					}
				}
			}()
			synctest.Wait()
			f.write()
			f.end()
			<-f.served
			synctest.Wait()
			if !strings.Contains(text.String(), "lines dropped") {
				t.Errorf("after %q: not told what it lost: %.200s", ask, text.String())
			}
		})
	}
}

// Not so who wants answers besides, or when the server ends.
func TestFollowerThatIsGivenUp(t *testing.T) {
	for name, more := range map[string]func(*testing.T, follows){
		"an answer": func(t *testing.T, f follows) {
			if _, err := f.Write([]byte(`{"jsonrpc":"2.0","id":2,"method":"rpc.discover"}`)); err != nil {
				t.Error(err)
			}
		},
		"the end": func(_ *testing.T, f follows) { f.end() },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := following(t, follow)
			f.write()
			<-time.After(time.Hour)
			more(t, f)
			began := time.Now()
			<-f.served
			if took := time.Since(began); took != writeTimeout {
				t.Errorf("%s: given up after %s", name, took)
			}
		})
	}
}
