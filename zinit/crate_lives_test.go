package zinit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/wire"
	"herosup/zinit/zinittest"
)

// polite ends well when it is told to end, which a zinit of crates.io shows just as the end
// of one that it is about to start again.
func polite() zinit.Service {
	return zinit.Service{Exec: []string{"sh", "-c", `trap "exit 0" TERM; echo ready; while :; do sleep 1 & wait; done`}}
}

// A service that ends well by itself in the moment in which it is stopped is not said to be
// stopped while its next life is to come.
func TestCrateStopOfWhatHasEndedWell(t *testing.T) {
	b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	const name = "polite"
	if err := b.client.TakeUp(t.Context(), name, polite()); err != nil {
		t.Fatal(err)
	}
	pid := ready(b, name)
	var ended atomic.Bool
	c := newCut(t, b.zinit.Socket, false, func(method string) bool {
		if method == "service.stop" && !ended.Swap(true) {
			_ = syscall.Kill(pid, syscall.SIGTERM)
			zinittest.Eventually(t, "it has ended", func() error {
				if s, err := b.client.Status(t.Context(), name); err != nil || s.State.Kind != zinit.Success {
					return fmt.Errorf("%+v, %w", s, err)
				}
				return nil
			})
		}
		return true
	})
	if err := zinittest.Dial(t, c.socket).Stop(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	neverAgain(b, name)
}

// A stop that crosses a death which that zinit has not noticed yet is refused by it, without
// a word of the next life that it then starts: that one is stopped, too.
func TestCrateStopOfWhatHasJustDied(t *testing.T) {
	b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	const name = "dies"
	if err := b.client.TakeUp(t.Context(), name, zinittest.Child(t, "say", "ready")); err != nil {
		t.Fatal(err)
	}
	pid := ready(b, name)
	var died atomic.Bool
	c := newCut(t, b.zinit.Socket, false, func(string) bool { return true })
	c.refuses = func(method string) string {
		if method != "service.stop" || died.Swap(true) {
			return ""
		}
		kill(t, pid, syscall.SIGKILL)
		zinittest.Eventually(t, "its death is noticed", func() error {
			if s, err := b.client.Status(t.Context(), name); err != nil || s.PID == pid {
				return fmt.Errorf("%+v, %w", s, err)
			}
			return nil
		})
		// Its words, seen in one of some 5,000 rounds of TestCrateExecutorKilledAtAnyStep.
		return "signal error for service '' (signal SIGTERM): ESRCH: No such process"
	}
	if err := zinittest.Dial(t, c.socket).Stop(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	neverAgain(b, name)
}

// A removal may come later than the next start that it is to prevent. That zinit ends the process
// then, and lays its end to who has been moved into the gap: which is none that would be started for that.
func TestCrateRemovalBehindANextStart(t *testing.T) {
	b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	var late atomic.Bool
	c := newCut(t, b.zinit.Socket, false, func(method string) bool {
		if method == "service.delete" && late.Swap(false) {
			runs(b, prefix+actor, 0)
		}
		return true
	})
	b.socket = c.socket
	b.execute()
	life := b.up()
	const last = "work_2"
	b.order(events.StartProcess{Node: events.LocalNode, Actor: last, Pool: pool})
	rests := expect[events.ProcessStarted](b).Incarnation
	b.order(events.StopProcess{Node: events.LocalNode, Actor: last, Pool: pool, Incarnation: rests})
	expect[events.ProcessExited](b)
	late.Store(true)
	kill(t, life.PID, syscall.SIGKILL)
	expect[events.ProcessExited](b)
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
	expect[events.ProcessObserved](b, events.ZinitLost{}, events.ZinitBack{}, events.ProcessStarted{}, events.ProcessExited{})
	if late.Load() {
		t.Fatal("nothing was removed")
	}
	neverAgain(b, prefix+last)
}

// neverAgain wants that no life comes of a service: another that dies now, and is started again
// after the shortest pause, comes later than any that was on its way.
func neverAgain(b *bed, name string) {
	b.t.Helper()
	const other = "other"
	if err := b.client.TakeUp(b.t.Context(), other, zinittest.Child(b.t, "say", "ready")); err != nil {
		b.t.Fatal(err)
	}
	pid := runs(b, other, 0)
	kill(b.t, pid, syscall.SIGKILL)
	runs(b, other, pid)
	if s, err := b.client.Status(b.t.Context(), name); s.PID != 0 || err != nil && !errors.Is(err, zinit.ServiceNotFound) {
		b.t.Errorf("%s is there again: %+v, %v", name, s, err)
	}
}

// runs waits until zinit has a process of a service, another than this one.
func runs(b *bed, name string, but int) (pid int) {
	b.t.Helper()
	zinittest.Eventually(b.t, name+" is started", func() error {
		s, err := b.client.Status(b.t.Context(), name)
		if pid = s.PID; err != nil || pid == but || pid == 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	return pid
}

// An actor that is started while that zinit is about to start it again, and then stopped, stays
// so: that zinit does not take back a start that it has in mind.
func TestCrateStopAfterAStartBetweenLives(t *testing.T) {
	b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	b.execute()
	life := b.up()
	kill(t, life.PID, syscall.SIGKILL)
	expect[events.ProcessExited](b, events.ProcessReady{})
	b.order(b.startOrder())
	next := expect[events.ProcessStarted](b).Incarnation
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: next})
	if got := expect[events.ProcessExited](b, events.ProcessStarted{}); got.Incarnation != next {
		t.Errorf("stopped: %+v, want %s", got, next)
	}
	neverAgain(b, prefix+actor)
}

// One that waits to be started again may not be moved in the list of that zinit: it would never be.
func TestCrateDoesNotMoveWhatIsAboutToRun(t *testing.T) {
	b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	const before, last = "before", "last"
	for _, name := range []string{before, last} {
		if err := b.client.TakeUp(t.Context(), name, polite()); err != nil {
			t.Fatal(err)
		}
	}
	pid := ready(b, last)
	if err := b.client.Stop(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	zinittest.Eventually(t, "it has ended", func() error {
		if s, err := b.client.Status(t.Context(), last); err != nil || s.PID != 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	if err := b.client.Remove(t.Context(), before); !errors.Is(err, zinit.ProcessError) {
		t.Errorf("removed: %v", err)
	}
	zinittest.Eventually(t, "it is started again", func() error {
		if s, err := b.client.Status(t.Context(), last); err != nil || s.PID == 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
}

// An actor that zinit has lost sight of, by what somebody else has removed, is started again all
// the same when its end has come, and can be removed in the end.
func TestCrateLostActor(t *testing.T) {
	b, life := lostActor(t)
	b.order(b.startOrder())
	next := expect[events.ProcessStarted](b, events.ZinitLost{}, events.ZinitBack{}, events.ProcessObserved{}).Incarnation
	if s, err := b.client.Status(t.Context(), prefix+actor); err != nil || s.PID != next.PID || next == life {
		t.Errorf("started: %s, and zinit has %+v, %v", next, s, err)
	}
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: next})
	expect[events.ProcessExited](b, events.ProcessReady{})
	if err := b.client.Remove(t.Context(), prefix+actor); err != nil {
		t.Error(err)
	}
}

// The number of an actor that zinit has lost sight of goes to a stranger: that one is not taken for the actor, and nobody signals it.
func TestCrateLostActorsPIDIsGivenToAStranger(t *testing.T) {
	b, life := lostActor(t)
	stranger := giveAway(t, life.PID)
	if s, err := b.client.Status(t.Context(), prefix+actor); err != nil || s.PID != 0 {
		t.Errorf("a stranger is taken for the actor: %+v, %v", s, err)
	}
	b.order(events.ObserveProcesses{Node: events.LocalNode})
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Down: true})
	b.order(b.startOrder())
	expect[events.ProcessStartFailed](b, events.ProcessExited{}, events.CommandRejected{}, events.ProcessObserved{})
	if !stranger.Alive() {
		t.Error("the stranger was ended")
	}
}

// lostActor is an actor that zinit has lost sight of, by what somebody else has removed, and whose end has come.
func lostActor(t *testing.T) (b *bed, life events.Incarnation) {
	t.Helper()
	b = newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	if err := b.client.Create(t.Context(), "foreign", polite()); err != nil {
		t.Fatal(err)
	}
	b.execute()
	life = b.up()
	somebody, err := wire.Dial(t.Context(), b.zinit.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = somebody.Close() })
	if _, err := fmt.Fprintln(somebody, `{"jsonrpc":"2.0","id":1,"method":"service.delete","params":{"name":"foreign"}}`); err != nil {
		t.Fatal(err)
	}
	if answer, err := wire.NewScanner(somebody).Next(); err != nil || !strings.Contains(string(answer), "true") {
		t.Fatalf("%s, %v", answer, err)
	}
	kill(t, life.PID, syscall.SIGKILL)
	expect[events.ProcessExited](b, events.ProcessReady{})
	return b, life
}

// giveAway gives a number that no process has to one of ours.
func giveAway(t *testing.T, pid int) events.Incarnation {
	t.Helper()
	const last = "/proc/sys/kernel/ns_last_pid"
	for range 1000 {
		if err := os.WriteFile(last, []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Skipf("NO RIGHTS: no PID can be given away, whether its new owner is spared was not tested: %v", err)
		}
		cmd := exec.Command("sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid == pid {
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			life, err := events.IncarnationOf(pid)
			if err != nil {
				t.Fatal(err)
			}
			return life
		}
		_ = cmd.Process.Kill() // somebody else was faster
		_ = cmd.Wait()
	}
	t.Fatalf("PID %d is not to be had", pid)
	return events.Incarnation{}
}

// The PID that was given last is the farthest of all.
func TestTurnsToAPID(t *testing.T) {
	for _, c := range []struct{ pid, last, want int }{{8, 7, 1}, {7, 7, 100}, {6, 7, 99}, {1, 99, 2}, {99, 1, 98}} {
		if got := zinit.Turns(c.pid, c.last, 100); got != c.want {
			t.Errorf("to %d behind %d: %d, want %d", c.pid, c.last, got, c.want)
		}
	}
}

// A stop that takes a service out between two lives and puts it back is not left half done by who
// loses patience: the service is somebody's.
func TestCrateStopPutsBack(t *testing.T) {
	b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	const name = "somebodys"
	if err := b.client.TakeUp(t.Context(), name, zinittest.Child(t, "exit", "3")); err != nil {
		t.Fatal(err)
	}
	zinittest.Eventually(t, "it has ended", func() error {
		if s, err := b.client.Status(t.Context(), name); err != nil || s.PID != 0 || s.State.Kind != zinit.Exited {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newCut(t, b.zinit.Socket, false, func(method string) bool {
		if method == "service.delete" {
			cancel()
		}
		return true
	})
	_ = zinittest.Dial(t, c.socket).Stop(ctx, name)
	c.end()
	if ctx.Err() == nil {
		t.Error("it was not taken out")
	}
	if _, err := b.client.Get(t.Context(), name); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

// What was stopped between two lives can be started.
func TestCrateStartAfterAStopBetweenLives(t *testing.T) {
	b := newBedOver(t, zinittest.StartCrate(t, zinittest.Crate(t), t.TempDir()))
	const name = "twice"
	if err := b.client.TakeUp(t.Context(), name, zinittest.Child(t, "say", "ready")); err != nil {
		t.Fatal(err)
	}
	kill(t, ready(b, name), syscall.SIGKILL)
	zinittest.Eventually(t, "it has ended", func() error {
		if s, err := b.client.Status(t.Context(), name); err != nil || s.PID != 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	if err := errors.Join(b.client.Stop(t.Context(), name), b.client.Start(t.Context(), name)); err != nil {
		t.Fatal(err)
	}
	pid := ready(b, name)
	if err := b.client.Stop(t.Context(), name); err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		t.Errorf("stopped: %v", err)
	}
}
