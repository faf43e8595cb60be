package runner

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	// maxCopy bounds what of one output goes into the log: half of the ring that zinit keeps for all its services.
	maxCopy = 2 << 20
	// copyWait is how long the end of a script waits for a log that is behind, and lastLine the part of it that is kept for
	// the line that counts what the log did not take.
	copyWait = time.Second
	lastLine = copyWait / 10
	// copyPiece is what a pipe takes as a whole or not at all (PIPE_BUF).
	copyPiece = 4096
)

// copier writes an output that is too long for its record into a log, as lines behind a prefix. Whoever reads the
// output does not wait for it: what the log does not take stays here, at most maxCopy bytes in all, and copyWait after
// the end of the output it is given up.
type copier struct {
	to     *os.File
	prefix string
	log    *os.File      // to, opened once more
	done   chan struct{} // closed when the goroutine has ended; nil until there is one
	closed bool          // the log can not be opened

	mu    sync.Mutex
	there *sync.Cond
	left  []byte    // to be written
	taken int       // of the output
	over  int64     // beyond maxCopy
	lost  int       // not taken by the log
	ended time.Time // of the output; zero: there may be more
}

// take is called with all of the output, piece by piece.
func (c *copier) take(p []byte) {
	if c.closed {
		return
	}
	if c.done == nil {
		var err error
		if c.log, err = openLog(c.to); err != nil {
			c.closed = true // as CheckLog said, or its reader is gone
			return
		}
		c.there, c.done = sync.NewCond(&c.mu), make(chan struct{})
		go c.write()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(p), maxCopy-c.taken)
	c.left = append(c.left, p[:n]...)
	c.taken += n
	c.over += int64(len(p) - n)
	c.there.Signal()
}

// end says that this was all, and whether the log has it.
func (c *copier) end() (whole bool) {
	if c.done == nil {
		return false
	}
	c.mu.Lock()
	c.ended = time.Now()
	_ = c.log.SetWriteDeadline(c.ended.Add(copyWait - lastLine)) // a plain file has none, and never waits
	c.there.Signal()
	c.mu.Unlock()
	<-c.done
	return c.over == 0 && c.lost == 0
}

func (c *copier) write() {
	defer close(c.done)
	defer c.log.Close()
	for {
		line, last := c.next()
		if line != nil && !c.put(line) {
			c.mu.Lock()
			c.lost += len(line) + len(c.left)
			c.left = nil
			c.mu.Unlock()
		}
		if last {
			break
		}
	}
	if n := c.over + int64(c.lost); n > 0 {
		_ = c.log.SetWriteDeadline(c.ended.Add(copyWait))
		c.put(fmt.Appendf(nil, "... the last %d bytes are not in this log ...", n))
	}
}

// next is the next line, or as much of it as goes into a piece; last: nothing comes behind it.
func (c *copier) next() (line []byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := copyPiece - len(c.prefix) - 1
	for {
		at := bytes.IndexByte(c.left[:min(len(c.left), most+1)], '\n')
		switch {
		case at >= 0:
			line, c.left = c.left[:at], c.left[at+1:]
			return line, false
		case len(c.left) > most:
			line, c.left = c.left[:most], c.left[most:]
			return line, false
		case !c.ended.IsZero() && len(c.left) > 0:
			line, c.left = c.left, nil
			return line, true
		case !c.ended.IsZero():
			return nil, true
		}
		c.there.Wait()
	}
}

// put writes a line once the log takes it; false: it does not, and the time is up, or nobody reads it any more.
func (c *copier) put(line []byte) bool {
	_, err := c.log.Write(append(append([]byte(c.prefix), line...), '\n'))
	return err == nil
}
