package actor

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// proxy stands before a server that can not come back with what it had, and goes away in its place: connections cut,
// new ones refused. (A miniredis that was closed and restarted never answers a blocking command again.) On a unix socket:
// nobody else takes its address meanwhile.
type proxy struct {
	t    *testing.T
	to   string
	path string
	ln   net.Listener
	wg   sync.WaitGroup
	mu   sync.Mutex
	open []net.Conn
	away bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs") // short: a socket's path has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &proxy{t: t, to: to, path: filepath.Join(dir, "p.sock")}
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
	s, err := net.Dial("tcp", p.to)
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
	for _, way := range [][2]net.Conn{{c, s}, {s, c}} {
		p.wg.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = way[0].Close(), way[1].Close()
		})
	}
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
