package redistest

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// Proxy stands before a server: it can cut its connections, hold them (they stay open and carry nothing: a half-open
// connection as the kernel shows it), or change what the server says.
type Proxy struct {
	t        testing.TB
	to       string
	ln       net.Listener
	wg       sync.WaitGroup
	mu       sync.Mutex
	open     map[*pair]struct{}
	old, new []byte
	ended    bool
}

// pair is one connection through the proxy.
type pair struct {
	client, server net.Conn
	held           chan struct{} // closed: carry nothing more
	once           sync.Once
}

// NewProxy listens before the server at an address.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, to: to, ln: ln, open: map[*pair]struct{}{}}
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.join(c)
		}
	})
	t.Cleanup(func() {
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		_ = ln.Close()
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// URL reaches the server through it.
func (p *Proxy) URL() string { return "redis://" + p.ln.Addr().String() + "/0" }

// Rewrite changes what the server says, text of the same length, in answers that come in one piece.
func (p *Proxy) Rewrite(old, new []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.old, p.new = old, new
}

// Hold makes the connections that are open now half-open; new ones work.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one := range p.open {
		one.once.Do(func() { close(one.held) })
	}
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one := range p.open {
		_, _ = one.client.Close(), one.server.Close()
	}
}

func (p *Proxy) join(c net.Conn) {
	s, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = c.Close()
		return
	}
	one := &pair{client: c, server: s, held: make(chan struct{})}
	p.mu.Lock()
	p.open[one] = struct{}{}
	if p.ended {
		_, _ = c.Close(), s.Close()
	}
	p.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { p.carry(one, c, s, false) })
	ways.Go(func() { p.carry(one, s, c, true) })
	p.wg.Go(func() {
		ways.Wait()
		p.mu.Lock()
		delete(p.open, one)
		p.mu.Unlock()
	})
}

func (p *Proxy) carry(one *pair, from, to net.Conn, answers bool) {
	defer func() { _, _ = from.Close(), to.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		select {
		case <-one.held:
			continue // swallowed
		default:
		}
		part := b[:n]
		p.mu.Lock()
		if answers && len(p.old) > 0 {
			part = bytes.ReplaceAll(part, p.old, p.new)
		}
		p.mu.Unlock()
		if _, err := to.Write(part); err != nil {
			return
		}
	}
}
