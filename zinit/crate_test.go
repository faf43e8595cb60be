package zinit_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// What that zinit can not reach is not said to be stopped, nor to be signalled.
func TestCrateOutOfReach(t *testing.T) {
	b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	const name = "astray"
	if err := b.client.TakeUp(t.Context(), name, zinittest.Child(t, "leave-group")); err != nil {
		t.Fatal(err)
	}
	pid := ready(b, name)
	for what, err := range map[string]error{
		"stop": b.client.Stop(t.Context(), name),
		"kill": b.client.Kill(t.Context(), name, "SIGKILL"),
	} {
		if want := fmt.Sprintf("PID %d lives", pid); !errors.Is(err, zinit.ProcessError) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
}

// A stop takes the time that the service gives itself, however soon the client would
// lose patience; and what lives on then is an error that says so.
func TestExecutorStopsInTheServicesTimeOverTheCrate(t *testing.T) {
	for name, c := range map[string]struct {
		words []string
		left  bool
	}{
		"ends":     {words: []string{"ignore", "SIGTERM"}},
		"lives on": {words: []string{"leave-group", "TERM"}, left: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
			b.options = zinit.Options{StopTimeout: 200 * time.Millisecond}
			b.execute(withChild(t, c.words...))
			life := b.up()
			ready(b, prefix+actor)
			b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
			if !c.left {
				if got := expect[events.ProcessExited](b); got.Incarnation != life {
					t.Errorf("stopped: %+v, want %s", got, life)
				}
				return
			}
			if got, want := expect[events.CommandRejected](b), fmt.Sprintf("PID %d lives on", life.PID); !strings.Contains(got.Reason, want) {
				t.Errorf("rejected: %+v, want %q", got, want)
			}
		})
	}
}

// ready waits until the child has said so, and returns its PID. Out of reach as it may get,
// it ends with the test.
func ready(b *bed, name string) (pid int) {
	b.t.Helper()
	zinittest.Eventually(b.t, name+" is ready", func() error {
		lines, err := b.client.CurrentLogs(b.t.Context(), name)
		if !strings.Contains(strings.Join(lines, "\n"), "ready") {
			s, down := b.client.Status(b.t.Context(), name)
			return errors.Join(fmt.Errorf("it has said %q; zinit has %+v", lines, s), err, down)
		}
		return nil
	})
	s, err := b.client.Status(b.t.Context(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if group, err := syscall.Getpgid(s.PID); err == nil {
			_ = syscall.Kill(-group, syscall.SIGKILL)
		}
	})
	return s.PID
}
