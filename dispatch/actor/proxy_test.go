package actor

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// proxy stands before a server that can not come back with what it had, and goes away in its place: connections cut,
// new ones refused. (A miniredis that was closed and restarted never answers a blocking command again.) On a unix socket:
// nobody else takes its address meanwhile. It can lose answers that give jobs, and cut their connections: Redis has done all of it then.
type proxy struct {
	t       *testing.T
	network string
	to      string
	path    string
	ln      net.Listener
	wg      sync.WaitGroup
	mu      sync.Mutex
	open    []net.Conn
	away    bool
	loses   int // answers to come
	lost    int
}

func newProxy(t *testing.T, network, to string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs") // short: a socket's path has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &proxy{t: t, network: network, to: to, path: filepath.Join(dir, "p.sock")}
	p.back()
	t.Cleanup(p.stop)
	return p
}

func (p *proxy) back() {
	ln, err := net.Listen("unix", p.path)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.ln = ln
	p.mu.Lock()
	p.away = false
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.join(c)
		}
	})
}

func (p *proxy) join(c net.Conn) {
	s, err := net.Dial(p.network, p.to)
	if err != nil {
		_ = c.Close()
		return
	}
	p.mu.Lock()
	p.open = append(p.open, c, s)
	if p.away { // accepted just before
		_, _ = c.Close(), s.Close()
	}
	p.mu.Unlock()
	for _, way := range []struct {
		to   io.Writer
		from net.Conn
	}{{s, c}, {answers{c, p}, s}} {
		p.wg.Go(func() {
			_, _ = io.Copy(way.to, way.from)
			_, _ = c.Close(), s.Close()
		})
	}
}

// answers is the way to a client.
type answers struct {
	to net.Conn
	p  *proxy
}

func (a answers) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\nJOB\r\n")) && a.p.loseOne() {
		return 0, net.ErrClosed
	}
	return a.to.Write(b)
}

func (p *proxy) loseOne() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loses == 0 {
		return false
	}
	p.loses--
	p.lost++
	return true
}

// lose has so many more answers that give jobs lost.
func (p *proxy) lose(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loses += n
}

func (p *proxy) lostSoFar() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func (p *proxy) stop() {
	_ = p.ln.Close()
	p.mu.Lock()
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open, p.away = nil, true
	p.mu.Unlock()
	p.wg.Wait()
}
