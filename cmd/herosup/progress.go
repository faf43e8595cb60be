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

// progress is how far a long command is. of is 0 when nobody knows where it ends.
type progress struct {
	done      int
	bytes, of int64
}

// progressPace is how often the line is drawn anew.
const progressPace = 200 * time.Millisecond

// meter draws one line on a terminal's stderr; elsewhere, and with --quiet, nothing.
type meter struct {
	w          io.Writer
	terminal   bool
	end, ended chan struct{}
}

// meter starts drawing what now says, until stop.
func (a *app) meter(cmd *cobra.Command, now func() progress) *meter {
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
					fmt.Fprint(m.w, clearLine, now().line(time.Since(begun)))
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

// line is the progress in words: how many, how fast, how long still.
func (p progress) line(took time.Duration) string {
	text := fmt.Sprintf("%d", p.done)
	if p.of > 0 {
		text += fmt.Sprintf(", %d %%", 100*p.bytes/p.of)
	}
	if took < time.Second {
		return text
	}
	text += fmt.Sprintf(", %.0f/s", float64(p.done)/took.Seconds())
	if p.of > 0 && p.bytes > 0 && p.bytes < p.of {
		left := time.Duration(float64(took) * float64(p.of-p.bytes) / float64(p.bytes))
		text += ", " + age(max(left.Round(time.Second), time.Second)) + " left"
	}
	return text
}

// countedReader counts what was read.
type countedReader struct {
	io.Reader
	n atomic.Int64
}

func (r *countedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.n.Add(int64(n))
	return n, err
}
