package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// silent is an input from which nothing comes, such as a terminal where nobody types.
type silent struct{ asked chan struct{} }

func (s silent) Read([]byte) (int, error) {
	close(s.asked)
	select {}
}

// Ctrl-C ends a command that waits for its script.
func TestAScriptThatDoesNotComeIsInterrupted(t *testing.T) {
	t.Setenv("HEROSUP_STATE", t.TempDir())
	for _, args := range [][]string{{"submit", "bash"}, {"run", "bash", "-"}, {"schedule", "add", "s", "@daily", "bash"}} {
		in := silent{make(chan struct{})}
		ctx, interrupt := context.WithCancel(t.Context())
		var said strings.Builder
		status := make(chan int, 1)
		go func() { status <- run(ctx, slices.Clone(args), in, io.Discard, &said) }()
		<-in.asked
		interrupt()
		select {
		case got := <-status:
			if got != exitInterrupted || said.String() != "error: interrupted\n" {
				t.Errorf("%v: status %d, %q", args, got, said.String())
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%v reads on", args)
		}
	}
}

// What no daemon has to be asked about is wrong usage, in a run, a submission and a schedule.
func TestASubmissionThatCanNotBeIsWrongUsage(t *testing.T) {
	t.Setenv("HEROSUP_STATE", t.TempDir())
	for _, args := range [][]string{{"/"}, {"-e", "true", "--start-by", "0s"}} {
		for _, command := range [][]string{{"run"}, {"submit"}, {"schedule", "add", "s", "@daily"}} {
			var said strings.Builder
			args := slices.Concat(command, []string{"bash"}, args)
			if got := run(t.Context(), args, strings.NewReader(""), io.Discard, &said); got != exitUsage {
				t.Errorf("%v: status %d, %q", args, got, said.String())
			}
		}
	}
}
