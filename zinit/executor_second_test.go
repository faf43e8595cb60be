package zinit_test

import (
	"fmt"
	"syscall"
	"testing"

	"herosup/events"
	"herosup/zinit/zinittest"
)

// A zinit that was killed and adopts nothing (the rewrite, and the original) starts a
// second process of an actor beside the one that lives on. There is one at the end, the
// one that zinit has: the exit of the first is told before the second is.
func TestExecutorEndsTheFirstOfTwo(t *testing.T) {
	binary := zinittest.Crate(t)
	b := newBedOver(t, zinittest.StartCrate(t, binary, t.TempDir()))
	b.execute()
	life := b.up()
	t.Cleanup(func() { _ = syscall.Kill(-life.PID, syscall.SIGKILL) })
	zinittest.Eventually(t, "it has said its word", func() error { // later it would end by that: nobody reads
		lines, err := b.client.CurrentLogs(t.Context(), prefix+actor)
		if len(lines) == 0 {
			return fmt.Errorf("no line, %w", err)
		}
		return err
	})
	b.zinit.Kill(t)
	if !life.Alive() {
		t.Fatal("the actor ended with its zinit")
	}
	b.zinit = zinittest.StartCrateIn(t, binary, b.zinit.Dir, b.zinit.Socket)
	around := []events.Event{events.ZinitLost{}, events.ZinitBack{}, events.ProcessObserved{}}
	if got := expect[events.ProcessExited](b, around...); got.Incarnation != life || !got.ByUs || life.Alive() {
		t.Errorf("exited: %+v, want %s", got, life)
	}
	next := expect[events.ProcessStarted](b, around...).Incarnation
	if s, err := b.client.Status(t.Context(), prefix+actor); err != nil || s.PID != next.PID || next == life {
		t.Errorf("started: %s, and zinit has %+v, %v", next, s, err)
	}
	b.quiet(around...)
}

// What zinit does not know any more is ended by the executor itself.
func TestExecutorEndsWhatZinitLost(t *testing.T) {
	b := newExecutorBed(t)
	life := b.up()
	b.zinit.Kill(t)
	b.zinit = zinittest.StartIn(t, t.TempDir(), b.zinit.Socket)
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
	if got := expect[events.ProcessExited](b, events.ZinitLost{}, events.ZinitBack{}, events.ProcessObserved{}); got.Incarnation != life || !got.ByUs || life.Alive() {
		t.Errorf("exited: %+v, want %s", got, life)
	}
}
