package zinit_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// One life from its order to its end, and the next one that zinit starts itself.
func TestExecutorTellsALife(t *testing.T) {
	b := newExecutorBed(t)
	life := b.up()
	if !life.Alive() {
		t.Fatalf("%s is not alive", life)
	}
	b.hello(life)
	_ = expect[events.ActorRegistered](b)
	if got := expect[events.ProcessReady](b); got.Incarnation != life || got.Pool != pool || got.Actor != actor {
		t.Errorf("ready: %+v", got)
	}
	kill(t, life.PID, syscall.SIGINT)
	if got := expect[events.ProcessExited](b); got.Incarnation != life || got.Signal != "SIGINT" || got.ByUs {
		t.Errorf("exited: %+v", got)
	}
	next := expect[events.ProcessStarted](b).Incarnation
	if next == life || !next.Alive() {
		t.Errorf("the next life: %s after %s", next, life)
	}
	b.quiet()
}

// A hello tells of the next life also when nobody polls.
func TestExecutorHearsOfTheNextLife(t *testing.T) {
	b := newExecutorBed(t, func(c *zinit.ExecutorConfig) { c.PollEvery = time.Hour })
	life := b.up()
	b.hello(life)
	_ = expect[events.ProcessReady](b, events.ActorRegistered{})
	kill(t, life.PID, syscall.SIGKILL)
	next := b.nextLife(life)
	b.hello(next)
	_ = expect[events.ProcessExited](b, events.ActorRegistered{})
	_ = expect[events.ProcessStarted](b, events.ActorRegistered{})
	if got := expect[events.ProcessReady](b, events.ActorRegistered{}); got.Incarnation != next {
		t.Errorf("ready: %+v, want %s", got, next)
	}
}

// nextLife waits until zinit shows another process than last.
func (b *bed) nextLife(last events.Incarnation) (life events.Incarnation) {
	b.t.Helper()
	zinittest.Eventually(b.t, "the next life", func() error {
		st, err := b.client.Status(b.t.Context(), prefix+actor)
		if err != nil {
			return err
		}
		if life, err = events.IncarnationOf(st.PID); err == nil && life == last {
			err = os.ErrExist
		}
		return err
	})
	return life
}

func TestExecutorStops(t *testing.T) {
	b := newExecutorBed(t)
	life := b.up()
	stop := events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life}
	b.order(stop)
	if got := expect[events.ProcessExited](b); got.Incarnation != life || got.Signal != "SIGTERM" || !got.ByUs {
		t.Errorf("exited: %+v", got)
	}
	b.gone()
	b.order(stop) // of what is not there: that it is not there is the answer
	if got := expect[events.ProcessObserved](b); !got.Incarnation.IsZero() || got.WantedUp {
		t.Errorf("observed: %+v", got)
	}
	if again := b.up(); again == life {
		t.Errorf("started again as %s", again)
	}
}

// KILL with the target up brings the next life; with the target down nothing.
// Neither waits for a grace: the child is deaf to TERM, and the grace an hour.
func TestExecutorKills(t *testing.T) {
	b := newExecutorBed(t, withChild(t, "ignore", "SIGTERM"), func(c *zinit.ExecutorConfig) {
		p := c.Pools[pool]
		p.StopTimeout = time.Hour
		c.Pools[pool] = p
	})
	life := b.up()
	b.ready(1)
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
	if got := expect[events.ProcessExited](b); got.Incarnation != life || got.Signal != "SIGKILL" || !got.ByUs {
		t.Errorf("exited: %+v", got)
	}
	next := expect[events.ProcessStarted](b).Incarnation
	b.ready(2)
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Down: true})
	if got := expect[events.ProcessExited](b); got.Incarnation != next || got.Signal != "SIGKILL" || !got.ByUs {
		t.Errorf("exited: %+v", got)
	}
	b.gone()
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Down: true})
	_ = expect[events.ProcessObserved](b)
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
	_ = expect[events.ProcessObserved](b)
}

// A kill ends a stop that waits for a deaf process.
func TestExecutorKillOvertakesAStop(t *testing.T) {
	b := newExecutorBed(t, withChild(t, "ignore", "SIGTERM"), func(c *zinit.ExecutorConfig) {
		p := c.Pools[pool]
		p.StopTimeout = time.Hour
		c.Pools[pool] = p
	})
	life := b.up()
	b.ready(1)
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	b.order(events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Down: true})
	if got := expect[events.ProcessExited](b); got.Incarnation != life || !got.ByUs {
		t.Errorf("exited: %+v", got)
	}
	b.gone()
}

// ready waits until the child "ignore" has said that it is deaf, in its n-th
// life.
func (b *bed) ready(n int) {
	b.t.Helper()
	zinittest.Eventually(b.t, "the child is ready", func() error {
		lines, err := b.client.CurrentLogs(b.t.Context(), prefix+actor)
		if err == nil && strings.Count(strings.Join(lines, "\n"), ": ready") < n {
			err = os.ErrNotExist
		}
		return err
	})
}

// A restart is one life after the other, whether the first hears TERM or not;
// of what does not run it is a start.
func TestExecutorRestarts(t *testing.T) {
	restart := events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool}
	for name, child := range map[string][]string{"polite": {"say", "x"}, "frozen": {"say", "x"}, "deaf": {"ignore", "SIGTERM"}} {
		t.Run(name, func(t *testing.T) {
			b := newExecutorBed(t, withChild(t, child...))
			b.order(restart)
			life := expect[events.ProcessStarted](b).Incarnation
			switch name {
			case "deaf":
				b.ready(1)
			case "frozen": // it sees TERM only once it is continued
				kill(t, life.PID, syscall.SIGSTOP)
			}
			b.order(restart)
			got := expect[events.ProcessExited](b)
			want := map[string]string{"polite": "SIGTERM", "frozen": "SIGTERM", "deaf": "SIGKILL"}[name]
			if got.Incarnation != life || got.Signal != want || !got.ByUs {
				t.Errorf("exited: %+v, want %s", got, want)
			}
			if next := expect[events.ProcessStarted](b).Incarnation; next == life {
				t.Error("the same life")
			}
		})
	}
}

// A program that can not be run is told in one line, and zinit is not bothered.
func TestExecutorStartFails(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	write := func(mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 3\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(program, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(0o755)
	b := newExecutorBed(t, func(c *zinit.ExecutorConfig) {
		c.Pools = map[string]zinit.Template{pool: {Exec: []string{program}}}
	})
	for _, c := range []struct {
		change func()
		says   string
	}{
		{func() { _ = os.Remove(program) }, "does not exist"},
		{func() { write(0o644) }, "is not executable"},
		{func() { _ = os.Remove(program); _ = os.Mkdir(program, 0o755) }, "is a folder"},
	} {
		c.change()
		b.order(b.startOrder())
		got := expect[events.ProcessStartFailed](b)
		if !strings.Contains(got.Reason, c.says) || strings.Contains(got.Reason, "\n") {
			t.Errorf("got %q, want %q in it", got.Reason, c.says)
		}
		b.gone()
	}
	_ = os.Remove(program)
	write(0o755)
	b.order(b.startOrder()) // it runs, and is over before anybody has looked
	for {
		// Depending on who is faster its life was seen or not.
		raw := <-b.facts.C
		m, err := b.facts.Open(raw)
		if err != nil {
			t.Fatal(err)
		}
		if f, failed := m.Event.(events.ProcessStartFailed); failed {
			if !strings.Contains(f.Reason, "ended at once") {
				t.Errorf("reason: %q", f.Reason)
			}
			break
		}
		if e, exited := m.Event.(events.ProcessExited); exited {
			if e.ExitCode != 3 && e.ExitCode != -1 {
				t.Errorf("exited: %+v", e)
			}
			break
		}
	}
}

func kill(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// freeze stops a process, and returns when each of its threads has stopped.
func freeze(t testing.TB, pid int) {
	t.Helper()
	kill(t, pid, syscall.SIGSTOP)
	zinittest.Eventually(t, "it is frozen", func() error {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, task := range tasks {
			stat, err := os.ReadFile(task)
			if err == nil && !bytes.Contains(stat, []byte(") T ")) {
				return errors.New("a thread runs")
			}
		}
		return err
	})
}

// Nothing of a dead attempt is alive when its exit is told: not its group, not
// the group of its script, which has another parent here. A group that is not
// what was recorded is left alone.
func TestExecutorBuriesBeforeItTells(t *testing.T) {
	b := newExecutorBed(t, withChild(t, "fork"))
	script, second, stranger := ownGroup(t), ownGroup(t), ownGroup(t)
	life := b.up()
	for _, c := range []struct {
		groups []events.ScriptGroup
		dies   events.Incarnation
		lives  events.Incarnation
	}{
		{groups: []events.ScriptGroup{{PGID: second.PID, Leader: second}, {PGID: script.PID, Leader: script}}, dies: script, lives: stranger},
		{groups: []events.ScriptGroup{{PGID: stranger.PID, Leader: script}}, dies: second, lives: stranger},
	} {
		answer(b, c.groups...)
		forked := b.forked()
		kill(t, life.PID, syscall.SIGKILL)
		exit := expect[events.ProcessExited](b)
		if exit.Incarnation != life || forked.Alive() || c.dies.Alive() {
			t.Errorf("%+v is told while its child is %v and its script %v alive", exit, forked.Alive(), c.dies.Alive())
		}
		if !c.lives.Alive() {
			t.Error("a stranger was killed")
		}
		life = expect[events.ProcessStarted](b).Incarnation // zinit's own restart
	}
}

// The next life may say hello while the last one is still being buried. It is
// told behind it.
func TestExecutorKeepsTheNextLifeBehindTheLast(t *testing.T) {
	b := newExecutorBed(t, func(c *zinit.ExecutorConfig) { c.PollEvery = time.Hour })
	life := b.up()
	question := b.burying(life)
	next := b.nextLife(life)
	b.hello(next)
	b.quiet(events.ActorRegistered{}) // it has been heard; the last one is not told yet
	if err := question.Respond(events.ScriptGroups{}); err != nil {
		t.Fatal(err)
	}
	if got := expect[events.ProcessExited](b, events.ProcessObserved{}); got.Incarnation != life {
		t.Errorf("exited: %+v", got)
	}
	if got := expect[events.ProcessStarted](b); got.Incarnation != next {
		t.Errorf("started: %+v", got)
	}
	if got := expect[events.ProcessReady](b); got.Incarnation != next {
		t.Errorf("ready: %+v", got)
	}
}

// ownGroup is a process in a group of its own that nobody but the test knows.
func ownGroup(t *testing.T) events.Incarnation {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	go func() { _ = cmd.Wait() }()
	life, err := events.IncarnationOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return life
}

// answer is dispatch, as far as the next question for a script's group.
func answer(b *bed, groups ...events.ScriptGroup) {
	b.t.Helper()
	sub, err := b.bus.Subscribe(events.Of(events.AskScriptGroups{}))
	if err != nil {
		b.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer sub.Unsubscribe()
		m, err := sub.Open(<-sub.C)
		if err == nil {
			err = m.Respond(events.ScriptGroups{Groups: groups})
		}
		if err != nil {
			b.t.Error(err)
		}
	}()
	b.t.Cleanup(func() {
		select {
		case <-done:
		case <-time.After(zinittest.Patience):
			b.t.Error("nobody asked for the script's group")
		}
	})
}

// forked is the child that the child "fork" started last.
func (b *bed) forked() (life events.Incarnation) {
	b.t.Helper()
	zinittest.Eventually(b.t, "a child of the actor", func() error {
		lines, err := b.client.CurrentLogs(b.t.Context(), prefix+actor)
		if err != nil {
			return err
		}
		err = os.ErrNotExist
		for _, l := range lines {
			_, text, _ := strings.Cut(l, ": ")
			if pid, notNumber := strconv.Atoi(text); notNumber == nil {
				life, err = events.IncarnationOf(pid)
			}
		}
		return err
	})
	return life
}

// An order names the life that it is about. When another is there, that is told, and it
// is not touched: it may hold a job. A stop that names none is about none.
func TestExecutorHitsNoOtherLife(t *testing.T) {
	b := newExecutorBed(t)
	old := b.up()
	b.hello(old)
	expect[events.ProcessReady](b, events.ActorRegistered{}, events.ProcessStarted{})
	b.order(events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: old})
	expect[events.ProcessExited](b)
	life := expect[events.ProcessStarted](b).Incarnation
	b.hello(life)
	expect[events.ProcessReady](b, events.ActorRegistered{}, events.ProcessStarted{})
	for _, order := range []events.Event{
		events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool},
		events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: old},
		events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: old},
		events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: old},
		events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: old, Down: true},
		events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: old, Replace: true},
	} {
		b.order(order)
		if got := expect[events.ProcessStarted](b).Incarnation; got != life {
			t.Errorf("%T%+v: told of %s, want %s", order, order, got, life)
		}
		if got := expect[events.ProcessReady](b).Incarnation; got != life {
			t.Errorf("%T%+v: %s is ready, want %s", order, order, got, life)
		}
	}
	b.quiet(events.ProcessReady{})
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	if got := expect[events.ProcessExited](b); got.Incarnation != life {
		t.Errorf("stopped: %+v, want %s", got, life)
	}
}

// While a life is buried zinit has the next already, which may hold a job: an order that
// means the buried one, or none, does not hit it.
func TestExecutorHitsNoLifeBehindABurial(t *testing.T) {
	for name, order := range map[string]func(events.Incarnation) events.Event{
		"kill": func(i events.Incarnation) events.Event {
			return events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: i}
		},
		"replace": func(i events.Incarnation) events.Event {
			return events.KillProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: i, Replace: true}
		},
		"stop of none": func(events.Incarnation) events.Event {
			return events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool}
		},
		"restart": func(i events.Incarnation) events.Event {
			return events.RestartProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: i}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newExecutorBed(t, func(c *zinit.ExecutorConfig) { c.PollEvery = time.Hour })
			life := b.up()
			question := b.burying(life)
			next := b.nextLife(life)
			b.order(order(life))
			b.quiet() // it is at work
			if err := question.Respond(events.ScriptGroups{}); err != nil {
				t.Fatal(err)
			}
			if got := expect[events.ProcessExited](b, events.ProcessObserved{}); got.Incarnation != life {
				t.Errorf("exited: %+v, want %s", got, life)
			}
			expect[events.ProcessStarted](b, events.ProcessObserved{})
			b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: next})
			if got := expect[events.ProcessExited](b, events.ProcessObserved{}); got.Incarnation != next {
				t.Errorf("stopped: %+v, want %s", got, next)
			}
		})
	}
}

// A stop that names no life keeps the next one from coming.
func TestExecutorKeepsTheNextLifeFromComing(t *testing.T) {
	b, life, _ := newProgramlessBed(t)
	kill(t, life.PID, syscall.SIGKILL)
	expect[events.ProcessExited](b)
	expect[events.ProcessStartFailed](b)
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool})
	if got := expect[events.ProcessObserved](b); !got.Incarnation.IsZero() || got.WantedUp {
		t.Errorf("observed: %+v", got)
	}
	b.gone()
}
