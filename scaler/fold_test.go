package scaler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"herosup/events"
)

// Facts in, picture out. Facts of one line each:
//
//	queued j1 ready=1 | started j1 bash_1 | ended j1 bash_1 | retried j1 bash_1 ready=0 | cancelled j1 | dead j1
//	bash_1 idle>running | measured ready=2 | missed | redislost | redisback | rejected bash_1 | wait 5s
//	waits bash_1 | begins bash_1 | fails bash_1
func TestFacts(t *testing.T) {
	datadriven.Walk(t, "testdata/fold", func(t *testing.T, path string) {
		var v *View
		now := epoch
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "pools":
				v, now = NewView(parsePools(d.Input)), epoch
			case "facts":
				for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
					f := strings.Fields(line)
					if f[0] == "wait" {
						w, err := time.ParseDuration(f[1])
						if err != nil {
							d.Fatalf(t, "%v", err)
						}
						now = now.Add(w)
						continue
					}
					if f[0] == "missed" {
						v.Missed()
						continue
					}
					v.Fold(parseFact(t, d, f), now)
				}
			}
			return show(v, now)
		})
	})
}

// A pool of several types is sized by all of their queues; what is measured of one alone does not let it shrink, and what
// another pool of one of them is there for is left to that.
func TestAPoolOfSeveralTypes(t *testing.T) {
	policy := DefaultPolicy()
	policy.Max = 8
	v := NewView([]Pool{{Name: "both", Types: []string{"Bash", "python"}, Policy: policy}, {Name: "py", Types: []string{"python"}, Policy: policy}})
	fold := func(want string, e events.Event) {
		t.Helper()
		if got := strings.Join(v.Fold(e, epoch), " "); got != want {
			t.Errorf("%T concerns %q, want %q", e, got, want)
		}
	}
	fold("both", events.QueueMeasured{Type: "bash", Ready: 2})
	if s, _ := v.Snapshot("both", epoch); !s.MeasuredAt.IsZero() {
		t.Errorf("measured at %v, and of python nothing is known", s.MeasuredAt)
	}
	fold("both py", events.QueueMeasured{Type: "python", Ready: 3})
	s, p := v.Snapshot("both", epoch)
	if s.Ready != 5 || !s.MeasuredAt.Equal(epoch) || len(Decide(s, p).Start) != 5 {
		t.Errorf("%+v", s)
	}
	fold("both py", events.ActorStateChanged{Pool: "py", Actor: "py_1", From: "stopped", To: "starting"})
	if s, _ := v.Snapshot("both", epoch); s.Ready != 4 {
		t.Errorf("%d ready, want 4: one is for py_1, which comes", s.Ready)
	}
	fold("both", events.JobStarted{Type: "bash", Job: "b", Actor: "both_1", Attempt: 1})
	if s, _ := v.Snapshot("both", epoch); s.Ready != 3 || s.Actors[0].Jobs != 1 {
		t.Errorf("%+v", s)
	}
}

// Two other pools of one type do not take more of it together than waits: the jobs of a type that they do not run are left to the pool that does.
func TestOtherPoolsTakeNoJobTwice(t *testing.T) {
	policy := DefaultPolicy()
	v := NewView([]Pool{
		{Name: "a", Types: []string{"bash"}, Policy: policy},
		{Name: "b", Types: []string{"bash"}, Policy: policy},
		{Name: "all", Types: []string{"bash", "python"}, Policy: policy},
		{Name: "both", Types: []string{"bash", "python"}, Policy: policy},
	})
	for _, name := range []string{"a", "b"} {
		v.Fold(events.ActorStateChanged{Pool: name, Actor: ActorID(name, 1), From: "stopped", To: "starting"}, epoch)
	}
	for _, c := range []struct{ bash, python, want int }{{1, 1, 1}, {0, 1, 1}, {2, 1, 1}, {3, 1, 2}, {1, 0, 0}} {
		v.Fold(events.QueueMeasured{Type: "bash", Ready: c.bash}, epoch)
		v.Fold(events.QueueMeasured{Type: "python", Ready: c.python}, epoch)
		if s, _ := v.Snapshot("both", epoch); s.Ready != c.want {
			t.Errorf("of %d bash and %d python jobs %d are for the third pool, want %d", c.bash, c.python, s.Ready, c.want)
		}
	}
	// Who runs both takes what the others leave.
	v.Fold(events.QueueMeasured{Type: "bash", Ready: 2}, epoch)
	v.Fold(events.QueueMeasured{Type: "python", Ready: 1}, epoch)
	v.Fold(events.ActorStateChanged{Pool: "all", Actor: "all_1", From: "stopped", To: "starting"}, epoch)
	if s, _ := v.Snapshot("both", epoch); s.Ready != 0 {
		t.Errorf("%d jobs are for the fourth pool beside three actors that come, want none of three", s.Ready)
	}
}

// An actor whose start waits for other services may wait for ever: what it would be for, another pool of its type takes.
func TestABlockedActorTakesNothingFromAnotherPool(t *testing.T) {
	policy := DefaultPolicy()
	v := NewView([]Pool{{Name: "a", Types: []string{"bash"}, Policy: policy}, {Name: "b", Types: []string{"bash"}, Policy: policy}})
	v.Fold(events.QueueMeasured{Type: "bash", Ready: 1}, epoch)
	v.Fold(events.ActorStateChanged{Pool: "a", Actor: "a_1", From: "stopped", To: "starting"}, epoch)
	if d := Decide(v.Snapshot("b", epoch)); d.Start != nil {
		t.Errorf("b starts %v beside one of a that comes up", d.Start)
	}
	if got := v.Fold(events.ProcessBlocked{Pool: "a", Actor: "a_1", Reason: "waits for db (not there)"}, epoch); len(got) != 2 {
		t.Errorf("concerns %v, want both", got)
	}
	if d := Decide(v.Snapshot("b", epoch)); len(d.Start) != 1 {
		t.Errorf("b leaves the job to one that does not come up: %s", d.Reason)
	}
	// Now it is b's; a keeps what it has begun, and begins no more.
	v.Fold(events.ActorStateChanged{Pool: "b", Actor: "b_1", From: "stopped", To: "starting"}, epoch)
	if d := Decide(v.Snapshot("a", epoch)); d.Start != nil || d.Ready != 0 {
		t.Errorf("a: %s", d.Reason)
	}
}

// A job that runs alone fills its actor, whatever that could hold otherwise: what waits beside it needs another.
func TestAJobThatRunsAloneFillsItsActor(t *testing.T) {
	policy := DefaultPolicy()
	policy.Max, policy.TargetBacklog = 8, 4
	v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: policy}})
	v.Fold(events.QueueMeasured{Type: "bash", Ready: 4}, epoch)
	v.Fold(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", From: "starting", To: "running"}, epoch)
	started := events.JobStarted{Type: "bash", Job: "s", Actor: "bash_1", Attempt: 2, Alone: true}
	v.Fold(started, epoch)
	v.Fold(events.QueueMeasured{Type: "bash", Ready: 3}, epoch.Add(time.Second))
	if d := Decide(v.Snapshot("bash", epoch.Add(time.Second))); d.Want != 2 || !strings.Contains(d.Steps[0].Why, "1 running (1 alone)") {
		t.Errorf("want %d: %+v", d.Want, d.Steps[0])
	}
	// Those that wait to run alone need one each, whatever the others could hold.
	suspects := events.QueueMeasured{Type: "bash", Ready: 3, Alone: 2}
	v.Fold(suspects, epoch.Add(time.Second))
	if d := Decide(v.Snapshot("bash", epoch.Add(time.Second))); d.Want != 4 || !strings.Contains(d.Steps[0].Why, "3 ready (2 alone)") {
		t.Errorf("want %d: %+v", d.Want, d.Steps[0])
	}
	suspects.Alone = 0
	v.Fold(suspects, epoch.Add(time.Second))
	// Told anew after a restart, it is known again; ended, it is not.
	v.Fold(events.ActorRegistered{Pool: "bash", Actor: "bash_1", Anew: true, Holds: []string{"s"}}, epoch.Add(time.Second))
	v.Fold(started, epoch.Add(time.Second))
	if d := Decide(v.Snapshot("bash", epoch.Add(time.Second))); d.Want != 2 {
		t.Errorf("want %d after it was told anew", d.Want)
	}
	// Facts were lost: no job is known by name, but that this one runs alone.
	v.Missed()
	v.Fold(suspects, epoch.Add(time.Second))
	if d := Decide(v.Snapshot("bash", epoch.Add(time.Second))); d.Want != 2 || !strings.Contains(d.Steps[0].Why, "1 running (1 alone)") {
		t.Errorf("want %d after a loss: %+v", d.Want, d.Steps[0])
	}
	v.Fold(events.JobEnded{Type: "bash", Job: "s", Actor: "bash_1", Attempt: 2}, epoch.Add(time.Second))
	if d := Decide(v.Snapshot("bash", epoch.Add(time.Second))); d.Want != 1 {
		t.Errorf("want %d after its end", d.Want)
	}
	v.Fold(events.JobStarted{Type: "bash", Job: "t", Actor: "bash_1", Attempt: 1}, epoch.Add(time.Second))
	if d := Decide(v.Snapshot("bash", epoch.Add(time.Second))); strings.Contains(d.Steps[0].Why, "alone") {
		t.Errorf("another one runs alone: %+v", d.Steps[0])
	}
	started.Actor, started.Attempt = "bash_2", 3
	v.Fold(events.ActorStateChanged{Pool: "bash", Actor: "bash_2", From: "starting", To: "running"}, epoch)
	v.Fold(started, epoch.Add(time.Second))
	v.Missed()
	v.Fold(events.JobStarted{Type: "bash", Job: "u", Actor: "bash_2", Attempt: 1}, epoch.Add(time.Second)) // its end was not heard of
	if d := Decide(v.Snapshot("bash", epoch.Add(time.Second))); strings.Contains(d.Steps[0].Why, "alone") {
		t.Errorf("what has ended runs alone: %+v", d.Steps[0])
	}
}

func parsePools(in string) []Pool {
	var list []Pool
	for _, line := range strings.Split(strings.TrimSpace(in), "\n") {
		f := strings.Fields(line)
		list = append(list, Pool{Name: f[0], Types: []string{f[1]}, Policy: DefaultPolicy()})
	}
	return list
}

func parseFact(t *testing.T, d *datadriven.TestData, f []string) events.Event {
	t.Helper()
	n := map[string]int{}
	for _, w := range f {
		var k string
		var x int
		if i := strings.IndexByte(w, '='); i > 0 {
			k = w[:i]
			if _, err := fmt.Sscan(w[i+1:], &x); err != nil {
				d.Fatalf(t, "%v: %v", f, err)
			}
			n[k] = x
		}
	}
	const script = "bash"
	switch f[0] {
	case "queued":
		e := events.JobQueued{Type: script, Job: f[1], Ready: n["ready"]}
		if s := n["delay"]; s > 0 {
			e.DelayedUntil = epoch.Add(time.Duration(s) * time.Second)
		}
		return e
	case "started":
		return events.JobStarted{Type: script, Job: f[1], Actor: f[2], Attempt: max(1, n["attempt"])}
	case "ended":
		return events.JobEnded{Type: script, Job: f[1], Actor: f[2], Attempt: 1}
	case "retried":
		return events.JobRetried{Type: script, Job: f[1], Actor: f[2], Attempt: 1, Ready: n["ready"]}
	case "dead":
		return events.JobDead{Type: script, Job: f[1]}
	case "cancelled":
		return events.JobCancelled{Type: script, Job: f[1]}
	case "measured":
		return events.QueueMeasured{Type: script, Ready: n["ready"], InFlight: n["inflight"], Delayed: n["delayed"]}
	case "holds":
		return events.ActorRegistered{Pool: "bash", Actor: f[1], Anew: true, Holds: f[2:]}
	case "waits":
		return events.ProcessBlocked{Pool: "bash", Actor: f[1], Reason: "waits for redis (not there)"}
	case "begins":
		return events.ProcessStarted{Pool: "bash", Actor: f[1]}
	case "fails":
		return events.ProcessStartFailed{Pool: "bash", Actor: f[1]}
	case "redislost":
		return events.RedisLost{}
	case "redisback":
		return events.RedisBack{}
	case "rejected":
		return events.CommandRejected{Command: "actor-start", On: "hero.cmd.actor.start." + f[1]}
	}
	from, to, ok := strings.Cut(f[1], ">")
	if !ok {
		d.Fatalf(t, "what is %v?", f)
	}
	pool := f[0]
	if i := strings.LastIndexByte(pool, '_'); i > 0 {
		pool = pool[:i]
	}
	return events.ActorStateChanged{Pool: pool, Actor: f[0], From: from, To: to}
}

func show(v *View, now time.Time) string {
	var b strings.Builder
	for _, name := range v.Names() {
		s, p := v.Snapshot(name, now)
		t := count(s, p)
		fmt.Fprintf(&b, "%s: %d ready, %d in flight, %d usable", name, s.Ready, t.inFlight, t.usable)
		if old, why := stale(s, p); old {
			fmt.Fprintf(&b, " (%s)", strings.TrimSuffix(why, ", so nothing is stopped"))
		}
		b.WriteByte('\n')
		for _, a := range s.Actors {
			fmt.Fprintf(&b, "  %s %s", ActorID(name, a.Slot), a.State)
			if a.Jobs > 0 {
				b.WriteString(" busy")
			}
			if a.Jobs > 1 {
				fmt.Fprintf(&b, " %d", a.Jobs)
			}
			if a.State == Idle {
				fmt.Fprintf(&b, " %s", now.Sub(a.Since))
			}
			if now.Before(a.RefusedUntil) {
				b.WriteString(" refused")
			}
			if a.Recall {
				b.WriteString(" ours")
			}
			if a.Blocked != "" {
				b.WriteString(" " + a.Blocked)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Three publishers tell one story: dispatch's intake (queued), its tail of the
// actors' facts (started, ended), and the keeper (states). Each keeps its own
// order, nothing is promised across them. However they are shuffled, the count
// never asks for more actors than there was work, and it ends right.
func TestCountsDoNotDependOnTheOrderOfPublishers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slots = 3
		var intake, tail, keeper []events.Event
		// A sequential truth: jobs come, idle actors take them, they end.
		waiting, holds := []string{}, map[int]string{}
		jobs := 0
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"submit", "take", "end"}).Draw(t, "what") {
			case "submit":
				jobs++
				id := fmt.Sprint("j", jobs)
				waiting = append(waiting, id)
				intake = append(intake, events.JobQueued{Type: "bash", Job: id, Ready: len(waiting)})
			case "take":
				n := rapid.IntRange(1, slots).Draw(t, "actor")
				if len(waiting) == 0 || holds[n] != "" {
					continue
				}
				holds[n], waiting = waiting[0], waiting[1:]
				tail = append(tail, events.JobStarted{Type: "bash", Job: holds[n], Actor: ActorID("bash", n), Attempt: 1})
				keeper = append(keeper, events.ActorStateChanged{Pool: "bash", Actor: ActorID("bash", n), From: "idle", To: "running"})
			case "end":
				n := rapid.IntRange(1, slots).Draw(t, "actor")
				if holds[n] == "" {
					continue
				}
				tail = append(tail, events.JobEnded{Type: "bash", Job: holds[n], Actor: ActorID("bash", n), Attempt: 1})
				keeper = append(keeper, events.ActorStateChanged{Pool: "bash", Actor: ActorID("bash", n), From: "running", To: "idle"})
				holds[n] = ""
			}
		}
		v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
		v.Fold(events.QueueMeasured{Type: "bash"}, epoch)
		for n := range slots {
			v.Fold(events.ActorStateChanged{Pool: "bash", Actor: ActorID("bash", n+1), To: "idle"}, epoch)
		}
		queued := 0
		for len(intake)+len(tail)+len(keeper) > 0 {
			from := rapid.SampledFrom([]*[]events.Event{&intake, &tail, &keeper}).Draw(t, "from")
			if len(*from) == 0 {
				continue
			}
			e := (*from)[0]
			*from = (*from)[1:]
			v.Fold(e, epoch)
			if _, ok := e.(events.JobQueued); ok {
				queued++
			}
			if s, _ := v.Snapshot("bash", epoch); s.Ready > queued {
				t.Fatalf("%d ready of %d queued", s.Ready, queued)
			}
		}
		s, p := v.Snapshot("bash", epoch)
		busy := 0
		for _, j := range holds {
			if j != "" {
				busy++
			}
		}
		if got := count(s, p).inFlight; s.Ready != len(waiting) || got != busy {
			t.Errorf("%d ready, %d in flight; want %d, %d", s.Ready, got, len(waiting), busy)
		}
	})
}

// A measurement says what was so when it was made, and is told at any time after that; a start is told behind its queuing. Never
// are there more jobs, waiting and in hand, than have come and were not told to have ended.
func TestAMeasurementAtAnyTimeCountsNoJobTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slots = 3
		v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
		v.Fold(events.QueueMeasured{Type: "bash"}, epoch.Add(-time.Second))
		var intake, tail, depth []events.Event
		waiting, holds, told := []string{}, map[int]string{}, map[string]bool{}
		jobs, ended, measured := 0, 0, false
		tell := func(from *[]events.Event) {
			if len(*from) == 0 {
				return
			}
			switch e := (*from)[0].(type) {
			case events.JobQueued:
				told[e.Job] = true
			case events.JobStarted:
				if !told[e.Job] {
					return
				}
			case events.JobEnded:
				ended++
			}
			v.Fold((*from)[0], epoch)
			*from = (*from)[1:]
			s, p := v.Snapshot("bash", epoch)
			held := 0
			for _, a := range s.Actors {
				held += a.Jobs
			}
			if s.Ready+held > jobs-ended {
				t.Fatalf("%d wait and %d are in hand of %d; %s", s.Ready, held, jobs-ended, Decide(s, p).Reason)
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			n := rapid.IntRange(1, slots).Draw(t, "actor")
			switch rapid.SampledFrom([]string{"submit", "take", "end", "measure", "intake", "tail", "depth"}).Draw(t, "what") {
			case "submit":
				jobs++
				waiting = append(waiting, fmt.Sprint("j", jobs))
				intake = append(intake, events.JobQueued{Type: "bash", Job: fmt.Sprint("j", jobs), Ready: len(waiting)})
			case "take":
				if len(waiting) > 0 && holds[n] == "" {
					holds[n], waiting = waiting[0], waiting[1:]
					tail = append(tail, events.JobStarted{Type: "bash", Job: holds[n], Actor: ActorID("bash", n), Attempt: 1})
				}
			case "end":
				if holds[n] != "" {
					tail = append(tail, events.JobEnded{Type: "bash", Job: holds[n], Actor: ActorID("bash", n), Attempt: 1})
					holds[n] = ""
				}
			case "measure":
				if !measured { // of two, each may have crossed a claim: then the second is believed
					measured = true
					depth = append(depth, events.QueueMeasured{Type: "bash", Ready: len(waiting)})
				}
			case "intake":
				tell(&intake)
			case "tail":
				tell(&tail)
			case "depth":
				tell(&depth)
			}
		}
	})
}

// The picture is a function of the facts: two views fed alike give equal
// decisions, and a measurement in the end makes any count right.
func TestMeasurementSettlesEveryCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
		for range rapid.IntRange(0, 60).Draw(t, "n") {
			job := fmt.Sprint("j", rapid.IntRange(1, 9).Draw(t, "job"))
			e := rapid.SampledFrom([]events.Event{
				events.JobQueued{Type: "bash", Job: job, Ready: rapid.IntRange(0, 5).Draw(t, "ready")},
				events.JobStarted{Type: "bash", Job: job, Actor: "bash_1", Attempt: 1},
				events.JobEnded{Type: "bash", Job: job, Actor: "bash_1"},
				events.JobRetried{Type: "bash", Job: job, Actor: "bash_1", Attempt: 1},
				events.JobCancelled{Type: "bash", Job: job},
				events.RedisLost{},
				events.RedisBack{},
				events.FactsLost{},
			}).Draw(t, "fact")
			v.Fold(e, epoch)
			if s, _ := v.Snapshot("bash", epoch); s.Ready < 0 {
				t.Fatal("a negative count")
			}
		}
		m := events.QueueMeasured{Type: "bash", Ready: rapid.IntRange(0, 9).Draw(t, "measured")}
		v.Fold(m, epoch)
		v.Fold(m, epoch.Add(time.Second))
		if s, _ := v.Snapshot("bash", epoch); s.Ready != m.Ready {
			t.Errorf("%d ready after measuring %d twice", s.Ready, m.Ready)
		}
	})
}

// A measurement that comes before the JobQueued of what it counted does not make two jobs of one.
func TestMeasurementAheadOfItsJob(t *testing.T) {
	queued := events.JobQueued{Type: "bash", Job: "j1"}
	begun := events.JobStarted{Type: "bash", Job: "j1", Actor: "bash_1", Attempt: 1}
	for _, c := range []struct {
		order []events.Event
		ready []int
	}{
		{[]events.Event{queued, begun}, []int{1, 0}},
		{[]events.Event{begun, queued}, []int{0, 0}},
	} {
		v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
		ready := func(want int, after events.Event) {
			t.Helper()
			if s, _ := v.Snapshot("bash", epoch); s.Ready != want {
				t.Errorf("%d ready after %+v, want %d", s.Ready, after, want)
			}
		}
		at := epoch
		v.Fold(events.QueueMeasured{Type: "bash"}, at)
		at = at.Add(time.Second)
		v.Fold(events.QueueMeasured{Type: "bash", Ready: 1}, at)
		ready(1, queued) // a rise is believed at once: some jobs have no fact at all
		for i, e := range c.order {
			v.Fold(e, at.Add(time.Millisecond))
			ready(c.ready[i], e)
		}
		// What comes later was not in it.
		v.Fold(events.QueueMeasured{Type: "bash", Ready: 2}, at.Add(time.Second))
		v.Fold(events.JobQueued{Type: "bash", Job: "j2"}, at.Add(2*time.Second))
		ready(3, queued)
	}
}

// What a measurement counted ahead of its fact is counted once: whatever a second measurement says in between, and to run alone, too.
func TestJobsToldBehindAMeasurement(t *testing.T) {
	at := epoch
	back := func(job string) events.Event {
		return events.JobRetried{Type: "bash", Job: job, Actor: "bash_1", Attempt: 1, Suspected: true}
	}
	queued := func(job string) events.Event { return events.JobQueued{Type: "bash", Job: job} }
	measured := func(ready, alone, delayed int) events.Event {
		return events.QueueMeasured{Type: "bash", Ready: ready, Alone: alone, Delayed: delayed}
	}
	for _, c := range []struct {
		name         string
		facts        []events.Event
		ready, alone int
	}{
		{"given back, to run alone", []events.Event{measured(4, 2, 0), queued("a"), back("b"), queued("c"), back("d")}, 4, 2},
		{"in the middle of the measurement", []events.Event{back("a"), measured(2, 2, 0), back("b")}, 2, 2},
		{"behind two measurements", []events.Event{measured(1, 0, 0), measured(2, 0, 0), queued("a"), queued("b")}, 2, 0},
		{"taken by then", []events.Event{measured(1, 0, 0), events.JobStarted{Type: "bash", Job: "a", Actor: "bash_1", Attempt: 1}, measured(0, 0, 0), queued("a")}, 0, 0},
		{"beside one that is due, of which nothing is told", []events.Event{measured(0, 0, 1), measured(1, 0, 0), queued("a")}, 2, 0},
	} {
		v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
		v.Fold(measured(0, 0, 0), at.Add(-time.Second))
		for _, e := range c.facts {
			v.Fold(e, at)
		}
		if q := v.queues["bash"]; q.ready != c.ready || q.alone != c.alone {
			t.Errorf("%s: %d ready (%d alone), want %d (%d)", c.name, q.ready, q.alone, c.ready, c.alone)
		}
	}
}

// A delayed job goes from its time to an idle actor without being told as queued. When it is run again by hand, it is.
func TestAJobThatIsRunAgainIsCounted(t *testing.T) {
	v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
	v.Fold(events.QueueMeasured{Type: "bash"}, epoch)
	v.Fold(events.JobStarted{Type: "bash", Job: "d", Actor: "bash_1", Attempt: 1}, epoch)
	v.Fold(events.JobEnded{Type: "bash", Job: "d", Actor: "bash_1", Attempt: 1}, epoch)
	v.Fold(events.QueueMeasured{Type: "bash"}, epoch.Add(time.Second))
	v.Fold(events.JobQueued{Type: "bash", Job: "d"}, epoch.Add(2*time.Second))
	if s, _ := v.Snapshot("bash", epoch.Add(2*time.Second)); s.Ready != 1 {
		t.Errorf("%d ready, want 1", s.Ready)
	}
}

// The jobs of a new process may be told before the keeper tells the end of the one before, or the new one's begin. Nothing of
// them is forgotten, and nothing of the dead one's is kept.
func TestJobsAheadOfTheirProcess(t *testing.T) {
	first, second := events.Incarnation{Boot: "b", PID: 1, Start: 1}, events.Incarnation{Boot: "b", PID: 2, Start: 2}
	to := func(state State, life events.Incarnation) events.Event {
		return events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: string(state), Incarnation: life}
	}
	started := func(job string, life events.Incarnation) events.Event {
		return events.JobStarted{Type: "bash", Job: job, Actor: "bash_1", Attempt: 1, Incarnation: life}
	}
	before := []events.Event{to(Starting, first), to(Idle, first), started("a", first), to(Running, first)}
	gone, begins := to(Failed, events.Incarnation{}), to(Starting, second)
	b, c, d := started("b", second), started("c", second), started("d", second)
	for _, facts := range [][]events.Event{
		{gone, begins, b, c, d}, {gone, b, begins, c, d}, {gone, b, c, d, begins}, {b, gone, c, begins, d}, {b, c, d, gone, begins}, {b, c, d, begins},
	} {
		v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
		for _, e := range append(slices.Clone(before), append(facts, to(Running, second))...) {
			v.Fold(e, epoch)
		}
		if s, _ := v.Snapshot("bash", epoch); s.Actors[0].Jobs != 3 {
			t.Errorf("it holds %d jobs, want 3: %v", s.Actors[0].Jobs, facts)
		}
		v.Fold(to(Stopped, events.Incarnation{}), epoch)
		if s, _ := v.Snapshot("bash", epoch); s.Actors[0].Jobs != 0 {
			t.Errorf("it holds %d jobs when it has stopped", s.Actors[0].Jobs)
		}
	}
}

func TestOvertakersAndTypesAreBounded(t *testing.T) {
	v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
	for i := range 10_000 {
		v.Fold(events.JobStarted{Type: "bash", Job: fmt.Sprint("j", i), Actor: "bash_1", Attempt: 1}, epoch)
		v.Fold(events.JobQueued{Type: fmt.Sprint("t", i), Job: "j", Ready: 1}, epoch)
		v.Fold(events.ActorStateChanged{Pool: "bash", Actor: ActorID("bash", i), To: "idle"}, epoch)
		v.Fold(events.ActorStateChanged{Pool: "nope", Actor: ActorID("nope", i), To: "idle"}, epoch)
	}
	if n := len(v.queues["bash"].overtakers); n > overtakersKept {
		t.Errorf("%d overtakers", n)
	}
	if n := len(v.queues); n > maxTypes {
		t.Errorf("%d types", n)
	}
	if n := len(v.pools["bash"].slots); n > MaxActors {
		t.Errorf("%d slots", n)
	}
	if len(v.pools) != 1 {
		t.Errorf("%d pools", len(v.pools))
	}
}

func TestAnswersDoNotOverwriteNewerFacts(t *testing.T) {
	v := NewView([]Pool{{Name: "bash", Types: []string{"bash"}, Policy: DefaultPolicy()}})
	v.Fold(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"}, epoch)
	v.Fold(events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "running"}, epoch)
	asked := v.facts
	v.Fold(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", From: "idle", To: "failed"}, epoch)
	v.adopt(answer{facts: asked, actors: []known{
		{Name: "bash_1", State: Idle},
		{Name: "bash_2", State: Idle, Since: epoch.Add(-time.Hour)},
		{Name: "bash_3", State: Running, Holds: 3},
		{Name: "bash_x", State: Idle},
		{Name: "v_1", State: Idle},
	}}, epoch)
	want := "bash: 0 ready, 3 in flight, 2 usable (no measurement to go by)\n  bash_1 failed\n  bash_2 idle 1h0m0s\n  bash_3 running busy 3\n"
	if got := show(v, epoch); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
