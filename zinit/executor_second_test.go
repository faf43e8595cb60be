package zinit_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// upToOutlive starts an actor that lives on without its zinit: it has said its word, by which it would end, as nobody reads it.
func (b *bed) upToOutlive() events.Incarnation {
	b.t.Helper()
	life := b.up()
	b.t.Cleanup(func() { _ = syscall.Kill(-life.PID, syscall.SIGKILL) })
	zinittest.Eventually(b.t, "it has said its word", func() error {
		lines, err := b.client.CurrentLogs(b.t.Context(), prefix+actor)
		if len(lines) == 0 {
			return fmt.Errorf("no line, %w", err)
		}
		return err
	})
	return life
}

// A zinit that was killed and adopts nothing (the rewrite, and the original) starts a
// second process of an actor beside the one that lives on. There is one at the end, the
// one that zinit has: the exit of the first is told before the second is.
func TestExecutorEndsTheFirstOfTwo(t *testing.T) {
	binary := zinittest.Crate(t)
	b := newBedOver(t, zinittest.StartCrate(t, binary, t.TempDir()))
	b.execute()
	life := b.upToOutlive()
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

// The second says hello while zinit does not answer: the first is ended as soon as zinit says that the second is its own.
func TestExecutorEndsTheFirstWhenZinitAnswers(t *testing.T) {
	binary := zinittest.Crate(t)
	b := newBedOver(t, zinittest.StartCrate(t, binary, t.TempDir()))
	b.options = zinit.Options{Timeout: time.Second}
	b.execute(func(c *zinit.ExecutorConfig) { c.PollEvery = time.Hour }) // it does not look by itself
	life := b.upToOutlive()
	b.zinit.Kill(t)
	b.zinit = zinittest.StartCrateIn(t, binary, b.zinit.Dir, b.zinit.Socket)
	var second events.Incarnation
	zinittest.Eventually(t, "it has the second", func() error {
		s, err := b.client.Status(t.Context(), prefix+actor)
		if err == nil {
			second, err = events.IncarnationOf(s.PID)
		}
		return err
	})
	freeze(t, b.zinit.PID())
	b.hello(second)
	around := []events.Event{events.ZinitBack{}, events.ProcessObserved{}, events.ActorRegistered{}}
	expect[events.ZinitLost](b, around...)
	kill(t, b.zinit.PID(), syscall.SIGCONT)
	if got := expect[events.ProcessExited](b, around...); got.Incarnation != life || !got.ByUs || life.Alive() {
		t.Errorf("exited: %+v, want %s", got, life)
	}
	if got := expect[events.ProcessStarted](b, around...).Incarnation; got != second {
		t.Errorf("started: %s, want %s", got, second)
	}
}

// What zinit does not know any more is ended by the executor itself.
func TestExecutorEndsWhatZinitLost(t *testing.T) {
	b := newExecutorBed(t)
	life := b.up()
	b.zinit.Kill(t)
	b.zinit = zinittest.StartIn(t, t.TempDir(), b.zinit.Socket)
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	if got := expect[events.ProcessExited](b, events.ZinitLost{}, events.ZinitBack{}, events.ProcessObserved{}); got.Incarnation != life || !got.ByUs || life.Alive() {
		t.Errorf("exited: %+v, want %s", got, life)
	}
}
