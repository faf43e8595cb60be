package zinittest

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"herosup/zinit/wire"
)

// peer is a client that says exactly what it is told to.
type peer struct {
	t    *testing.T
	conn net.Conn
	scan *wire.Scanner
}

func newPeer(t *testing.T, socket string) *peer {
	t.Helper()
	c, err := wire.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	return &peer{t, c, wire.NewScanner(c)}
}

func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// endInput says that no more will be said.
func (p *peer) endInput() {
	p.t.Helper()
	if err := p.conn.(*net.UnixConn).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// hears wants the next message to hold all of these.
func (p *peer) hears(want ...string) string {
	p.t.Helper()
	msg, err := p.scan.Next()
	if err != nil {
		p.t.Fatalf("waiting for %q: %v", want, err)
	}
	for _, w := range want {
		if !strings.Contains(string(msg), w) {
			p.t.Errorf("got %s, want %s in it", msg, w)
		}
	}
	return string(msg)
}

func testWire(t *testing.T, k *kit) {
	p := newPeer(t, k.socket)
	// No newline behind it, as the original's own client sends it.
	p.say(`{"jsonrpc":"2.0","id":1,"method":"service_list","params":[]}`)
	p.hears(`"jsonrpc":"2.0"`, `"id":1`, `"result":{`)
	p.say(`{"jsonrpc":"2.0","id":"two","method":"service_status","params":{"name":"no-such"}}`)
	if k.original { // -32603 before v0.2.28
		p.hears(`"id":"two"`, `"error":{"code":-32`)
	} else {
		p.hears(`"id":"two"`, `-32000`)
	}
	p.say(`{"jsonrpc":"2.0","id":3,"method":"no_such_method"}`)
	p.hears(`"id":3`, `-32601`)
	p.say(`{"jsonrpc":"2.0","id":4,"method":"service_status","params":[]}`)
	p.hears(`"id":4`, `-32602`)
	// A notification is not answered: the next answer is the next call's.
	p.say(`{"jsonrpc":"2.0","method":"service_list","params":[]}{"jsonrpc":"2.0","id":5,"method":"service_list"}`)
	p.hears(`"id":5`)
	p.say(`{"jsonrpc":}`)
	p.hears(`-32700`, `"id":null`)
	p.say(`[{"jsonrpc":"2.0","id":6,"method":"service_list"},{"jsonrpc":"2.0","method":"service_list"},{"jsonrpc":"2.0","id":7,"method":"nope"}]`)
	batch := p.hears(`"id":6`, `"id":7`, `-32601`)
	var answers []json.RawMessage
	if err := json.Unmarshal([]byte(batch), &answers); err != nil || len(answers) != 2 {
		t.Errorf("a batch of two calls and a notification: %s", batch)
	}
	// In pieces.
	for _, piece := range strings.SplitAfter(`{"jsonrpc":"2.0","id":8,"method":"service_list"}`, ":") {
		p.say(piece)
	}
	p.hears(`"id":8`)
}

func testOutOfOrder(t *testing.T, k *kit) {
	name := k.up(Child(t, "say", "hello"))
	k.awaitStatus(name, running)
	p := newPeer(t, k.socket)
	p.say(`{"jsonrpc":"2.0","id":1,"method":"service_stats","params":["` + name + `"]}`)
	p.say(`{"jsonrpc":"2.0","id":2,"method":"service_list"}`)
	p.hears(`"id":2`)
	p.hears(`"id":1`, `"memory_usage"`)
}

func writeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// backgroundOf is a context for clean-up, when the test's has ended.
func backgroundOf(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }
