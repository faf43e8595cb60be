package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// progressPace is how often the line is drawn anew.
const progressPace = 200 * time.Millisecond

// meter draws one line on a terminal's stderr, of how far a long command is;
// elsewhere, and with --quiet, nothing.
type meter struct {
	w          io.Writer
	terminal   bool
	end, ended chan struct{}
	done       atomic.Int64
	// bytes were read of all that there are; 0 when nobody knows where it ends.
	bytes, of atomic.Int64
}

// meter starts drawing, until stop.
func (a *app) meter(cmd *cobra.Command) *meter {
	m := &meter{w: cmd.ErrOrStderr(), end: make(chan struct{}), ended: make(chan struct{})}
	f, ok := m.w.(*os.File)
	m.terminal = !a.quiet && ok && isatty.IsTerminal(f.Fd())
	begun := time.Now()
	go func() {
		defer close(m.ended)
		tick := time.NewTicker(progressPace)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if m.terminal {
					fmt.Fprint(m.w, clearLine, meterLine(m.done.Load(), m.bytes.Load(), m.of.Load(), time.Since(begun)))
				}
			case <-m.end:
				if m.terminal {
					fmt.Fprint(m.w, clearLine)
				}
				return
			}
		}
	}()
	return m
}

// set says how many are done.
func (m *meter) set(done int) { m.done.Store(int64(done)) }

// stop ends the drawing and takes the line away.
func (m *meter) stop() {
	close(m.end)
	<-m.ended
}

// say prints a line of its own in place of the meter, which is drawn again below.
func (m *meter) say(text string) {
	if m.terminal {
		text = clearLine + text
	}
	fmt.Fprintln(m.w, text)
}

const clearLine = "\r\x1b[K"

// meterLine is the progress in words: how many, how fast, how long still.
func meterLine(done, bytes, of int64, took time.Duration) string {
	text := fmt.Sprint(done)
	if of > 0 {
		text += fmt.Sprintf(", %d %%", 100*bytes/of)
	}
	if took < time.Second {
		return text
	}
	text += fmt.Sprintf(", %.0f/s", float64(done)/took.Seconds())
	if of > 0 && bytes > 0 && bytes < of {
		left := time.Duration(float64(took) * float64(of-bytes) / float64(bytes))
		text += ", " + age(max(left.Round(time.Second), time.Second)) + " left"
	}
	return text
}

// countedReader tells a meter how much was read.
type countedReader struct {
	io.Reader
	m *meter
}

func (r countedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.m.bytes.Add(int64(n))
	return n, err
}
