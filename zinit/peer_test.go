package zinit

import (
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"herosup/zinit/wire"
)

// peer is somebody at a socket who answers as a test wants: what other versions
// answer, and what nobody should. (That a real one is answered well is what the
// contract in zinittest sees to.)
type peer struct {
	socket string
	t      *testing.T

	mu    sync.Mutex
	calls []string // methods, in the order they came
}

// newPeer serves until the end of the test. answer gives the raw text to send
// for a request; hangUp ends the connection behind it.
func newPeer(t *testing.T, answer func(r wire.Request) (text string, hangUp bool)) *peer {
	t.Helper()
	p := &peer{t: t, socket: filepath.Join(t.TempDir(), "z.sock")}
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
			wg.Go(func() { p.serve(c, answer) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return p
}

func (p *peer) serve(c net.Conn, answer func(r wire.Request) (string, bool)) {
	defer func() { _ = c.Close() }()
	scan := wire.NewScanner(c)
	for {
		msg, err := scan.Next()
		if err != nil {
			return
		}
		var r wire.Request
		if err := json.Unmarshal(msg, &r); err != nil {
			p.t.Errorf("request %s: %v", msg, err)
			return
		}
		p.mu.Lock()
		p.calls = append(p.calls, r.Method)
		p.mu.Unlock()
		text, hangUp := answer(r)
		if _, err := c.Write([]byte(text)); err != nil || hangUp {
			return
		}
	}
}

func (p *peer) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.calls...)
}

// answered is the text of an answer.
func answered(r wire.Request, value string) string {
	return `{"jsonrpc":"2.0","id":` + string(r.ID) + `,"result":` + value + "}\n"
}

func failed(r wire.Request, value string) string {
	return `{"jsonrpc":"2.0","id":` + string(r.ID) + `,"error":` + value + "}\n"
}
