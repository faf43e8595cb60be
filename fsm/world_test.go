package fsm

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herosup/events"
)

// TestWorld runs one machine against a world that obeys the rules of the house:
// a process manager that restarts, Redis with a gate where jobs are claimed, an
// executor and a dispatcher on two connections whose messages are under way for
// as long as they like, a daemon that dies, a Redis that goes away. Whatever
// happens in whichever order:
//
//   - no process is told to stop or to restart while it really holds a job;
//   - when all is heard, one that holds a job is not taken for idle;
//   - when all is quiet, machine, process manager, process and gate agree.
func TestWorld(t *testing.T) {
	chart, err := NewChart()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, chart: chart, now: time.Unix(0, 0), salt: 'a'}
		w.boot()
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			w.step()
		}
		w.quiet()
	})
}

type world struct {
	t     *rapid.T
	chart *Chart
	a     Actor
	now   time.Time
	salt  rune

	// Under way: orders to the two, facts from them, hellos from one to the other.
	toDispatch, toExecutor, fromDispatch, fromExecutor []events.Event
	hellos                                             []int

	// The truth.
	wanted    bool // the process manager's target
	life      int  // the process that runs; 0: none
	lives     int
	registers bool     // it said hello
	held      []string // the jobs it holds: up to two at a time
	jobs      int
	gate      string // nonce of the close in Redis; "": open
	redisDown bool
	log       []string
}

func (w *world) note(format string, a ...any) {
	w.log = append(w.log, fmt.Sprintf(format, a...))
}

func (w *world) fail(format string, a ...any) {
	w.t.Helper()
	for _, l := range w.log {
		w.t.Log(l)
	}
	w.t.Fatalf(format, a...)
}

// boot is a daemon that starts: everything that was under way is gone, the
// executor tells what runs, dispatch what is held.
func (w *world) boot() {
	settings := PoolConfig{Max: 1, CrashLoop: CrashLimit{Exits: 3, Within: time.Minute}}.withDefaults()
	w.a = NewActor(events.LocalNode, "bash_1", settings, string(w.salt))
	w.salt++
	w.toDispatch, w.toExecutor, w.fromDispatch, w.fromExecutor, w.hellos = nil, nil, nil, nil, nil
	if w.redisDown {
		w.tell(events.RedisLost{})
	}
	w.fromExecutor = append(w.fromExecutor, w.observed())
	w.retell()
	w.note("daemon starts")
}

// retell is what dispatch says at its start and after Redis was away.
func (w *world) retell() {
	if w.life > 0 && w.registers {
		w.hellos = append(w.hellos, w.life)
		w.tell(events.ActorRegistered{Pool: "bash", Actor: "bash_1", Incarnation: life(w.life), Anew: true, Holds: slices.Clone(w.held)})
		for _, job := range w.held {
			w.tell(w.started(job))
		}
	}
}

func (w *world) tell(e events.Event) { w.fromDispatch = append(w.fromDispatch, e) }

func (w *world) started(job string) events.Event {
	return events.JobStarted{Actor: "bash_1", Job: job, Incarnation: life(w.life), Attempt: 1}
}

func (w *world) observed() events.Event {
	return events.ProcessObserved{Pool: "bash", Actor: "bash_1", Incarnation: life(w.life), WantedUp: w.wanted}
}

// hear gives the keeper something and sends what it answers on its way.
func (w *world) hear(e events.Event) {
	a, out := w.chart.Fold(w.t.Context(), w.a, e, w.now)
	w.note("keeper hears %T%+v: %s -> %s", e, e, w.a.State, a.State)
	w.obey(a, out)
}

func (w *world) obey(a Actor, out Output) {
	w.a = a
	if out.Fault != nil {
		w.fail("%v", out.Fault)
	}
	for _, e := range out.Publish {
		switch events.KindOf(e).Entity {
		case "process":
			w.toExecutor = append(w.toExecutor, e)
		case "intake":
			w.toDispatch = append(w.toDispatch, e)
		}
	}
}

// shift takes the oldest of a queue.
func shift[T any](q *[]T) T {
	e := (*q)[0]
	*q = (*q)[1:]
	return e
}

// step is one thing that may happen next.
func (w *world) step() {
	var may []func()
	can := func(yes bool, weight int, f func()) {
		for range weight {
			if yes {
				may = append(may, f)
			}
		}
	}
	can(len(w.toDispatch) > 0, 3, w.dispatchObeys)
	can(len(w.toExecutor) > 0, 3, w.executorObeys)
	can(len(w.fromDispatch) > 0, 4, func() { w.hear(shift(&w.fromDispatch)) })
	can(len(w.fromExecutor) > 0, 4, func() { w.hear(shift(&w.fromExecutor)) })
	can(len(w.hellos) > 0, 3, w.executorLearns)
	can(w.wanted && w.life == 0, 3, w.spawn)
	can(w.life > 0 && !w.registers && !w.redisDown, 3, w.hello)
	can(w.registers && w.gate == "" && len(w.held) < 2 && !w.redisDown, 4, w.claim)
	can(len(w.held) > 0 && !w.redisDown, 3, w.finish)
	can(len(w.held) > 0 && !w.redisDown, 1, w.lose)
	can(w.life > 0, 1, w.crash)
	can(true, 2, func() { w.hear(events.ActorStart{Actor: "bash_1"}) })
	can(true, 2, func() { w.hear(events.ActorStop{Actor: "bash_1"}) })
	can(true, 1, func() { w.hear(events.ActorRestart{Actor: "bash_1"}) })
	can(true, 1, func() { w.hear(events.ActorReset{Actor: "bash_1"}) })
	can(true, 1, func() { w.hear(events.ActorPing{Actor: "bash_1"}) })
	can(true, 1, func() { w.hear(events.ActorStop{Actor: "bash_1", Deadline: 60}) })
	can(true, 1, func() { w.hear(events.ActorRestart{Actor: "bash_1", Deadline: 60}) })
	can(true, 1, func() { w.fromExecutor = append(w.fromExecutor, w.observed()) })
	can(true, 1, w.reassert)
	can(true, 1, w.boot)
	can(true, 1, w.redis)
	// Time passes only when nothing is under way: messages take milliseconds,
	// deadlines seconds; but for an operator's, which may be any.
	can((w.silent() || w.a.is(Draining, Recycling)) && !w.a.Due.IsZero(), 2, w.elapse)
	rapid.SampledFrom(may).Draw(w.t, "step")()
}

func (w *world) silent() bool {
	return len(w.toDispatch)+len(w.toExecutor)+len(w.fromDispatch)+len(w.fromExecutor)+len(w.hellos) == 0
}

func (w *world) elapse() {
	w.now = w.a.Due
	a, out := w.chart.Elapse(w.t.Context(), w.a, w.now)
	w.note("time: %s -> %s", w.a.State, a.State)
	w.obey(a, out)
}

// reassert: the keeper believes that orders were lost, rightly or not.
func (w *world) reassert() {
	w.note("keeper says its orders again")
	w.obey(w.chart.Reassert(w.t.Context(), w.a, w.now))
}

func (w *world) redis() {
	w.redisDown = !w.redisDown
	w.note("redis down: %v", w.redisDown)
	if w.redisDown {
		w.tell(events.RedisLost{})
		return
	}
	w.tell(events.RedisBack{})
	w.retell()
}

func (w *world) dispatchObeys() {
	e := shift(&w.toDispatch)
	w.note("dispatch obeys %T%+v", e, e)
	if w.redisDown {
		return // lost: the keeper must say it again
	}
	switch e := e.(type) {
	case events.CloseIntake:
		w.gate = e.Nonce
		w.drained()
	case events.OpenIntake:
		w.gate = ""
	case events.PingIntake:
		if w.registers {
			w.tell(events.ActorPonged{Pool: "bash", Actor: "bash_1", Incarnation: life(w.life), Nonce: e.Nonce})
		}
	}
}

func (w *world) drained() {
	if w.gate != "" && len(w.held) == 0 {
		w.tell(events.ActorDrained{Pool: "bash", Actor: "bash_1", Incarnation: life(w.life), Nonce: w.gate})
	}
}

func (w *world) executorObeys() {
	e := shift(&w.toExecutor)
	w.note("executor obeys %T%+v (life %d, jobs %q)", e, e, w.life, w.held)
	switch e := e.(type) {
	case events.StartProcess:
		w.wanted = true
		w.tellLife()
	case events.StopProcess:
		w.ends(e, e.Incarnation, false)
	case events.RestartProcess:
		w.replaces(e, e.Incarnation)
	case events.KillProcess:
		if e.Replace {
			w.replaces(e, e.Incarnation)
		} else {
			w.ends(e, e.Incarnation, !e.Down)
		}
	}
}

// replaces is a restart; when nothing could follow, it leaves what there is.
func (w *world) replaces(e events.Event, meant events.Incarnation) {
	if w.life > 0 && life(w.life) == meant && rapid.Bool().Draw(w.t, "nothing could follow") {
		w.note("it is left alone")
		w.fromExecutor = append(w.fromExecutor, events.ProcessStartFailed{Pool: "bash", Actor: "bash_1", Kept: meant, Reason: "x"})
		return
	}
	w.ends(e, meant, true)
}

// ends is an order to end one incarnation; another one is told, not touched.
func (w *world) ends(e events.Event, meant events.Incarnation, thenUp bool) {
	switch {
	case w.life == 0:
		if w.wanted = thenUp; !thenUp {
			w.fromExecutor = append(w.fromExecutor, w.observed())
		}
	case life(w.life) != meant:
		w.tellLife()
	default:
		// A kill may hit a job: a process that was not ready in time, and is all
		// of a sudden. When one may be sent at all is in invariants_test.go.
		if _, kill := e.(events.KillProcess); len(w.held) > 0 && !kill {
			w.fail("%T to a process that holds %s", e, w.held)
		}
		w.wanted = thenUp
		w.exit(true)
	}
}

// tellLife says again what runs.
func (w *world) tellLife() {
	if w.life == 0 {
		return
	}
	w.fromExecutor = append(w.fromExecutor, events.ProcessStarted{Pool: "bash", Actor: "bash_1", Incarnation: life(w.life)})
	if w.registers {
		w.fromExecutor = append(w.fromExecutor, events.ProcessReady{Pool: "bash", Actor: "bash_1", Incarnation: life(w.life)})
	}
}

func (w *world) exit(byUs bool) {
	w.fromExecutor = append(w.fromExecutor, events.ProcessExited{Pool: "bash", Actor: "bash_1", Incarnation: life(w.life), ByUs: byUs})
	w.life, w.registers, w.held = 0, false, nil
	if !w.redisDown {
		w.drained() // its job was given back
	}
}

func (w *world) crash() { w.note("crash of %d", w.life); w.exit(false) }

func (w *world) spawn() {
	w.lives++
	w.life = w.lives
	w.note("process manager starts %d", w.life)
	if rapid.Bool().Draw(w.t, "tells its pid") {
		w.fromExecutor = append(w.fromExecutor, events.ProcessStarted{Pool: "bash", Actor: "bash_1", Incarnation: life(w.life)})
	}
}

func (w *world) hello() {
	w.registers = true
	w.note("hello of %d", w.life)
	w.hellos = append(w.hellos, w.life)
}

// executorLearns: dispatch's ActorRegistered reaches the executor.
func (w *world) executorLearns() {
	if n := shift(&w.hellos); n == w.life {
		w.fromExecutor = append(w.fromExecutor,
			events.ProcessStarted{Pool: "bash", Actor: "bash_1", Incarnation: life(n)},
			events.ProcessReady{Pool: "bash", Actor: "bash_1", Incarnation: life(n)})
	}
}

func (w *world) claim() {
	w.jobs++
	job := fmt.Sprintf("J%d", w.jobs)
	w.held = append(w.held, job)
	w.note("%d claims %s", w.life, job)
	w.tell(w.started(job))
}

func (w *world) finish() {
	job := w.end()
	w.tell(events.JobEnded{Actor: "bash_1", Job: job, Incarnation: life(w.life), Attempt: 1, Outcome: events.Finished})
	w.drained()
}

// lose is an end whose fact Redis lost; dispatch notices, and says anew how it stands.
func (w *world) lose() {
	w.end()
	w.note("and that is lost")
	w.retell()
	w.drained()
}

// end takes any of its jobs out of the hand.
func (w *world) end() string {
	i := rapid.IntRange(0, len(w.held)-1).Draw(w.t, "which")
	job := w.held[i]
	w.held = slices.Delete(w.held, i, i+1)
	w.note("%d ends %s", w.life, job)
	return job
}

// quiet lets everything come to rest and compares.
func (w *world) quiet() {
	if w.redisDown {
		w.redis()
	}
	for range 500 {
		switch {
		case len(w.toDispatch) > 0:
			w.dispatchObeys()
		case len(w.toExecutor) > 0:
			w.executorObeys()
		case len(w.fromDispatch) > 0:
			w.hear(shift(&w.fromDispatch))
		case len(w.fromExecutor) > 0:
			w.hear(shift(&w.fromExecutor))
		case len(w.hellos) > 0:
			w.executorLearns()
		case w.wanted && w.life == 0:
			w.spawn()
		case w.life > 0 && !w.registers:
			w.hello()
		case len(w.held) > 0:
			w.knowsHands()
			w.finish()
		case !w.a.Due.IsZero():
			w.elapse()
		case w.a.is(Pinging):
			w.hear(events.ActorPing{Actor: "bash_1"}) // the monitor's second try
		default:
			w.agree()
			return
		}
	}
	w.fail("it does not come to rest: %s", w.a.State)
}

// knowsHands: once everything was heard, an actor that works is idle only if it holds nothing.
func (w *world) knowsHands() {
	if life(w.life) == w.a.Incarnation && w.a.is(Idle, Pinging) {
		w.fail("%s, and holds %s", w.a.State, w.held)
	}
}

func (w *world) agree() {
	up := w.wanted && w.life > 0 && w.registers && w.gate == "" && life(w.life) == w.a.Incarnation
	switch {
	case w.a.is(Stopped, Quarantined) && !w.wanted && w.life == 0:
	case w.a.is(Idle) && up && !w.a.Doomed:
	default:
		w.fail("machine: %s, life %s; world: wanted=%v life=%d registered=%v gate=%q",
			w.a.State, w.a.Incarnation, w.wanted, w.life, w.registers, w.gate)
	}
}
