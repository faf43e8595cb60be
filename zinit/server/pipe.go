package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// outputs makes the pipes that carry the output of children. Each is a FIFO in
// the folder, so that whoever comes after us, the keeper and then the next
// server, reads on where we ended. For concurrent use.
type outputs struct {
	dir   string
	last  *atomic.Uint64 // the number of the latest
	stock *stock
}

// newOutputs makes the folder and takes stock of what an earlier server left.
func newOutputs(dir string) (o outputs, left []source, err error) {
	o = outputs{dir: dir, last: new(atomic.Uint64), stock: newStock(dir)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return o, nil, fmt.Errorf("start zinit: %w", err)
	}
	clearSpares(dir)
	left, last, err := leftOutputs(dir)
	o.last.Store(last)
	return o, left, err
}

// leftOutputs are the pipes that are there, and the highest of their numbers.
func leftOutputs(dir string) (left []source, last uint64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("look for pipes of an earlier zinit: %w", err)
	}
	for _, e := range entries {
		s, number, ok := parseSource(e.Name())
		if !ok || e.Type()&os.ModeNamedPipe == 0 {
			continue // not ours
		}
		s.path = filepath.Join(dir, e.Name())
		left = append(left, s)
		last = max(last, number)
	}
	return left, last, nil
}

// source is whose output a pipe carries.
type source struct {
	from  string // stdout or stderr
	label string // the service's name, or name/test
	path  string // of the FIFO; "" where there could be none
}

// The kinds of output in the names of FIFOs: <service>.<number>.<kind>. No
// service's name holds a dot.
var sourceKinds = map[string]source{
	"out":      {from: stdout},
	"err":      {from: stderr},
	"test-out": {from: stdout, label: testLabel},
	"test-err": {from: stderr, label: testLabel},
}

// testLabel is what the label of a test has behind the name of its service.
const testLabel = "/test"

// serviceOf is the service that a label is of.
func serviceOf(label string) string {
	service, _ := strings.CutSuffix(label, testLabel)
	return service
}

func parseSource(file string) (s source, number uint64, ok bool) {
	parts := strings.Split(file, ".")
	if len(parts) != 3 || zinit.ValidName(parts[0]) != nil {
		return s, 0, false
	}
	s, ok = sourceKinds[parts[2]]
	number, err := strconv.ParseUint(parts[1], 10, 64)
	s.label = parts[0] + s.label
	return s, number, ok && err == nil
}

// fileName is the inverse of parseSource.
func (s source) fileName(number uint64) string {
	name, isTest := strings.CutSuffix(s.label, testLabel)
	kind := "out"
	if s.from == stderr {
		kind = "err"
	}
	if isTest {
		kind = "test-" + kind
	}
	return name + "." + strconv.FormatUint(number, 10) + "." + kind
}

// pipe carries the output of a child to a pump.
type pipe struct {
	source
	r, w int
}

// newPipe makes a pipe whose write end is open for reading as well. As long as
// a child holds it there is a reader, so a child that writes while nobody reads
// gets no SIGPIPE: it goes on, and blocks only when the pipe is full.
//
// The write end blocks, as programs expect of their output; only ours does not.
func (o outputs) newPipe(s source) (pipe, error) {
	s.path = filepath.Join(o.dir, s.fileName(o.last.Add(1)))
	if p, ok := o.stock.pipe(s); ok {
		return p, nil
	}
	p, err := openFIFO(s)
	if err != nil {
		// The file system has no FIFOs, or is full, or the folder was removed: that is
		// no reason not to start a service.
		return namelessPipe(s)
	}
	return p, nil
}

// namelessPipe is a pipe that ends with us: what a child writes then is kept
// until the pipe is full.
func namelessPipe(s source) (pipe, error) {
	s.path = ""
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return pipe{}, fmt.Errorf("make a pipe for the output: %w", err)
	}
	p := pipe{source: s, r: fds[0], w: fds[1]}
	if w, err := unix.Open("/proc/self/fd/"+strconv.Itoa(p.w), unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Close(p.w)
		p.w = w
	}
	_ = unix.SetNonblock(p.r, true) // so that Close ends a Read
	return p, nil
}

// keepReader gives up the child's end and returns ours, which ends when no
// child holds the other any more.
func (p pipe) keepReader() *os.File {
	_ = unix.Close(p.w)
	return os.NewFile(uintptr(p.r), p.path)
}

// abandon gives up both ends.
func (p pipe) abandon() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
	p.remove()
}

// remove takes the FIFO away.
func (s source) remove() {
	if s.path != "" {
		_ = os.Remove(s.path)
	}
}

// reopen is our end of a pipe that an earlier server made.
func (s source) reopen() (*os.File, error) {
	fd, err := unix.Open(s.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("read the output of %s again: %w", s.label, err)
	}
	return os.NewFile(uintptr(fd), s.path), nil
}
