package main

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"herosup/cmd/internal/state"
	"herosup/events/embedded"
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

// A submission that is interrupted while the log's word, or the daemon's, is awaited may be a job already: its id is said.
func TestAnInterruptedSubmissionNamesItsJob(t *testing.T) {
	for _, answer := range []string{"", `{"stream":"HERO_JOBS","seq":1}`} {
		var srv *embedded.Server
		pretend(t, func(f *state.Folder) state.Runtime {
			var err error
			if srv, err = embedded.Start(embedded.Config{Dir: f.Path("nats"), State: "0a1b2c3d"}); err != nil {
				t.Fatal(err)
			}
			return state.Runtime{NATS: srv.URL()}
		})
		defer srv.Stop()
		bus, err := srv.Connect("test")
		if err != nil {
			t.Fatal(err)
		}
		defer bus.Close()
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		sub, err := bus.Conn().SubscribeSync("hero.cmd.job.submit.bash")
		if err != nil {
			t.Fatal(err)
		}
		if err := bus.Conn().Flush(); err != nil {
			t.Fatal(err)
		}
		go func() {
			if m, err := sub.NextMsgWithContext(t.Context()); err == nil {
				if answer != "" {
					_ = m.Respond([]byte(answer))
				}
				interrupt()
			}
		}()
		var said strings.Builder
		got := run(ctx, []string{"submit", "bash", "-e", "true", "--id", "j1"}, strings.NewReader(""), io.Discard, &said)
		if got != exitInterrupted || !strings.Contains(said.String(), "submit job j1: ") || !strings.Contains(said.String(), "under --id j1") {
			t.Errorf("answered %q: status %d, %q", answer, got, said.String())
		}
	}
}
