package zinit

import (
	"bufio"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"herosup/zinit/wire"
)

// twoFaced is who was of one version and is of another: each connection is
// answered by the version of the moment. (That a real one of either is spoken to
// well is what the contract in zinittest sees to.)
type twoFaced struct {
	socket string
	text   atomic.Bool

	mu    sync.Mutex
	lines []string // commands, as the text dialect took them
}

func newTwoFaced(t *testing.T) *twoFaced {
	t.Helper()
	p := &twoFaced{socket: filepath.Join(t.TempDir(), "z.sock")}
	l, err := wire.Listen(t.Context(), p.socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return p
}

func (p *twoFaced) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	rpc := strings.HasPrefix(line, "{")
	answer := `{"jsonrpc":"2.0","id":1,"result":{}}` + "\n"
	switch {
	case !p.text.Load() && !rpc:
		answer = `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}` + "\n"
	case p.text.Load() && rpc:
		answer = `{"state":"error","body":"unknown command '{jsonrpc:2.0' or wrong arguments count"}`
	case p.text.Load():
		p.mu.Lock()
		p.lines = append(p.lines, line)
		p.mu.Unlock()
		answer = `{"state":"ok","body":{}}`
	}
	_, _ = c.Write([]byte(answer))
}

// A zinit is spoken to in its own dialect, also when another takes its place.
func TestDialectIsFoundOut(t *testing.T) {
	p := newTwoFaced(t)
	p.text.Store(true)
	c := NewClient(p.socket, Options{})
	defer c.Close()
	for _, want := range []Dialect{Text, JSONRPC, Text} {
		p.text.Store(want == Text)
		if got, err := c.Dialect(t.Context()); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if err := c.Start(t.Context(), "a b"); err != nil {
			t.Errorf("in the %s dialect: %v", want, err)
		}
	}
	if got, want := strings.Join(p.lines, ""), strings.Repeat("list\nstart 'a b'\n", 2); got != want {
		t.Errorf("was sent %q, want %q", got, want)
	}
}

// Who is told which dialect to speak tries no other.
func TestDialectThatWasAskedFor(t *testing.T) {
	p := newTwoFaced(t)
	p.text.Store(true)
	_, err := Dial(t.Context(), p.socket, Options{Dialect: JSONRPC})
	if !errors.Is(err, ErrDialect) || !strings.Contains(err.Error(), "text dialect") {
		t.Errorf("got %v", err)
	}
}

// Without a folder named, service files go where the process behind the socket
// works: every version of the text dialect reads them there.
func TestTextWritesIntoTheFolderOfTheServer(t *testing.T) {
	p := newTwoFaced(t) // in this process
	p.text.Store(true)
	dir := t.TempDir()
	t.Chdir(dir)
	c := NewClient(p.socket, Options{})
	defer c.Close()
	if err := c.Create(t.Context(), "a", Service{Exec: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a.yaml")); err != nil {
		t.Error(err)
	}
	if err := c.Create(t.Context(), "a", Service{Exec: []string{"true"}}); !errors.Is(err, ServiceAlreadyExists) {
		t.Errorf("a second time: %v", err)
	}
}

// A name that is a path never reaches a server that would take it for one.
func TestTextChecksNames(t *testing.T) {
	p := newTwoFaced(t)
	p.text.Store(true)
	c := NewClient(p.socket, Options{Dialect: Text})
	defer c.Close()
	if err := c.Monitor(t.Context(), "../x"); !errors.Is(err, InvalidServiceName) {
		t.Errorf("got %v", err)
	}
	if len(p.lines) != 0 {
		t.Errorf("was sent %q", p.lines)
	}
}

// The rewrite is the same on the wire and knows none of the methods: what it answers
// to its own tells it, also when it takes the place of another, and the other way.
func TestCrateIsFoundOut(t *testing.T) {
	var crate atomic.Bool
	p := newPeer(t, func(r wire.Request) (string, bool) {
		switch {
		case crate.Load() && r.Method == "system.ping":
			return answered(r, `{"version":"0.3.9"}`), false
		case crate.Load() && r.Method == "service.list_full":
			return answered(r, `[{"name":"a","state":{"state":"running","pid":7}}]`), false
		case !crate.Load() && r.Method == "service_list":
			return answered(r, `{"a":"Running"}`), false
		}
		return failed(r, `{"code":-32601,"message":"Method not found"}`), false
	})
	c := client(t, p, Options{})
	for _, want := range []Dialect{Crate, JSONRPC, Crate} {
		crate.Store(want == Crate)
		if got, err := c.Dialect(t.Context()); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if all, err := c.List(t.Context()); err != nil || all["a"].Kind != Running {
			t.Errorf("the list in %s: %v, %v", want, all, err)
		}
	}
	// A method that the JSON-RPC dialect does not have either is no change of dialect.
	crate.Store(false)
	if err := c.Shutdown(t.Context()); !errors.Is(err, MethodNotFound) {
		t.Errorf("what neither knows: %v", err)
	}
}
