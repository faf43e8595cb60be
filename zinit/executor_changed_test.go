package zinit_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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
				if got := expect[events.ProcessExited](b, events.ProcessReady{}, events.ProcessStarted{}); got.Incarnation != old || !got.ByUs {
					t.Errorf("%s: exited: %+v, want %s", what, got, old)
				} else if dialect == "json-rpc" && got.Signal != "SIGTERM" {
					t.Errorf("%s: it ended by %q", what, got.Signal)
				}
				next := expect[events.ProcessStarted](b, events.ProcessReady{}).Incarnation // it may be told again
				s, err := b.client.Get(t.Context(), prefix+actor)
				if err != nil || !slices.Equal(s.Exec[1:], []string{"args", "another"}) || next == old {
					t.Errorf("%s: %s runs %q, %v", what, next, s.Exec, err)
				}
				old = next
			}
			b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: old})
			expect[events.ProcessExited](b, events.ProcessReady{}, events.ProcessStarted{})
		})
	}
}

// So is what starts when a restart has waited for a job as long as it was to: it is not
// given the time that a stop has.
func TestExecutorReplacesAtADeadline(t *testing.T) {
	for dialect, newBed := range dialectBeds {
		t.Run(dialect, func(t *testing.T) {
			b := newBed(t)
			b.execute(withLongStop(t, "ignore", "SIGTERM"))
			old := b.up()
			b.stop()

			b.execute(withLongStop(t, "args", "another"))
			expect[events.ProcessObserved](b)
			for _, what := range []string{"changed", "the same"} {
				b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: old, Replace: true})
				if got := expect[events.ProcessExited](b, events.ProcessStarted{}); got.Incarnation != old || !got.ByUs {
					t.Errorf("%s: exited: %+v, want %s", what, got, old)
				}
				next := expect[events.ProcessStarted](b).Incarnation
				s, err := b.client.Get(t.Context(), prefix+actor)
				if err != nil || !slices.Equal(s.Exec[1:], []string{"args", "another"}) || next == old {
					t.Errorf("%s: %s runs %q, %v", what, next, s.Exec, err)
				}
				old = next
			}
			b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Down: true})
			expect[events.ProcessExited](b, events.ProcessStarted{})
		})
	}
}

// withLongStop gives a child that is stopped more time than a test has.
func withLongStop(t *testing.T, words ...string) config {
	return func(c *zinit.ExecutorConfig) {
		withChild(t, words...)(c)
		p := c.Pools[pool]
		p.StopTimeout = 10 * time.Minute
		c.Pools[pool] = p
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
	restart := events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool}
	kill := events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life, Replace: true}
	for _, words := range [][]string{{"say", "hello"}, {"args"}} {
		b.stop()
		b.execute(with(words...))
		if got := expect[events.ProcessObserved](b); got.Incarnation != life {
			t.Fatalf("observed: %+v, want %s", got, life)
		}
		if err := os.Remove(program); err != nil {
			t.Fatal(err)
		}
		for _, order := range []events.Event{restart, kill} {
			b.order(order)
			got := expect[events.ProcessStartFailed](b)
			if want := "program " + program + " does not exist"; got.Reason != want || got.Kept != life {
				t.Errorf("%q: got %+v, want %q and %s", words, got, want, life)
			}
			if b.quiet(); !life.Alive() {
				t.Fatalf("%q: the actor was ended by %T", words, order)
			}
		}
		link()
	}
	dir := filepath.Dir(program)
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	for folder, why := range map[string]string{"gone": "gone is not there", "loop": "too many levels of symbolic links", "actor": "is none", "actor/x": "not a directory"} {
		b.stop()
		b.execute(with("args"), func(c *zinit.ExecutorConfig) {
			p := c.Pools[pool]
			p.Dir = filepath.Join(dir, folder)
			c.Pools[pool] = p
		})
		expect[events.ProcessObserved](b)
		b.order(restart)
		if got := expect[events.ProcessStartFailed](b); got.Kept != life || !strings.Contains(got.Reason, why) {
			t.Errorf("in %s: %+v, want %q", folder, got, why)
		}
	}
	if err := syscall.Kill(life.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := expect[events.ProcessExited](b); got.ByUs || got.Signal != "SIGKILL" {
		t.Errorf("its end was of nobody's order: %+v", got)
	}
}

// One that hangs is killed and not replaced on order: that ends it also when no other can come, which is told.
func TestExecutorEndsWhatHangsWithoutAProgram(t *testing.T) {
	b, life, program := newProgramlessBed(t)
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	if got := expect[events.ProcessExited](b); got.Incarnation != life || !got.ByUs {
		t.Errorf("exited: %+v, want %s", got, life)
	}
	if got := expect[events.ProcessStartFailed](b); !got.Missing || !got.Kept.IsZero() || !strings.Contains(got.Reason, program+" does not exist") {
		t.Errorf("failed: %+v", got)
	}
}

// A kill that comes while a restart asks is not forgotten by that one's failure: the exit is by our order, and has its cause.
func TestExecutorFailedRestartForgetsNoKill(t *testing.T) {
	b, life, _ := newProgramlessBed(t)
	freeze(t, b.zinit.PID())
	b.order(events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	b.order(events.StartProcess{Node: events.LocalNode, Actor: "other_1", Pool: "other"})
	if got := expect[events.CommandRejected](b); got.Code != "unknown_pool" {
		t.Fatalf("%+v", got)
	}
	kill(t, b.zinit.PID(), syscall.SIGCONT)
	if got := expect[events.ProcessExited](b, events.ProcessStartFailed{}); got.Incarnation != life || !got.ByUs || got.Signal != "SIGKILL" {
		t.Errorf("exited: %+v", got)
	}
}

// A scale-down of what is being restarted: zinit may have the next process or not when the stop of this one is
// obeyed. One that was told is stopped by the keeper, too; no process and no service is left, and each life ends once.
func TestExecutorStopBehindARestart(t *testing.T) {
	for _, restart := range []func(events.Incarnation) events.Event{
		func(i events.Incarnation) events.Event {
			return events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: i}
		},
		func(i events.Incarnation) events.Event {
			return events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: i}
		},
	} {
		b := newExecutorBed(t, withChild(t, "say", "hello"))
		for range 10 {
			b.order(b.startOrder())
			// The answer to the last stop of the round before comes first: one actor's orders go one after the other.
			life := expect[events.ProcessStarted](b, events.ProcessObserved{}).Incarnation
			stop := func(i events.Incarnation) {
				b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: i})
			}
			b.order(restart(life))
			stop(life)
			alive := map[events.Incarnation]bool{life: true}
			for gone, late := false, time.After(zinittest.Patience); !gone; {
				select {
				case <-late:
					t.Fatalf("not gone: %v", alive)
				case raw := <-b.facts.C:
					m, err := b.facts.Open(raw)
					if err != nil {
						t.Fatal(err)
					}
					switch e := m.Event.(type) {
					case events.ProcessStarted:
						if _, known := alive[e.Incarnation]; !known {
							alive[e.Incarnation] = true
							stop(e.Incarnation) // as the keeper does, once the gate is closed
						}
					case events.ProcessExited:
						if !alive[e.Incarnation] || !e.ByUs { // the stop that hits the next life may not name it
							t.Fatalf("%+v of %v", e, alive)
						}
						alive[e.Incarnation] = false
					case events.ProcessObserved: // the stop found nothing
					default:
						t.Fatalf("%+v", e)
					}
				case <-time.After(time.Millisecond): // the service is in another process
					_, err := b.client.Status(t.Context(), prefix+actor)
					gone = errors.Is(err, zinit.ServiceNotFound) && !slices.Contains(slices.Collect(maps.Values(alive)), true)
				}
			}
			b.gone()
			b.quiet()
		}
	}
}

// A script that nothing can read any more is no program either.
func TestExecutorKeepsWhatLostItsInterpreter(t *testing.T) {
	program, gone := filepath.Join(t.TempDir(), "actor"), filepath.Join(t.TempDir(), "sh")
	script := func(line string) {
		t.Helper()
		if err := os.WriteFile(program+".new", []byte(line+"\nexec sleep 1000\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(program+".new", program); err != nil {
			t.Fatal(err)
		}
	}
	script("#!/bin/sh")
	b := newExecutorBed(t, func(c *zinit.ExecutorConfig) {
		c.Pools = map[string]zinit.Template{pool: {Exec: []string{program}}}
	})
	life := b.up()
	// A shell opens its script by name when it is a process already: until then no other may take the name.
	read := func(life events.Incarnation) {
		t.Helper()
		zinittest.Eventually(t, "the script is read", func() error {
			name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", life.PID))
			if err == nil && string(name) != "sleep\n" {
				err = fmt.Errorf("it is %q", name)
			}
			return err
		})
	}
	read(life)
	restart := events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life}
	for line, why := range map[string]string{
		"#! " + gone + " -e": gone + " does not exist",
		"#!/bin/sh\r":        `"/bin/sh\r" does not exist`,
		"#!" + t.TempDir():   "is a folder",
		"":                   "is no file",
	} {
		if script(line); line == "" {
			_ = os.Remove(program)
			if err := syscall.Mkfifo(program, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		b.order(restart)
		if got := expect[events.ProcessStartFailed](b); got.Kept != life || !strings.Contains(got.Reason, why) || !strings.Contains(got.Reason, program) {
			t.Errorf("%q: %+v, want %q", line, got, why)
		}
	}
	for _, line := range []string{"#!/usr/bin/env sh", "#!\t/bin/sh -e", "#!/bin/sh"} {
		script(line)
		b.order(restart)
		expect[events.ProcessExited](b)
		restart.Incarnation = expect[events.ProcessStarted](b).Incarnation
		read(restart.Incarnation)
	}
}

// One that only zinit finds unfit to run, when the process before it is gone, is told as
// soon as zinit has given it up.
func TestExecutorTellsARestartThatZinitGaveUp(t *testing.T) {
	b, life, program := newProgramlessBed(t)
	if err := os.WriteFile(program, []byte("\x7fELF it is not"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.order(events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	if got := expect[events.ProcessExited](b); got.Incarnation != life || !got.ByUs {
		t.Errorf("exited: %+v, want %s", got, life)
	}
	if got := expect[events.ProcessStartFailed](b); !got.Kept.IsZero() || !strings.Contains(got.Reason, "Failure") {
		t.Errorf("failed: %+v", got)
	}
	b.order(b.startOrder())
	expect[events.ProcessStartFailed](b)
	b.quiet() // what zinit says of it now is no news
}
