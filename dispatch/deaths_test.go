package dispatch

import (
	"context"
	"slices"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// polls sets everything that repeats to an hour: events must be enough.
func polls(c *Config) {
	c.SweepEvery, c.MeasureEvery, c.LookEvery, c.PingEvery = time.Hour, time.Hour, time.Hour, time.Hour
}

// hold runs a job until its actor dies; holding says that it does.
func hold(holding chan<- store.Claimed) func(context.Context, store.Claimed) (store.Outcome, bool) {
	return func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
		holding <- j
		return store.Outcome{}, false
	}
}

// The exit that is told brings the job to an idle actor at once, with no poll at
// all; queuing, first start, return and second start are told in that order.
func TestADeathThatIsToldReturnsItsJobAtOnce(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		var took []time.Duration
		for i := range 10 {
			id := "j" + numeral(i)
			holding := make(chan store.Claimed, 1)
			victim := b.actor("bash_"+numeral(2*i+1), hold(holding))
			expect(b, func(e events.ActorRegistered) bool { return e.Actor == victim.name })
			b.submit("x", Options{ID: id})
			<-holding
			heir := b.actor("bash_"+numeral(2*i+2), nil)
			b.eventually("the heir is idle", func() bool { return b.rdb.ZCard(b.soon(), "hero:idle:bash").Val() == 1 })
			victim.die()
			at := time.Now()
			b.publish(victim.exited(false))
			again := expect(b, func(e events.JobStarted) bool { return e.Job == id && e.Attempt == 2 })
			took = append(took, time.Since(at))
			if again.Actor != heir.name || again.Incarnation != heir.p.inc {
				t.Errorf("started again on %s", again.Actor)
			}
			back := expect(b, func(e events.JobRetried) bool { return e.Job == id })
			if back.Attempt != 1 || back.Crashes != 1 || back.Interrupted || back.Incarnation != victim.p.inc {
				t.Errorf("retried: %+v", back)
			}
			expect(b, func(e events.JobEnded) bool { return e.Job == id })
			heir.die()
			b.publish(heir.exited(true))
			b.eventually("the heir is forgotten", func() bool { return b.rdb.HLen(b.soon(), "hero:incarnations").Val() == 0 })
			if life := told(b, id); life != "q s1 r s2 e" {
				t.Errorf("job %s: told %q", id, life)
			}
		}
		t.Logf("ProcessExited to JobStarted: median %v of %v", median(took), took)
	})
}

// told is a job's life as it was told.
func told(b *bed, id string) string {
	life := ""
	for _, e := range b.told.events() {
		switch e := e.(type) {
		case events.JobQueued:
			if e.Job == id {
				life += " q"
			}
		case events.JobAdopted:
			if e.Job == id {
				life += " a"
			}
		case events.JobStarted:
			if e.Job == id {
				life += " s" + numeral(e.Attempt)
			}
		case events.JobRetried:
			if e.Job == id {
				life += " r"
			}
		case events.JobEnded:
			if e.Job == id {
				life += " e"
			}
		case events.JobDead:
			if e.Job == id {
				life += " d"
			}
		case events.JobCancelled:
			if e.Job == id {
				life += " c"
			}
		}
	}
	if life == "" {
		return ""
	}
	return life[1:]
}

// Nobody tells of the death: the sweep finds it.
func TestADeathThatNobodyTellsIsFound(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.SweepEvery = 50 * time.Millisecond
		b.up()
		holding := make(chan store.Claimed, 1)
		victim := b.actor("bash_1", hold(holding))
		id := b.submit("x", Options{})
		<-holding
		victim.die()
		expect(b, func(e events.JobRetried) bool { return e.Job == id && e.Crashes == 1 })
		b.actor("bash_2", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == id && e.Attempt == 2 })
	})
}

// The machine was started anew: whoever was registered before is gone, whatever runs under its numbers now, its script's too.
func TestAnEarlierBootsActorsAreGone(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		first := b.up()
		id := b.submit("x", Options{})
		expect(b, func(e events.JobQueued) bool { return e.Job == id })
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		alive := b.spawn() // it has the numbers of both
		was := alive.inc
		was.Boot = "0" + was.Boot[1:7] + "f"
		if was == alive.inc {
			was.Boot = "1" + was.Boot[1:]
		}
		st := r.open(t)
		old, err := st.Actor("bash_1", "bash", was.String())
		if err != nil {
			t.Fatal(err)
		}
		if h, err := old.Hello(b.soon()); err != nil || h.Code != store.OK {
			t.Fatal(h, err)
		}
		got, err := old.Claim(b.soon())
		if err != nil || got.Code != store.GotJob {
			t.Fatal(got, err)
		}
		if code, err := old.RecordGroup(b.soon(), *got.Job, alive.inc.PID, alive.inc.Start); err != nil || code != store.OK {
			t.Fatal(code, err)
		}
		b.up()
		back := expect(b, func(e events.JobRetried) bool { return e.Job == id })
		if back.Incarnation != was {
			t.Errorf("%+v", back)
		}
		if n := count(b, any1[events.ActorOrphaned]); n != 0 || !alive.inc.Alive() {
			t.Errorf("%d orphans; the stranger with its numbers lives: %v", n, alive.inc.Alive())
		}
		b.actor("bash_2", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == id && e.Attempt == 2 })
	})
}

// It died while the daemon was down; nothing tells of it, and no poll comes.
func TestADeathBeforeTheStartIsFound(t *testing.T) {
	b := newBed(t, miniRedis(t))
	polls(&b.cfg)
	first := b.up()
	holding := make(chan store.Claimed, 3)
	victim := b.actor("bash_1", hold(holding))
	lives := b.actor("bash_2", hold(holding))
	var scripted *actor
	ready := make(chan struct{})
	scripted = b.actor("bash_3", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
		<-ready
		scripted.script(ctx, j)
		holding <- j
		return store.Outcome{}, false
	})
	close(ready)
	held := map[string]string{}
	for range 3 {
		b.submit("x", Options{})
		j := <-holding
		held[j.Token.Incarnation] = j.ID
	}
	expectNth(b, 3, any1[events.JobStarted])
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	victim.die()
	b.up()
	expect(b, func(e events.JobRetried) bool {
		return e.Incarnation == victim.p.inc && e.Job == held[victim.p.inc.String()]
	})
	// What the live ones hold is told anew, and left with them.
	for _, a := range []*actor{lives, scripted} {
		inc := a.p.inc
		expectNth(b, 2, func(e events.ActorRegistered) bool { return e.Incarnation == inc })
		expectNth(b, 2, func(e events.JobStarted) bool {
			return e.Incarnation == inc && e.Attempt == 1 && e.Job == held[inc.String()] && e.Actor == a.name
		})
		if n := count(b, func(e events.JobRetried) bool { return e.Incarnation == inc }); n != 0 {
			t.Error("a job was taken from a live actor")
		}
	}
}

// A job takes three actors with it and is dead; deaths that we caused do not count.
func TestAKillerJobEndsDead(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		id := b.submit("x", Options{})
		crashes := 0
		for i, byUs := range []bool{false, true, false, true, false} {
			holding := make(chan store.Claimed, 1)
			a := b.actor("bash_"+numeral(i+1), hold(holding))
			<-holding
			a.die()
			b.publish(a.exited(byUs))
			if !byUs {
				crashes++
			}
			if crashes == 3 {
				break
			}
			e := expectNth(b, i+1, any1[events.JobRetried])
			ready := 1
			if !byUs && crashes > 1 {
				ready = e.Ready // it waits a little first: as long as is drawn, which may be no whole millisecond
			} else if !e.Next.IsZero() {
				t.Errorf("after death %d it is ready at %v", i+1, e.Next)
			}
			if e.Crashes != crashes || e.Interrupted != byUs || e.Ready != ready || e.Failed {
				t.Errorf("after death %d: %+v, want %d crashes", i+1, e, crashes)
			}
		}
		dead := expect(b, func(e events.JobDead) bool { return e.Job == id })
		if dead.Reason != store.ReasonCrashes || dead.Cause != "signal SIGKILL" || dead.Failed || dead.Actor != "bash_5" || dead.Attempt != 5 {
			t.Errorf("%+v", dead)
		}
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
	})
}

// As long as the script of a dead actor runs, its job belongs to that script.
func TestAJobIsNotGivenBackWhileItsScriptRuns(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		scripts := make(chan *process, 1)
		var victim *actor
		ready := make(chan struct{})
		victim = b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			<-ready
			scripts <- victim.script(ctx, j)
			return store.Outcome{}, false
		})
		close(ready)
		id := b.submit("x", Options{})
		script := <-scripts
		// The executor asks for the group to kill it.
		var groups events.ScriptGroups
		ask := events.AskScriptGroups{Node: events.LocalNode, Actor: "bash_1", Incarnation: victim.p.inc}
		if err := b.bus.Request(b.soon(), ask, &groups); err != nil {
			t.Fatal(err)
		}
		want := events.ScriptGroup{PGID: script.cmd.Process.Pid, Leader: script.inc}
		if !slices.Equal(groups.Groups, []events.ScriptGroup{want}) {
			t.Errorf("%+v, want %+v", groups, want)
		}
		victim.die()
		b.publish(victim.exited(false))
		o := expect(b, func(e events.ActorOrphaned) bool { return e.Actor == "bash_1" })
		if !slices.Equal(o.Groups, groups.Groups) || o.Incarnation != victim.p.inc {
			t.Errorf("orphaned %+v", o)
		}
		rec, err := b.store.Job(b.soon(), id)
		if err != nil || rec.Status != store.StatusStarted {
			t.Errorf("while the script runs: %v %v", rec.Status, err)
		}
		if n := count(b, any1[events.JobRetried]); n != 0 {
			t.Error("given back while its script runs")
		}
		script.kill()
		expect(b, func(e events.JobRetried) bool { return e.Job == id })
	})
}

// An exit that is told of a process that lives changes nothing.
func TestAnExitToldTooEarlyWaits(t *testing.T) {
	b := newBed(t, miniRedis(t))
	polls(&b.cfg)
	b.up()
	holding := make(chan store.Claimed, 1)
	a := b.actor("bash_1", hold(holding))
	id := b.submit("x", Options{})
	<-holding
	b.publish(a.exited(false))
	other := b.actor("bash_2", nil) // something else that is told later on the same way
	expect(b, func(e events.ActorRegistered) bool { return e.Actor == "bash_2" })
	other.die()
	b.publish(other.exited(false))
	b.eventually("the other is forgotten", func() bool {
		return !b.rdb.HExists(b.soon(), "hero:incarnations", other.p.inc.String()).Val()
	})
	if n := count(b, any1[events.JobRetried]); n != 0 {
		t.Error("a job was taken from a live actor")
	}
	a.die()
	expect(b, func(e events.JobRetried) bool { return e.Job == id })
}

// The last word of an actor that is dead, on its way still when its job was given on: it changes nothing, and is told.
func TestALateEndIsTold(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		id := b.submit("x", Options{})
		holding := make(chan store.Claimed, 1)
		a := b.actor("bash_1", hold(holding))
		late := <-holding
		a.die()
		b.publish(a.exited(false))
		expect(b, func(e events.JobRetried) bool { return e.Job == id })
		res, err := a.a.Exchange(b.soon(), []store.Ended{{Job: late}}, 0, 0)
		if err != nil || res.Told[0] != store.Stale {
			t.Fatalf("%+v %v", res, err)
		}
		e := expect(b, any1[events.JobStale])
		want := events.JobStale{Type: "bash", Job: id, Actor: "bash_1", Incarnation: a.p.inc, Attempt: 1, Outcome: events.Finished, Reason: "superseded"}
		if e != want {
			t.Errorf("%+v", e)
		}
		if n := count(b, func(e events.JobEnded) bool { return e.Job == id }); n != 0 {
			t.Error("it ended the job")
		}
	})
}
