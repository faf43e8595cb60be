package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stocked is how many FIFOs, and how many files, are kept ready: a start takes two and one.
	stocked = 16
	// restockAfter is the pause before what was taken is made anew, so that the process that it was taken for has begun.
	restockAfter = 20 * time.Millisecond
	// spareName is in the names of what is in stock; no kind of output has it.
	spareName = ".spare"
)

// stock keeps FIFOs and empty files ready, to be renamed: to make one takes ext4 longer than all else between the
// request for a start and its fork (150 to 400 us each; a rename 25). Who finds nothing in stock makes it himself. For
// concurrent use; a nil stock is empty.
type stock struct {
	dir   string
	pipes chan pipe
	files chan string
	taken chan struct{}
	last  int // the number of the latest; of run
}

func newStock(dir string) *stock {
	return &stock{dir: dir, pipes: make(chan pipe, stocked), files: make(chan string, stocked), taken: make(chan struct{}, 1)}
}

// pipe takes a FIFO to path, open at both ends, if there is one.
func (s *stock) pipe(to source) (p pipe, ok bool) {
	if s == nil {
		return p, false
	}
	select {
	case p = <-s.pipes:
	default:
		return p, false
	}
	s.restock()
	if err := os.Rename(p.path, to.path); err != nil {
		p.abandon()
		return p, false
	}
	p.source = to
	return p, true
}

// file takes an empty file to path, with text in it, if there is one.
func (s *stock) file(path, text string) (ok bool) {
	if s == nil {
		return false
	}
	var spare string
	select {
	case spare = <-s.files:
	default:
		return false
	}
	s.restock()
	err := overwrite(spare, text, 0)
	if err == nil {
		err = os.Rename(spare, path)
	}
	if err != nil {
		_ = os.Remove(spare)
	}
	return err == nil
}

func (s *stock) restock() {
	select {
	case s.taken <- struct{}{}:
	default:
	}
}

// run keeps the stock full until ctx ends.
func (s *stock) run(ctx context.Context) {
	defer s.clear()
	pause := time.NewTimer(restockAfter)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
			s.fill()
		case <-ctx.Done():
			return
		}
		select {
		case <-s.taken:
			pause.Reset(restockAfter)
		case <-ctx.Done():
			return
		}
	}
}

// fill makes what is missing. Who starts the server, and then run alone puts anything there, so there is room. What can not be made (no FIFOs on this file
// system, no descriptors) is left to those who need it, and who say so.
func (s *stock) fill() {
	for len(s.pipes) < cap(s.pipes) {
		p, err := openFIFO(source{path: s.next()})
		if err != nil {
			break
		}
		s.pipes <- p
	}
	for len(s.files) < cap(s.files) {
		path := s.next()
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Join(err, f.Close()) != nil {
			break
		}
		s.files <- path
	}
}

func (s *stock) next() string {
	s.last++
	return filepath.Join(s.dir, strconv.Itoa(s.last)+spareName)
}

// clear gives up all of it.
func (s *stock) clear() {
	for {
		select {
		case p := <-s.pipes:
			p.abandon()
		case path := <-s.files:
			_ = os.Remove(path)
		default:
			return
		}
	}
}

// clearSpares takes away the stock of a server that was killed.
func clearSpares(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), spareName) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// openFIFO makes a FIFO and opens both of its ends, see newPipe.
func openFIFO(s source) (pipe, error) {
	if err := unix.Mkfifo(s.path, 0o600); err != nil {
		return pipe{}, err
	}
	p := pipe{source: s}
	var err error
	if p.r, err = unix.Open(s.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
		if p.w, err = unix.Open(s.path, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			_ = unix.Close(p.r)
		}
	}
	if err != nil {
		_ = os.Remove(s.path)
		return pipe{}, err
	}
	return p, nil
}
