package server

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"herosup/zinit"

	"pgregory.net/rapid"
)

// world plays a machine to one unit: it knows which processes live, as the
// kernel would, and what of the unit's actions is under way.
type world struct {
	t   *rapid.T
	now time.Time
	u   *unit

	nextPID   int
	spawns    int          // asked and not answered
	tests     int          // asked and not answered
	mains     map[int]bool // living main processes
	runs      map[int]bool // living runs of the test
	clears    int          // under way
	signalled map[int][]syscall.Signal
}

func newWorld(t *rapid.T, spec zinit.Service) *world {
	return &world{
		t: t, now: time.Unix(1000, 0), u: newUnit("x", spec), nextPID: 10,
		mains: map[int]bool{}, runs: map[int]bool{}, signalled: map[int][]syscall.Signal{},
	}
}

func (w *world) do(acts []action) {
	for _, a := range acts {
		switch a.do {
		case doSpawn:
			w.spawns++
			if w.spawns+len(w.mains) > 1 {
				w.t.Fatalf("a second copy is started beside %v", w.mains)
			}
			if w.clears > 0 {
				w.t.Fatal("started before what the last life left was gone")
			}
			if w.u.target == zinit.Down {
				w.t.Fatal("started with the target Down")
			}
		case doTest:
			w.tests++
			if w.tests+len(w.runs) > 1 {
				w.t.Fatal("two runs of the test at a time")
			}
		case doSignal:
			if !w.mains[a.pid] && !w.runs[a.pid] {
				w.t.Fatalf("signal %v to %d, which is not ours any more", a.signal, a.pid)
			}
			w.signalled[a.pid] = append(w.signalled[a.pid], a.signal)
			if a.signal == syscall.SIGKILL && w.runs[a.pid] && !w.mains[w.u.pid] {
				delete(w.runs, a.pid) // the test of a life that is over; its exit is nobody's
			}
		case doClear:
			w.clears++
			if w.clears > 1 {
				w.t.Fatal("cleared twice at a time")
			}
		}
	}
}

func (w *world) tick() { w.do(w.u.proceed(w.now, true)) }

// What has ended, a oneshot mostly, stands between those that live: who needs it needs
// what it needed.
func TestNextToStopBehindAOneshot(t *testing.T) {
	units := map[string]*unit{
		"db":      {phase: alive},
		"migrate": {phase: down, spec: zinit.Service{Oneshot: true, After: []string{"db"}}},
		"check":   {phase: down, spec: zinit.Service{Oneshot: true, After: []string{"migrate", "gone"}}},
		"web":     {phase: alive, spec: zinit.Service{After: []string{"check"}}},
	}
	for name, u := range units {
		u.name = name
	}
	for _, want := range []string{"web", "db"} {
		next := nextToStop(units, time.Unix(1000, 0))
		if len(next) != 1 || next[0].name != want {
			t.Fatalf("%d are next, of them %s; want %s alone", len(next), next[0].name, want)
		}
		next[0].phase = down
	}
}

// Whatever happens in whatever order: there is never more than one process of a
// service, none is started while a stop stands, nothing is signalled that is
// not ours, and once the world stands still the unit gets where its target says.
func TestUnitModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := zinit.Service{Exec: []string{"x"}, ShutdownTimeout: time.Second, Oneshot: rapid.Bool().Draw(t, "oneshot")}
		if rapid.Bool().Draw(t, "tested") {
			spec.Test = []string{"y"}
		}
		w := newWorld(t, spec)
		w.tick()
		t.Repeat(map[string]func(*rapid.T){
			"":      func(*rapid.T) { w.tick() },
			"start": func(*rapid.T) { w.u.start() },
			"stop": func(t *rapid.T) {
				left := w.u.phase == down && w.u.group != 0 && rapid.Bool().Draw(t, "left")
				w.do(w.u.stop(w.now, left))
			},
			"time": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 12_000).Draw(t, "ms")) * time.Millisecond)
			},
			"spawned":             func(t *rapid.T) { w.answerSpawn(t, true) },
			"spawn failed":        func(t *rapid.T) { w.answerSpawn(t, false) },
			"exit":                w.exit,
			"test starts":         func(t *rapid.T) { w.answerTest(t, true) },
			"test fails to start": func(t *rapid.T) { w.answerTest(t, false) },
			"test ends":           w.endTest,
			"cleared":             w.cleared,
		})
		w.settle()
	})
}

func (w *world) answerSpawn(t *rapid.T, ok bool) {
	if w.spawns == 0 {
		t.Skip("no start is under way")
	}
	w.spawns--
	if !ok {
		w.u.spawnFailed(rapid.Bool().Draw(t, "transient"), w.now)
		return
	}
	w.nextPID++
	w.mains[w.nextPID] = true
	w.do(w.u.spawned(w.nextPID, w.now))
}

func (w *world) exit(t *rapid.T) {
	if w.u.pid == 0 {
		t.Skip("nothing lives")
	}
	pid := w.u.pid
	w.tests = 0 // an answer to a life that is over does not reach the unit
	acts := w.u.exited(zinit.State{Kind: zinit.Exited, PID: pid, Code: 1}, rapid.Bool().Draw(t, "left"), w.now)
	delete(w.mains, pid)
	w.do(acts)
}

func (w *world) answerTest(t *rapid.T, ok bool) {
	if w.tests == 0 {
		t.Skip("no test is under way")
	}
	w.tests--
	if !ok {
		w.u.testStarted(0, w.now)
		return
	}
	w.nextPID++
	w.runs[w.nextPID] = true
	w.u.testStarted(w.nextPID, w.now)
}

func (w *world) endTest(t *rapid.T) {
	if w.u.test.pid == 0 {
		t.Skip("no test runs")
	}
	delete(w.runs, w.u.test.pid)
	w.u.tested(rapid.Bool().Draw(t, "passed"), w.now)
}

func (w *world) cleared(t *rapid.T) {
	if w.clears == 0 {
		t.Skip("nothing is being cleared")
	}
	w.clears--
	w.u.cleared()
}

// settle lets the world do what it owes, and time pass, until nothing happens.
func (w *world) settle() {
	for range 100 {
		switch {
		case w.spawns > 0:
			w.spawns--
			w.nextPID++
			w.mains[w.nextPID] = true
			w.do(w.u.spawned(w.nextPID, w.now))
		case w.clears > 0:
			w.clears--
			w.u.cleared()
		case w.u.stopping && w.u.pid != 0:
			pid := w.u.pid
			w.tests = 0
			acts := w.u.exited(zinit.State{Kind: zinit.Signaled, PID: pid, Signal: "SIGTERM"}, false, w.now)
			delete(w.mains, pid)
			w.do(acts)
		default:
			if at := w.u.wake(); at.After(w.now) {
				w.now = at
			}
		}
		w.tick()
	}
	alive := w.u.pid != 0
	switch {
	case w.u.target == zinit.Down && alive:
		w.t.Fatal("the target is Down and it lives")
	case w.u.target == zinit.Up && !alive && !w.u.spec.Oneshot && w.u.state.Kind != zinit.Failure:
		w.t.Fatalf("the target is Up and it does not live: %s", w.u.state)
	}
}

// A stop: TERM with CONT behind it, KILL when the grace is over, no earlier and
// only once.
func TestUnitStopEscalates(t *testing.T) {
	u := newUnit("x", zinit.Service{Exec: []string{"x"}, ShutdownTimeout: 3 * time.Second})
	now := time.Unix(1000, 0)
	u.proceed(now, true)
	u.spawned(7, now)
	var got []string
	note := func(acts []action) {
		for _, a := range acts {
			got = append(got, fmt.Sprint(now.Unix()-1000, " ", a.pid, " ", a.signal))
		}
	}
	note(u.stop(now, false))
	note(u.stop(now, false))
	for range 5 {
		now = now.Add(time.Second)
		note(u.proceed(now, true))
	}
	want := []string{"0 7 terminated", "0 7 continued", "3 7 killed"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// A stop that is taken back before the process is there costs it nothing.
func TestUnitStopWithdrawnDuringStart(t *testing.T) {
	u := newUnit("x", zinit.Service{Exec: []string{"x"}})
	now := time.Unix(1000, 0)
	u.proceed(now, true)
	u.stop(now, false)
	u.start()
	if acts := u.spawned(7, now); len(acts) != 0 || !u.wanted() {
		t.Fatalf("got %v, want a process that is left alone", acts)
	}
}

// At once the first time, then slower and slower; a long life makes up for it.
func TestUnitRestartPace(t *testing.T) {
	u := newUnit("x", zinit.Service{Exec: []string{"x"}})
	now := time.Unix(1000, 0)
	crash := func(lived time.Duration) (pause time.Duration) {
		u.proceed(now, true)
		u.spawned(7, now)
		now = now.Add(lived)
		u.exited(zinit.State{Kind: zinit.Exited, PID: 7, Code: 1}, false, now)
		pause = max(0, u.notBefore.Sub(now))
		now = now.Add(pause)
		return pause
	}
	var got []time.Duration
	for range 9 {
		got = append(got, crash(time.Millisecond))
	}
	got = append(got, crash(zinit.Restart{}.OrDefaults().Healthy))
	ms := time.Millisecond
	want := []time.Duration{0, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms, 0}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// Dependents go first; a cycle does not hold up the end.
func TestNextToStop(t *testing.T) {
	lives := func(after ...string) *unit {
		return &unit{phase: alive, spec: zinit.Service{After: after}}
	}
	units := map[string]*unit{"db": lives(), "app": lives("db"), "web": lives("app", "db"), "other": lives()}
	for name, u := range units {
		u.name = name
	}
	var rounds []map[string]bool
	for range 10 {
		next := nextToStop(units, time.Unix(1000, 0))
		if len(next) == 0 {
			break
		}
		round := map[string]bool{}
		for _, u := range next {
			round[u.name] = true
			u.stopping = true
		}
		if again := nextToStop(units, time.Unix(1000, 0)); len(again) != 0 && len(next) == 1 {
			t.Fatalf("%v are named while %v are stopping", again, next)
		}
		for _, u := range next {
			u.phase, u.stopping = down, false
		}
		rounds = append(rounds, round)
	}
	want := []map[string]bool{{"web": true, "other": true}, {"app": true}, {"db": true}}
	if fmt.Sprint(rounds) != fmt.Sprint(want) {
		t.Fatalf("got %v, want %v", rounds, want)
	}
	a, b := lives("b"), lives("a")
	a.name, b.name = "a", "b"
	if got := nextToStop(map[string]*unit{"a": a, "b": b}, time.Unix(1000, 0)); len(got) != 2 {
		t.Fatalf("of a cycle %d go, want both", len(got))
	}
}

// A process that not even KILL ends (it hangs in a system call) keeps nothing else from
// its stop: what it comes after is stopped, and the shutdown has an end.
func TestShutdownGoesOnWithoutTheDeaf(t *testing.T) {
	now := time.Unix(1000, 0)
	db, app := newUnit("db", zinit.Service{}), newUnit("app", zinit.Service{After: []string{"db"}})
	units := map[string]*unit{"db": db, "app": app}
	for _, u := range units {
		u.proceed(now, true)
		u.spawned(10, now)
	}
	if next := nextToStop(units, now); len(next) != 1 || next[0] != app {
		t.Fatalf("first to stop: %v", next)
	}
	app.stop(now, false)
	now = app.killAt
	app.proceed(now, true)
	if next := nextToStop(units, now); len(next) != 0 {
		t.Errorf("in the moment of KILL: %v", next)
	}
	l := &loop{units: units}
	now = now.Add(killPatience + time.Millisecond)
	if next := nextToStop(units, now); len(next) != 1 || next[0] != db || l.allDown(now) {
		t.Errorf("behind what KILL does not end: %v", next)
	}
	db.stop(now, false)
	db.exited(zinit.State{Kind: zinit.Success}, false, now)
	if !l.allDown(now) {
		t.Error("the shutdown waits for what KILL does not end")
	}
}
