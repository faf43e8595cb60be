package main

import (
	"io"
	"os"
	"sync"
)

// output is where a command prints. It remembers the first write that failed: most commands look at none, and what
// was not said, such as the id of a job, is not done well.
type output struct {
	io.Writer

	mu  sync.Mutex
	err error
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.err == nil {
			o.err = err
		}
	}
	return n, err
}

// fault is that of the first write that failed.
func (o *output) fault() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// fileBehind is the file that a command prints to, if it is one.
func fileBehind(w io.Writer) (*os.File, bool) {
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	f, ok := w.(*os.File)
	return f, ok
}
