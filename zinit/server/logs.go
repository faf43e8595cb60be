package server

import (
	"context"
	"fmt"
	"sync"
)

// Bounds of the log.
const (
	// ringBytes bounds the ring beside its number of lines.
	ringBytes = 4 << 20
	// followLines is how far a follower may fall behind before it loses lines.
	followLines = 1000
)

// The first four bytes of a line say where it came from. Clients cut them off.
const (
	stdout = "[+] "
	stderr = "[-] "
)

// line is one line of output.
type line struct {
	from  string // stdout or stderr
	label string // the service's name, or name/test
	text  string
}

func (l line) String() string { return l.from + l.label + ": " + l.text }

// matches reports whether the line is wanted by a filter; "" wants all. The
// output of a test is not its service's, as in the original.
func (l line) matches(label string) bool { return label == "" || l.label == label }

// follower receives lines from now on.
type follower struct {
	label   string
	lines   chan string
	dropped int
}

// logs keeps the latest lines of all services and hands new ones to followers.
// One goroutine (run) owns them; it does nothing that could block, so those
// who write to it are never held up by those who read.
type logs struct {
	calls   chan func()
	ctx     context.Context // ends with the server: nobody waits for it any longer
	reading context.Context // ends the pumps; as ctx or before it
	pumps   *sync.WaitGroup
	spool   *spool
	files   map[string]*logFile // by service
	writers sync.WaitGroup      // of files

	ring      []line // a queue; the oldest first
	bytes     int
	capacity  int
	followers map[*follower]bool
}

// newLogs begins with what the spool holds.
func newLogs(ctx, reading context.Context, capacity int, pumps *sync.WaitGroup, s *spool) (*logs, error) {
	g := &logs{
		calls: make(chan func()), ctx: ctx, reading: reading, pumps: pumps, spool: s,
		capacity: capacity, followers: make(map[*follower]bool), files: make(map[string]*logFile),
	}
	before, err := s.load()
	g.keep(before)
	return g, err
}

// run serves until the server ends.
func (g *logs) run() {
	defer g.writers.Wait()
	defer func() {
		close(g.spool.batches)
		for _, f := range g.files {
			close(f.batches)
		}
	}()
	for {
		select {
		case f := <-g.calls:
			f()
		case <-g.ctx.Done():
			return
		}
	}
}

// do has f run by the owner, and reports whether it will be.
func (g *logs) do(f func()) bool {
	select {
	case g.calls <- f:
		return true
	case <-g.ctx.Done():
		return false
	}
}

// add appends lines, which have one label.
func (g *logs) add(lines ...line) {
	g.do(func() {
		g.keep(lines)
		g.spool.offer(lines)
		g.toFiles(lines)
		for _, l := range lines {
			for f := range g.followers {
				f.offer(l)
			}
		}
	})
}

// keep puts lines into the ring and drops the oldest beyond its bounds; for the
// owner.
func (g *logs) keep(lines []line) {
	g.ring = append(g.ring, lines...)
	for _, l := range lines {
		g.bytes += len(l.text)
	}
	n := 0
	for len(g.ring)-n > g.capacity || g.bytes > ringBytes {
		g.bytes -= len(g.ring[n].text)
		n++
	}
	clear(g.ring[:n]) // the array lives on until append moves it
	g.ring = g.ring[n:]
}

// banner marks the start of a process.
func (g *logs) banner(label string) {
	g.add(line{stderr, label, "------------ [start] ------------"})
}

// snapshot is what the ring holds, oldest first.
func (g *logs) snapshot(label string) []string {
	reply := make(chan []string, 1)
	if !g.do(func() { reply <- g.kept(label) }) {
		return nil
	}
	return <-reply
}

// kept is the ring's content; for the owner.
func (g *logs) kept(label string) []string {
	lines := []string{}
	for _, l := range g.ring {
		if l.matches(label) {
			lines = append(lines, l.String())
		}
	}
	return lines
}

// tail is what the ring holds, and a follower of all that comes behind it.
func (g *logs) tail() ([]string, *follower) {
	f := &follower{lines: make(chan string, followLines)}
	reply := make(chan []string, 1)
	if !g.do(func() { g.followers[f] = true; reply <- g.kept("") }) {
		return nil, f
	}
	return <-reply, f
}

// follow begins to hand out new lines; unfollow ends it.
func (g *logs) follow(label string) *follower {
	f := &follower{label: label, lines: make(chan string, followLines)}
	g.do(func() { g.followers[f] = true })
	return f
}

func (g *logs) unfollow(f *follower) {
	g.do(func() { delete(g.followers, f) })
}

// offer hands over a line, or counts it as lost. What was lost is told in its
// place as soon as there is room for that and the line behind it.
func (f *follower) offer(l line) {
	if !l.matches(f.label) {
		return
	}
	if cap(f.lines)-len(f.lines) < 2 {
		f.dropped++
		return
	}
	if f.dropped > 0 {
		f.lines <- line{stderr, "zinit", droppedText(f.dropped)}.String()
		f.dropped = 0
	}
	f.lines <- l.String()
}

// droppedText stands in the place of lines that are lost.
func droppedText(n int) string { return fmt.Sprintf("%d lines dropped", n) }
