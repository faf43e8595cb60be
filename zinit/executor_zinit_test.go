package zinit_test

import (
	"errors"
	"fmt"
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

// takeUp starts a service beside the executor.
func (b *bed) takeUp(name string, s zinit.Service) {
	b.t.Helper()
	for _, err := range []error{b.client.Create(b.t.Context(), name, s), b.client.Monitor(b.t.Context(), name)} {
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// What is there at the start is told before the executor is ready, and watched.
// What is not ours is neither told nor touched.
func TestExecutorObservesAtItsStart(t *testing.T) {
	b := newBed(t)
	child := zinittest.Child(t, "say", "x")
	b.takeUp(prefix+"work_1", child)
	b.takeUp(prefix+"work_2", child)
	b.takeUp(prefix+"redis", child)            // ours, but no actor
	b.takeUp("herosup-11111111-work_1", child) // another Herosup's
	b.takeUp("work_1", child)                  // somebody's
	b.takeUp(prefix+"elsewhere_1", child)      // of a pool that is not configured
	if err := b.client.Stop(t.Context(), prefix+"work_2"); err != nil {
		t.Fatal(err)
	}
	before, err := b.client.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ready := b.executeSoon()
	one, two := expect[events.ProcessObserved](b), expect[events.ProcessObserved](b)
	<-ready
	if one.Actor != "work_1" || !one.Incarnation.Alive() || !one.WantedUp {
		t.Errorf("first: %+v", one)
	}
	if two.Actor != "work_2" || !two.Incarnation.IsZero() || two.WantedUp {
		t.Errorf("second: %+v", two)
	}
	b.quiet()
	kill(t, one.Incarnation.PID, syscall.SIGKILL)
	if got := expect[events.ProcessExited](b); got.Incarnation != one.Incarnation {
		t.Errorf("exited: %+v", got)
	}
	_ = expect[events.ProcessStarted](b)
	b.stop()
	after, err := b.client.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range before {
		if after[name].Kind != s.Kind {
			t.Errorf("%s was %s and is %s", name, s, after[name])
		}
	}
}

// The end of the executor is nothing to the actors, and the next one finds them.
func TestExecutorComesAndGoes(t *testing.T) {
	b := newExecutorBed(t)
	life := b.up()
	b.stop()
	if !life.Alive() {
		t.Fatal("the actor ended with the executor")
	}
	b.execute()
	if got := expect[events.ProcessObserved](b); got.Incarnation != life {
		t.Errorf("observed: %+v, want %s", got, life)
	}
}

// What an executor found being stopped ends by an order, whoever gave that: it is
// nobody's crash.
func TestExecutorFindsAStopUnderWay(t *testing.T) {
	deaf := withLongStop(t, "ignore", "SIGTERM")
	b := newExecutorBed(t, deaf)
	life := b.up()
	b.ready(1)
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: life})
	zinittest.Eventually(t, "zinit stops it", func() error {
		s, err := b.client.Status(t.Context(), prefix+actor)
		if err == nil && s.Target != zinit.Down {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	b.stop()
	b.execute(deaf)
	if got := expect[events.ProcessObserved](b); got.Incarnation != life || got.WantedUp {
		t.Fatalf("observed: %+v", got)
	}
	kill(t, life.PID, syscall.SIGKILL)
	if got := expect[events.ProcessExited](b); got.Incarnation != life || !got.ByUs {
		t.Errorf("%+v", got)
	}
}

// A zinit that goes is told once, one that comes back too, with all there is;
// orders wait for it.
func TestExecutorLosesZinit(t *testing.T) {
	b := newExecutorBed(t)
	life := b.up()
	b.zinit.Stop(t) // and its services with it
	if got := expect[events.ProcessExited](b); got.Incarnation != life {
		t.Errorf("exited: %+v", got)
	}
	b.order(b.startOrder())
	if got := expect[events.ZinitLost](b); got.Reason == "" || strings.Contains(got.Reason, "\n") {
		t.Errorf("lost: %+v", got)
	}
	// The folder still has the service's file; the next zinit runs it by itself.
	b.zinit = zinittest.StartIn(t, b.zinit.Dir, b.zinit.Socket)
	_ = expect[events.ZinitBack](b)
	started := expect[events.ProcessStarted](b, events.ProcessObserved{})
	if !started.Incarnation.Alive() {
		t.Errorf("started: %+v", started)
	}
	b.quiet(events.ProcessStarted{})
}

// An executor whose zinit is not there yet says so, and is ready when it is.
func TestExecutorWaitsForZinit(t *testing.T) {
	b := newBed(t)
	b.zinit.Stop(t)
	ready := b.executeSoon()
	_ = expect[events.ZinitLost](b)
	select {
	case <-ready:
		t.Error("ready without a zinit")
	default:
	}
	b.zinit = zinittest.StartIn(t, b.zinit.Dir, b.zinit.Socket)
	_ = expect[events.ZinitBack](b)
	<-ready
}

func TestExecutorRefusals(t *testing.T) {
	b := newExecutorBed(t)
	for _, e := range []events.Event{
		events.StartProcess{Node: events.LocalNode, Actor: "other_1", Pool: "other"},
		events.StopProcess{Node: events.LocalNode, Actor: "other_1", Pool: pool},
		events.KillProcess{Node: events.LocalNode, Actor: "other_1", Pool: "other"},
	} {
		b.order(e)
		if got := expect[events.CommandRejected](b); got.Code != "unknown_pool" || got.Actor != "other_1" {
			t.Errorf("%+v: %+v", e, got)
		}
	}
	if err := b.bus.Conn().Publish("hero.int.process.start.local.work_1", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if got := expect[events.CommandRejected](b); got.Code != "malformed" {
		t.Errorf("what is no message: %+v", got)
	}
	// Another node's orders are not ours to obey, nor to refuse.
	b.order(events.StartProcess{Node: "elsewhere", Actor: actor, Pool: pool})
	b.quiet()
}

// A script that outlived its actor while nobody watched is ended, and then its
// actor's exit is told, so that the job can be given to another.
func TestExecutorEndsAnOrphan(t *testing.T) {
	b := newExecutorBed(t)
	dead := ownGroup(t)
	kill(t, dead.PID, syscall.SIGKILL)
	zinittest.Eventually(t, "it is gone", func() error {
		if dead.Alive() {
			return errors.New("alive")
		}
		return nil
	})
	script, other := ownGroup(t), ownGroup(t)
	b.order(events.ActorOrphaned{
		Pool: pool, Actor: actor, Incarnation: dead,
		Groups: []events.ScriptGroup{{PGID: other.PID, Leader: other}, {PGID: script.PID, Leader: script}},
	})
	got := expect[events.ProcessExited](b, events.ActorOrphaned{})
	if got.Incarnation != dead || script.Alive() || other.Alive() {
		t.Errorf("%+v while its scripts are alive: %v %v", got, script.Alive(), other.Alive())
	}
}

// A wrong configuration is named before anything runs.
func TestExecutorConfig(t *testing.T) {
	client := zinit.NewClient("/nowhere", zinit.Options{})
	with := func(t zinit.Template) zinit.ExecutorConfig {
		return zinit.ExecutorConfig{Client: client, Prefix: prefix, Pools: map[string]zinit.Template{pool: t}}
	}
	for want, c := range map[string]zinit.ExecutorConfig{
		"no client":          {Prefix: prefix},
		"no prefix":          {Client: client},
		"no program":         with(zinit.Template{}),
		"does not exist":     with(zinit.Template{Exec: []string{"./nowhere"}}),
		"line break":         with(zinit.Template{Exec: []string{"true", "a\nb"}}),
		"want whole seconds": with(zinit.Template{Exec: []string{"true"}, StopTimeout: time.Millisecond}),
	} {
		_, err := zinit.NewExecutor(c, nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// What may be there again later is no mistake in the configuration: an executor begins without it,
// keeps what lives, and says of each start why it can not be.
func TestExecutorBeginsWithoutAProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "actor")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	with := func(c *zinit.ExecutorConfig) {
		withChild(t, "say", "hello")(c)
		c.Pools[pool].Exec[0] = program
	}
	b := newExecutorBed(t, with)
	life := b.up()
	b.stop()
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	b.execute(with)
	if got := expect[events.ProcessObserved](b); got.Incarnation != life {
		t.Errorf("observed: %+v, want %s", got, life)
	}
	b.order(b.startOrder())
	if got := expect[events.ProcessStarted](b, events.ProcessReady{}); got.Incarnation != life {
		t.Errorf("a start of what runs: %+v, want %s", got, life)
	}
	kill(t, life.PID, syscall.SIGKILL)
	expect[events.ProcessExited](b, events.ProcessReady{})
	why := "program " + program + " does not exist"
	// What zinit says of its own try, and what a start of ours says.
	if got := expect[events.ProcessStartFailed](b); !got.Missing || got.Reason != why {
		t.Errorf("nothing took its place: %+v, want %q", got, why)
	}
	b.order(b.startOrder())
	if got := expect[events.ProcessStartFailed](b); !got.Missing || got.Reason != why || !got.Kept.IsZero() {
		t.Errorf("a start: %+v, want %q", got, why)
	}
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	b.order(b.startOrder())
	expect[events.ProcessStarted](b)
}

// The actor's id is put where the template says, as one word.
func TestExecutorSubstitutesTheActor(t *testing.T) {
	b := newExecutorBed(t, func(c *zinit.ExecutorConfig) {
		s := zinittest.Child(t, "args", "--id={actor}", "a b")
		s.Env["ID"] = "{actor}"
		c.Pools = map[string]zinit.Template{pool: {Exec: s.Exec, Env: s.Env, Dir: "/usr"}}
	})
	_ = b.up()
	got, err := b.client.Get(t.Context(), prefix+actor)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Exec[1:], []string{"args", "--id=work_1", "a b"}) || got.Env["ID"] != actor || got.Dir != "/usr" {
		t.Errorf("the service: %+v", got)
	}
}

// How soon an exit is told: the median of 20, with nobody polling.
func TestExecutorSeesAnExitAtOnce(t *testing.T) {
	b := newExecutorBed(t, func(c *zinit.ExecutorConfig) { c.PollEvery = time.Hour })
	life := b.up()
	var took []time.Duration
	for range 20 {
		began := time.Now()
		kill(t, life.PID, syscall.SIGKILL)
		_ = expect[events.ProcessExited](b, events.ActorRegistered{}, events.ProcessReady{})
		took = append(took, time.Since(began))
		// Twenty ends in a row would be restarted slowly; who asks has it at once.
		if err := b.client.Start(t.Context(), prefix+actor); err != nil {
			t.Fatal(err)
		}
		next := b.nextLife(life)
		b.hello(next)
		// The poll with its growing pause may have been faster than the hello.
		life = expect[events.ProcessStarted](b, events.ActorRegistered{}).Incarnation
	}
	slices.Sort(took)
	t.Logf("from SIGKILL to ProcessExited: median %v, least %v, most %v", took[10], took[0], took[19])
	if took[10] > 50*time.Millisecond {
		t.Errorf("the median is %v", took[10])
	}
}

// Begun and ended at any moment, it leaves nothing of its own and no actor is
// touched.
func TestExecutorIsHammered(t *testing.T) {
	b := newExecutorBed(t)
	life := b.up()
	b.stop()
	for i := range 50 {
		ready := b.executeSoon()
		switch i % 3 {
		case 0: // ended at once
		case 1:
			<-ready
		case 2: // ended with an order on its way
			b.order(b.startOrder())
		}
		b.stop()
		b.stop() // twice
	}
	if !life.Alive() {
		t.Error("the actor was touched")
	}
}

// An actor under a zinit of the text dialect, from its start to its end.
func TestExecutorSpeaksText(t *testing.T) {
	b := newBed(t)
	b.options = zinit.Options{Dialect: zinit.Text, Dir: b.zinit.Dir}
	b.execute()
	life := b.up()
	kill(t, life.PID, syscall.SIGKILL)
	if got := expect[events.ProcessExited](b, events.ProcessReady{}); got.Incarnation != life || got.Signal != "SIGKILL" {
		t.Errorf("exited: %+v", got)
	}
	next := expect[events.ProcessStarted](b).Incarnation
	b.order(events.StopProcess{Node: events.LocalNode, Actor: actor, Pool: pool, Incarnation: next})
	if got := expect[events.ProcessExited](b, events.ProcessReady{}); got.Incarnation != next {
		t.Errorf("stopped: %+v, want %s", got, next)
	}
	zinittest.Eventually(t, "nothing of it is left", func() error {
		if all, err := b.client.List(t.Context()); err != nil || len(all) > 0 {
			return fmt.Errorf("%v, %w", all, err)
		}
		if left, err := filepath.Glob(b.zinit.Dir + "/*.yaml"); err != nil || len(left) > 0 {
			return fmt.Errorf("%v, %w", left, err)
		}
		return nil
	})
}
