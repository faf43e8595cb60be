package main

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // the name Redis gives a script
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A killProxy stands before Redis and sees each script of each client go by, so
// that a process can be killed at a named point of it, with no failpoint in the
// product: before Redis has the call (sent), when Redis has run it and the caller
// does not know (done), or when the caller has just been answered (told).
type killProxy struct {
	t     testing.TB
	to    string // Redis' socket
	ln    net.Listener
	wg    sync.WaitGroup
	mu    sync.Mutex
	names map[string]string // sha -> script
	shot  *shot
	open  map[net.Conn]bool
	// stopped says that nothing is opened any more.
	stopped bool
	// readers counts, by process, the connections that may still bring a call.
	readers map[int]int
	// burial is held while a death is looked at: nobody's jobs are given back
	// before it is written down who had them.
	burial sync.RWMutex
}

// point is a place in the life of a call.
type point struct {
	call string // the script's name; finish is an exchange that tells an end, claim one that does not
	when string // sent, done, told
}

func (p point) String() string { return p.call + "." + p.when }

// shot waits for its point to be passed by a process that is meant.
type shot struct {
	at    point
	meant func(pid int) bool
	// fire runs while the call stands still. reading says that the caller's
	// connection is among the readers yet.
	fire func(caller int, reading bool)
}

func newKillProxy(t testing.TB, socket, to string) *killProxy {
	t.Helper()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	p := &killProxy{t: t, to: to, ln: ln, names: map[string]string{}, open: map[net.Conn]bool{}, readers: map[int]int{}}
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.join(c)
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *killProxy) stop() {
	_ = p.ln.Close()
	p.mu.Lock()
	p.stopped = true
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// arm sets the next shot; one at a time.
func (p *killProxy) arm(s *shot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shot = s
}

// disarm takes back a shot whose point nobody passed; false if it was fired.
func (p *killProxy) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	armed := p.shot != nil
	p.shot = nil
	return armed
}

// passes fires the shot if this is its point.
func (p *killProxy) passes(call, when string, pid int) bool {
	p.mu.Lock()
	s := p.shot
	if s == nil || s.at.when != when || s.at.call != call || !s.meant(pid) {
		p.mu.Unlock()
		return false
	}
	p.shot = nil
	p.mu.Unlock()
	s.fire(pid, when == "sent")
	return true
}

func (p *killProxy) join(client net.Conn) {
	server, err := net.Dial("unix", p.to)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	late := p.stopped // it was accepted before, and nobody would end it
	if !late {
		p.open[client], p.open[server] = true, true
	}
	p.mu.Unlock()
	if late {
		_, _ = client.Close(), server.Close()
		return
	}
	pid := peer(client)
	p.count(pid, 1)
	calls := make(chan string, 1<<14) // sent, not answered: in order
	end := func() {
		_, _ = client.Close(), server.Close()
		p.mu.Lock()
		delete(p.open, client)
		delete(p.open, server)
		p.mu.Unlock()
	}
	p.wg.Go(func() {
		defer end()
		defer p.count(pid, -1)
		defer close(calls)
		in := bufio.NewReaderSize(client, 64<<10)
		for {
			raw, args, err := readCommand(in)
			if err != nil {
				return
			}
			call := p.name(args)
			if p.passes(call, "sent", pid) {
				return
			}
			if call == "recover" {
				p.count(pid, -1)   // it may be the dead one's own: then nobody waits for this
				p.burial.RLock()   // until a death under way is written down
				p.burial.RUnlock() //nolint:staticcheck // that is all
				p.count(pid, 1)
			}
			calls <- call
			if _, err := server.Write(raw); err != nil {
				return
			}
		}
	})
	p.wg.Go(func() {
		defer end()
		out := bufio.NewReaderSize(server, 64<<10)
		for {
			var raw bytes.Buffer
			push, err := copyReply(out, &raw)
			if err != nil {
				return
			}
			call := ""
			if !push {
				call = <-calls
			}
			if p.passes(call, "done", pid) {
				return
			}
			if _, err := client.Write(raw.Bytes()); err != nil {
				return
			}
			if p.passes(call, "told", pid) {
				return
			}
		}
	})
}

func (p *killProxy) count(pid, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readers[pid] += by
}

// silent waits until nothing of a dead process can come any more but rest connections.
func (p *killProxy) silent(pid, rest int) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		p.mu.Lock()
		n := p.readers[pid]
		p.mu.Unlock()
		if n <= rest {
			return true
		}
		<-time.After(100 * time.Microsecond) // the kernel closes what it had open
	}
	return false
}

// name is the call's as points name it; "" for what is no script.
func (p *killProxy) name(args [][]byte) string {
	if len(args) < 3 {
		return ""
	}
	var sha string
	switch strings.ToUpper(string(args[0])) {
	case "EVALSHA":
		sha = string(args[1])
	case "EVAL":
		sum := sha1.Sum(args[1]) //nolint:gosec // as above
		sha = hex.EncodeToString(sum[:])
	default:
		return ""
	}
	p.mu.Lock()
	name := p.names[sha]
	p.mu.Unlock()
	if name != "exchange" {
		return name
	}
	keys, err := strconv.Atoi(string(args[2]))
	if err == nil && len(args) > 3+keys+exchangeArgs {
		return "finish" // it tells an end
	}
	return "claim"
}

// exchangeArgs is how many arguments an exchange has before the ends it tells.
const exchangeArgs = 7

// learn takes the scripts' sources, by their names.
func (p *killProxy) learn(sources map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, source := range sources {
		sum := sha1.Sum([]byte(source)) //nolint:gosec // as above
		p.names[hex.EncodeToString(sum[:])] = name
	}
}

// peer is the process behind a connection.
func peer(c net.Conn) int {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

var errProtocol = errors.New("no RESP")

// readCommand reads one command: an array of bulk strings, as clients send it.
func readCommand(r *bufio.Reader) (raw []byte, args [][]byte, err error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, nil, err
	}
	n, err := size(line, '*')
	if err != nil {
		return nil, nil, err
	}
	raw = slices.Clone(line)
	for range n {
		if line, err = r.ReadBytes('\n'); err != nil {
			return nil, nil, err
		}
		length, err := size(line, '$')
		if err != nil {
			return nil, nil, err
		}
		text := make([]byte, length+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, nil, err
		}
		raw = append(append(raw, line...), text...)
		args = append(args, text[:length])
	}
	return raw, args, nil
}

func size(line []byte, kind byte) (int, error) {
	if len(line) < 4 || line[0] != kind {
		return 0, fmt.Errorf("%w: %q", errProtocol, line)
	}
	return strconv.Atoi(string(bytes.TrimSpace(line[1:])))
}

// copyReply copies one answer, whatever is nested in it. push says that it
// answers no command (RESP3).
func copyReply(r *bufio.Reader, to *bytes.Buffer) (push bool, err error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return false, err
	}
	to.Write(line)
	kind := line[0]
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(':
		return false, nil
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	if err != nil {
		return false, fmt.Errorf("%w: %q", errProtocol, line)
	}
	if n < 0 {
		return false, nil
	}
	switch kind {
	case '$', '=', '!':
		_, err = io.CopyN(to, r, int64(n)+2)
		return false, err
	case '%', '|':
		n *= 2
	case '*', '~', '>':
	default:
		return false, fmt.Errorf("%w: %q", errProtocol, line)
	}
	for range n {
		if _, err := copyReply(r, to); err != nil {
			return false, err
		}
	}
	return kind == '>', nil
}
