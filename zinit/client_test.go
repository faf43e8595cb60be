package zinit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"herosup/zinit/wire"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const short = 100 * time.Millisecond

func client(t *testing.T, p *peer, o Options) *Client {
	t.Helper()
	c := NewClient(p.socket, o)
	t.Cleanup(c.Close)
	return c
}

// Each wrong thing at the path is named in one line that says what to do.
func TestDialSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, "stale")
	l, err := wire.Listen(t.Context(), stale)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	silent := newPeer(t, func(wire.Request) (string, bool) { return "", false })
	hangsUp := newPeer(t, func(wire.Request) (string, bool) { return "", true })
	other := newPeer(t, func(wire.Request) (string, bool) { return "220 ready\r\n{}", true })
	list := newPeer(t, func(r wire.Request) (string, bool) { return answered(r, `["a"]`), false })

	for _, c := range []struct {
		name, socket string
		want         error
		says         string
	}{
		{"missing", filepath.Join(dir, "none"), ErrNoServer, "no such file"},
		{"file", file, ErrNotASocket, "a file"},
		{"folder", dir, ErrNotASocket, "a folder"},
		{"stale", stale, ErrNoServer, "nobody listens"},
		{"silent", silent.socket, ErrDialect, "deadline"},
		{"takes no connection", full(t), context.DeadlineExceeded, "it listens, and takes no connection"},
		{"hangs up", hangsUp.socket, ErrDialect, ""},
		{"something else", other.socket, ErrDialect, ""},
		{"another result", list.socket, ErrDialect, "result"},
	} {
		_, err := Dial(t.Context(), c.socket, Options{Timeout: short})
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: got %v, want %v with %q in one line", c.name, err, c.want, c.says)
		}
	}
}

// full is the socket of somebody who hangs, and for whom as many wait as can.
func full(t *testing.T) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "z.sock")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: socket}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = wire.PeerPID(socket)
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	return socket
}

// Answers are told apart by their id, and what belongs to no call is passed by.
func TestAnswersAreMatchedByID(t *testing.T) {
	p := newPeer(t, func(r wire.Request) (string, bool) {
		return `{"jsonrpc":"2.0","id":999,"result":{"wrong":"Running"}}` +
			`{"jsonrpc":"2.0","method":"stream_subscribeLogs","params":{"subscription":1,"result":"x"}}` +
			answered(r, `{"right":"Running","odd":"Hibernating"}`), false
	})
	got, err := client(t, p, Options{}).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]State{"right": {Kind: Running}, "odd": {Kind: "Hibernating"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

// A kept connection that broke is made anew without a word. What changes
// something is sent twice only if it surely did not arrive.
func TestReconnect(t *testing.T) {
	t.Run("read again", func(t *testing.T) {
		first := true
		var mu sync.Mutex
		p := newPeer(t, func(r wire.Request) (string, bool) {
			mu.Lock()
			defer mu.Unlock()
			if r.Method == "service_status" && first {
				first = false
				return "", true // after it was read, before it was answered
			}
			return answered(r, `{}`), false
		})
		c := client(t, p, Options{})
		if _, err := c.List(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Status(t.Context(), "x"); err != nil {
			t.Errorf("a question that changes nothing is not asked again: %v", err)
		}
	})
	t.Run("write not again", func(t *testing.T) {
		p := newPeer(t, func(r wire.Request) (string, bool) {
			return answered(r, `{}`), r.Method == "service_list"
		})
		dead := newPeer(t, func(r wire.Request) (string, bool) {
			if r.Method == "service_list" {
				return answered(r, `{}`), false
			}
			return "", true
		})
		c := client(t, dead, Options{})
		if _, err := c.List(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(t.Context(), "x"); !errors.Is(err, ErrUnanswered) {
			t.Errorf("got %v, want ErrUnanswered", err)
		}
		if d := cmp.Diff([]string{"service_list", "service_start"}, dead.seen()); d != "" {
			t.Errorf("a start was sent twice: %s", d)
		}
		// The connection was closed while it was idle: nothing was lost on it.
		c = client(t, p, Options{})
		if _, err := c.List(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitHangUp(t, c)
		if err := c.Start(t.Context(), "x"); err != nil {
			t.Errorf("over a connection that broke while it was idle: %v", err)
		}
	})
}

// awaitHangUp waits until the other side has closed the kept connection.
func awaitHangUp(t *testing.T, c *Client) {
	t.Helper()
	k := <-c.idle
	_ = k.net.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := k.net.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the connection is not closed: %v", err)
	}
	c.idle <- k
}

// A zinit that does not answer costs the deadline and no more, and the next call
// is not given the late answer.
func TestDeadline(t *testing.T) {
	release := make(chan struct{})
	p := newPeer(t, func(r wire.Request) (string, bool) {
		if r.Method == "service_status" {
			<-release
		}
		return answered(r, `{"a":"Running"}`), false
	})
	defer close(release)
	c := client(t, p, Options{Timeout: short})
	began := time.Now()
	if _, err := c.Status(t.Context(), "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	if took := time.Since(began); took > 100*short { // the peer would never answer
		t.Errorf("it took %v", took)
	}
	if got, err := c.List(t.Context()); err != nil || got["a"].Kind != Running {
		t.Errorf("the next call: %v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(short/2, cancel)
	if _, err := client(t, p, Options{}).Status(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

// Stops that take their time hold up nobody else, however many they are.
func TestSlowStopHoldsUpNobody(t *testing.T) {
	release, begun := make(chan struct{}), make(chan struct{}, 2*MaxCalls)
	let := sync.OnceFunc(func() { close(release) })
	defer let()
	p := newPeer(t, func(r wire.Request) (string, bool) {
		if r.Method == "service_stop" {
			begun <- struct{}{}
			<-release
		}
		return answered(r, `{}`), false
	})
	c := client(t, p, Options{Timeout: 5 * time.Second, StopTimeout: 10 * time.Second})
	stopped := make(chan error, 2*MaxCalls)
	for range 2 * MaxCalls {
		go func() { stopped <- c.Stop(t.Context(), "a") }()
	}
	for range MaxCalls { // so many at least are under way
		<-begun
	}
	for range 3 {
		if _, err := c.List(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	let()
	for range 2 * MaxCalls {
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	if n := len(c.idle); n > MaxCalls {
		t.Errorf("%d connections are kept, want %d at most", n, MaxCalls)
	}
}

// More calls than connections wait for their turn.
func TestManyCalls(t *testing.T) {
	p := newPeer(t, func(r wire.Request) (string, bool) { return answered(r, `{}`), false })
	c := client(t, p, Options{})
	var wg sync.WaitGroup
	for range 10 * MaxCalls {
		wg.Go(func() {
			if _, err := c.List(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(c.idle); n == 0 || n > MaxCalls {
		t.Errorf("%d connections are kept, want 1 to %d", n, MaxCalls)
	}
	c.Close()
	if _, err := c.List(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestErrors(t *testing.T) {
	p := newPeer(t, func(r wire.Request) (string, bool) {
		switch r.Method {
		case "service_list":
			return answered(r, `{"known":"Running","down":"Success"}`), false
		case "service_forget": // v0.2.28
			return failed(r, `{"code":-32002,"message":"forgetting service: service 'known' is up","data":{"code_name":"ServiceIsUp",`+
				`"service":"known","action":"forgetting service","retryable":false,"cause_chain":null,"hint":"stop it"}}`), false
		default: // v0.2.15 to v0.2.27
			return failed(r, `{"code":-32603,"message":"Internal error"}`), false
		}
	})
	c := client(t, p, Options{})
	err := c.Forget(t.Context(), "known")
	refused, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, ServiceIsUp) || refused.Data == nil || refused.Data.Hint != "stop it" || *refused.Data.Retryable {
		t.Errorf("with data: %v", err)
	}
	if !strings.Contains(err.Error(), "service 'known' is up (ServiceIsUp); stop it") {
		t.Errorf("text: %v", err)
	}
	if _, err := c.Status(t.Context(), "known"); !errors.Is(err, InternalError) {
		t.Errorf("without data, known: %v", err)
	}
	for what, c := range map[string]struct {
		err  error
		want Code
	}{
		"unknown":    {c.Start(t.Context(), "gone"), ServiceNotFound},
		"known":      {c.Monitor(t.Context(), "known"), ServiceAlreadyMonitored},
		"no file":    {c.Monitor(t.Context(), "gone"), ConfigError},
		"bad name":   {c.Delete(t.Context(), "../x"), InvalidServiceName},
		"bad signal": {c.Kill(t.Context(), "known", "SIGNOTHING"), InvalidSignal},
		"shutdown":   {c.Start(t.Context(), "known"), ShuttingDown},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("without data, %s: %v, want %s", what, c.err, c.want)
		}
	}
}

// More than the bound is not read.
func TestEndlessAnswer(t *testing.T) {
	p := newPeer(t, func(r wire.Request) (string, bool) {
		return `{"jsonrpc":"2.0","id":` + string(r.ID) + `,"result":"` + strings.Repeat("x", wire.MaxMessage) + `"}`, true
	})
	if _, err := client(t, p, Options{Timeout: 10 * time.Second}).List(t.Context()); !errors.Is(err, wire.ErrTooLong) {
		t.Errorf("got %v, want ErrTooLong", err)
	}
}

// What can not be said is refused before anything is sent.
func TestCreateRefusesBeforeItAsks(t *testing.T) {
	p := newPeer(t, func(r wire.Request) (string, bool) { return answered(r, `""`), false })
	c := client(t, p, Options{})
	for _, err := range []error{
		c.Create(t.Context(), "a/b", Service{Exec: []string{"true"}}),
		c.Create(t.Context(), "a", Service{Exec: []string{"true", "x\ny"}}),
	} {
		if err == nil {
			t.Error("no refusal")
		}
	}
	if got := p.seen(); len(got) != 0 {
		t.Errorf("%v was sent", got)
	}
}

// A stop has the service's own grace, as its file says, and the time of any stop beyond.
func TestStopTime(t *testing.T) {
	p := newPeer(t, func(r wire.Request) (string, bool) {
		switch string(r.Params) {
		case `["file"]`:
			return answered(r, `{"exec":"x","shutdown_timeout":3600}`), false
		case `["ours"]`:
			return answered(r, `{"exec":"x","shutdown_timeout":3600,"stop_timeout":"2h"}`), false
		}
		return failed(r, `{"code":-32000,"message":"not found"}`), false
	})
	c := client(t, p, Options{StopTimeout: time.Minute})
	for name, want := range map[string]time.Duration{
		"file": time.Minute + time.Hour, "ours": time.Minute + 2*time.Hour, "none": time.Minute,
	} {
		if got := c.stopTime(t.Context(), name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
