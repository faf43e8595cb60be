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

var errInterrupted = errors.New("interrupted")

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
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
