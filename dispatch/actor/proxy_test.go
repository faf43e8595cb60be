package actor

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands before a server that can not come back with what it had, and goes away in its place: connections cut,
// new ones refused. (A miniredis that was closed and restarted never answers a blocking command again.)
type proxy struct {
	t    *testing.T
	to   string
	addr string
	ln   net.Listener
	wg   sync.WaitGroup
	mu   sync.Mutex
	open []net.Conn
	away bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{t: t, to: to, addr: "127.0.0.1:0"}
	p.back()
	t.Cleanup(p.stop)
	return p
}

func (p *proxy) back() {
	ln, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.ln, p.addr = ln, ln.Addr().String()
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
