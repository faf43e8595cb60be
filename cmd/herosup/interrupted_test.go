package main

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"herosup/cmd/internal/state"
	"herosup/events/external"
)

// pretend makes this process the daemon of a new state folder, and the environment name that. start says how to reach its bus.
func pretend(t *testing.T, start func(*state.Folder) state.Runtime) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HEROSUP_STATE", dir)
	f, err := state.Make(dir)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Release() })
	r := start(f)
	r.PID, r.Prefix = os.Getpid(), "hero"
	if err := f.WriteRuntime(r); err != nil {
		t.Fatal(err)
	}
}

// A bus that takes a connection and says nothing does not hold up an interruption.
func TestAConnectionThatDoesNotComeIsInterrupted(t *testing.T) {
	for _, args := range [][]string{{"run", "bash", "-e", "true"}, {"submit", "bash", "-e", "true"}, {"status"}} {
		mute, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer mute.Close()
		pretend(t, func(*state.Folder) state.Runtime {
			url := "nats://" + mute.Addr().String()
			return state.Runtime{NATS: url, External: &external.Access{URL: url}}
		})
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		go func() {
			if c, err := mute.Accept(); err == nil {
				interrupt()
				defer c.Close()
				<-t.Context().Done()
			}
		}()
		var said strings.Builder
		if got := run(ctx, args, strings.NewReader(""), io.Discard, &said); got != exitInterrupted || said.String() != "error: interrupted\n" {
			t.Errorf("%v: status %d, %q", args, got, said.String())
		}
	}
}
