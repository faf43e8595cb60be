package zinit_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// dialectBeds are a bed over each zinit that there is here.
var dialectBeds = map[string]func(*testing.T) *bed{
	"json-rpc": newBed,
	"text": func(t *testing.T) *bed {
		b := newBed(t)
		b.options = zinit.Options{Dialect: zinit.Text, Dir: b.zinit.Dir}
		return b
	},
	"crate": func(t *testing.T) *bed {
		return newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	},
	"original": func(t *testing.T) *bed {
		binary, dir := zinittest.Original(t), t.TempDir()
		return newBedOver(t, zinittest.StartOriginal(t, binary, dir, filepath.Join(dir, "z.sock")))
	},
}

// What a restart starts is the actor as it is configured now, whatever zinit was given
// before; and if that is the same, zinit itself starts it.
func TestExecutorRestartsWithTheNewDefinition(t *testing.T) {
	for dialect, newBed := range dialectBeds {
		t.Run(dialect, func(t *testing.T) {
			b := newBed(t)
			b.execute()
			old := b.up()
			b.stop()

			b.execute(withChild(t, "args", "another"))
			if got := expect[events.ProcessObserved](b); got.Incarnation != old {
				t.Fatalf("observed: %+v, want %s", got, old)
			}
			restart := events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool}
			for _, what := range []string{"changed", "the same"} {
				b.order(restart)
				if got := expect[events.ProcessExited](b, events.ProcessReady{}); got.Incarnation != old || !got.ByUs {
					t.Errorf("%s: exited: %+v, want %s", what, got, old)
				} else if dialect == "json-rpc" && got.Signal != "SIGTERM" {
					t.Errorf("%s: it ended by %q", what, got.Signal)
				}
				next := expect[events.ProcessStarted](b, events.ProcessReady{}).Incarnation
				s, err := b.client.Get(t.Context(), prefix+actor)
				if err != nil || !slices.Equal(s.Exec[1:], []string{"args", "another"}) || next == old {
					t.Errorf("%s: %s runs %q, %v", what, next, s.Exec, err)
				}
				old = next
			}
			b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
			expect[events.ProcessExited](b, events.ProcessReady{})
		})
	}
}

// A restart for which there is no program any more fails with that reason, and what runs
// works on: its definition may have changed or not.
func TestExecutorKeepsWhatCouldNotComeBack(t *testing.T) {
	program := filepath.Join(t.TempDir(), "actor")
	with := func(words ...string) config {
		return func(c *zinit.ExecutorConfig) {
			withChild(t, words...)(c)
			p := c.Pools[pool]
			p.Exec[0] = program
			c.Pools[pool] = p
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := func() {
		if err := os.Symlink(self, program); err != nil {
			t.Fatal(err)
		}
	}
	link()
	b := newExecutorBed(t, with("say", "hello"))
	life := b.up()
	for _, words := range [][]string{{"say", "hello"}, {"args"}} {
		b.stop()
		b.execute(with(words...))
		if got := expect[events.ProcessObserved](b); got.Incarnation != life {
			t.Fatalf("observed: %+v, want %s", got, life)
		}
		if err := os.Remove(program); err != nil {
			t.Fatal(err)
		}
		b.order(events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
		got := expect[events.ProcessStartFailed](b)
		if want := "program " + program + " does not exist"; got.Reason != want {
			t.Errorf("%q: got %q, want %q", words, got.Reason, want)
		}
		if b.quiet(); !life.Alive() {
			t.Fatalf("%q: the actor was ended", words)
		}
		link()
	}
	kill(t, life.PID, syscall.SIGKILL)
	if got := expect[events.ProcessExited](b); got.ByUs {
		t.Errorf("its end was of nobody's order: %+v", got)
	}
}
