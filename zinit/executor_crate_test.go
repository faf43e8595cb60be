package zinit_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// An actor under the zinit of crates.io, from its start to its end and on: what is
// stopped stays listed, and is started again as it is or, if its template has
// changed, anew.
func TestExecutorOverTheCrate(t *testing.T) {
	binary := zinittest.Crate(t)
	b := newBedOver(t, zinittest.StartCrate(t, binary, t.TempDir()))
	b.execute()
	life := b.up()
	kill(t, life.PID, syscall.SIGKILL)
	if got := expect[events.ProcessExited](b, events.ProcessReady{}); got.Incarnation != life || got.Signal != "SIGKILL" {
		t.Errorf("exited: %+v", got)
	}
	next := expect[events.ProcessStarted](b).Incarnation
	stop := func() {
		b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: next})
	}
	for range 3 {
		stop()
		if got := expect[events.ProcessExited](b, events.ProcessReady{}); got.Incarnation != next || !got.ByUs {
			t.Errorf("stopped: %+v, want %s", got, next)
		}
		next = b.up()
	}
	stop()
	expect[events.ProcessExited](b, events.ProcessReady{})
	b.stop()

	b.execute(withChild(t, "args", "another"))
	if got := expect[events.ProcessObserved](b); got.WantedUp || !got.Incarnation.IsZero() {
		t.Errorf("observed: %+v", got)
	}
	life = b.up()
	b.order(events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
	if got := expect[events.ProcessExited](b, events.ProcessReady{}); got.Incarnation != life {
		t.Errorf("restarted: %+v, want %s", got, life)
	}
	expect[events.ProcessStarted](b)
	if got, err := b.client.Get(t.Context(), prefix+actor); err != nil || got.Exec[1] != "args" {
		t.Errorf("its command: %+v, %v", got, err)
	}
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Down: true})
	expect[events.ProcessExited](b, events.ProcessReady{})

	zinittest.Eventually(t, "it can be removed", func() error { return b.client.Remove(t.Context(), prefix+actor) })
	if left, err := filepath.Glob(b.zinit.Dir + "/*.toml"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// An actor that was stopped and had ended well is not taken for one that is about to
// be started again, neither by who stopped it nor by who comes later.
func TestStoppedWellOverTheCrate(t *testing.T) {
	binary := zinittest.Crate(t)
	b := newBedOver(t, zinittest.StartCrate(t, binary, t.TempDir()))
	well := func(c *zinit.ExecutorConfig) {
		script := `trap "exit 0" TERM; echo ready; while :; do sleep 1 & wait; done`
		c.Pools = map[string]zinit.Template{pool: {Exec: []string{"sh", "-c", script}}}
	}
	b.execute(well)
	life := b.up()
	zinittest.Eventually(t, "it is ready", func() error {
		lines, err := b.client.CurrentLogs(t.Context(), prefix+actor)
		if len(lines) == 0 {
			return fmt.Errorf("no line, %w", err)
		}
		return err
	})
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	if got := expect[events.ProcessExited](b, events.ProcessReady{}); got.ExitCode != 0 || got.Signal != "" {
		t.Errorf("exited: %+v", got)
	}
	zinittest.Eventually(t, "it rests", func() error {
		if s, err := b.client.Status(t.Context(), prefix+actor); err != nil || s.PID != 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	b.stop()
	b.execute(well)
	if got := expect[events.ProcessObserved](b); got.WantedUp || !got.Incarnation.IsZero() {
		t.Errorf("observed: %+v", got)
	}
	b.up()
}

// Many actors come and go at a time, and each is seen to end: none is lost to that
// zinit by what is done to another.
func TestManyActorsOverTheCrate(t *testing.T) {
	binary := zinittest.Crate(t)
	b := newBedOver(t, zinittest.StartCrate(t, binary, t.TempDir()))
	b.execute()
	const many = 6
	lives := map[string]events.Incarnation{}
	for i := range many {
		b.order(events.StartProcess{Node: events.LocalNode, Actor: fmt.Sprintf("work_%d", i+1), Pool: pool})
	}
	for range many {
		e := expect[events.ProcessStarted](b)
		lives[e.Actor] = e.Incarnation
	}
	for round := range 3 {
		for actor, life := range lives { // some are stopped, the others killed
			if actor <= "work_3" {
				b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
			}
		}
		for range 3 {
			e := expect[events.ProcessExited](b)
			if e.Incarnation != lives[e.Actor] || e.Actor > "work_3" {
				t.Errorf("round %d: exited: %+v", round, e)
			}
		}
		for actor, life := range lives {
			if actor > "work_3" {
				kill(t, life.PID, syscall.SIGKILL)
			} else {
				b.order(events.StartProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
			}
		}
		for range many {
			e := expect[events.ProcessStarted](b, events.ProcessExited{})
			lives[e.Actor] = e.Incarnation
		}
	}
	if all, err := b.client.List(t.Context()); err != nil || len(all) != many {
		t.Errorf("%v, %v", all, err)
	}
	for actor, life := range lives {
		if s, err := b.client.Status(t.Context(), prefix+actor); err != nil || s.PID != life.PID || s.State.Kind != zinit.Running {
			t.Errorf("%s: %+v, %v, want %s", actor, s, err, life)
		}
	}
}

// An actor is made anew though another comes behind it in the list of that zinit, which
// would lose sight of that one: a stand-in is moved in its place, and goes when it can.
func TestExecutorReplacesInTheCratesList(t *testing.T) {
	binary := zinittest.Crate(t)
	b := newBedOver(t, zinittest.StartCrate(t, binary, t.TempDir()))
	b.execute()
	life := b.up()
	b.order(events.StartProcess{Node: events.LocalNode, Actor: "work_2", Pool: pool})
	second := expect[events.ProcessStarted](b).Incarnation
	b.stop()

	listed := func(want int) {
		t.Helper()
		if all, err := b.client.List(t.Context()); err != nil || len(all) != want {
			t.Errorf("listed: %v, %v, want %d", all, err, want)
		}
	}
	for i, order := range []events.Event{
		events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool},
		events.KillProcess{Node: events.LocalNode, Actor: "work_2", Pool: pool, Replace: true},
	} {
		b.execute(withChild(t, "args", fmt.Sprint("another", i)))
		expect[events.ProcessObserved](b)
		expect[events.ProcessObserved](b)
		b.order(order)
		if got, want := expect[events.ProcessExited](b), []events.Incarnation{life, second}[i]; got.Incarnation != want || !got.ByUs {
			t.Errorf("exited: %+v, want %s", got, want)
		}
		next := expect[events.ProcessStarted](b)
		listed(3 + i)
		if i == 0 {
			if !second.Alive() {
				t.Error("the second has ended, too")
			}
			kill(t, second.PID, syscall.SIGKILL)
			expect[events.ProcessExited](b, events.ProcessStarted{}) // the first's start may be told again
			for started := (events.ProcessStarted{}); started.Actor != "work_2"; second = started.Incarnation {
				started = expect[events.ProcessStarted](b)
			}
			life = next.Incarnation
		}
		b.stop()
	}
	b.execute(withChild(t, "args", "last"))
	b.order(events.KillProcess{Node: events.LocalNode, Actor: "work_2", Pool: pool, Down: true}) // it is last
	expect[events.ProcessExited](b, events.ProcessObserved{})
	b.order(events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	expect[events.ProcessStarted](b, events.ProcessExited{}, events.ProcessObserved{})
	listed(2)
}
