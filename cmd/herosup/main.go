// Command herosup keeps pools of worker processes alive, healthy and exactly as
// many as the work needs. See README.md; `herosup --help` leads with examples.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one has its usual effect, at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// outliveReaders lets a command that others depend on go on when whoever reads its words has gone: a write fails then, and
// is no signal that ends the process. (Caught and not ignored, which its children would inherit.)
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

var errInterrupted = errors.New("interrupted")

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	out := &output{Writer: stdout}
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.fault()
	}
	status := statusOf(ctx, err)
	var silent *exitError
	var worded *exitError
	if status == exitInterrupted && !errors.As(err, &worded) {
		err = errInterrupted
	}
	if err != nil && !(errors.As(err, &silent) && silent.err == nil) {
		fmt.Fprintln(stderr, "error:", err)
		if h := hintOf(err); h != "" {
			fmt.Fprintln(stderr, "hint:", h)
		}
	}
	return status
}
