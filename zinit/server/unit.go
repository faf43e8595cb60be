package server

import (
	"slices"
	"syscall"
	"time"

	"herosup/zinit"
)

// phase is what exists of a service at the moment.
type phase int

const (
	// down: nothing of it, but for what a oneshot left on purpose.
	down phase = iota
	// spawning: its process is being started.
	spawning
	// alive: its process lives.
	alive
	// clearing: its process has ended, others of it are being ended.
	clearing
)

// unit is the life of one service. Its methods are what can happen to it; they
// return what is to be done, in order. They know the time only as an argument.
type unit struct {
	name string
	spec zinit.Service

	target zinit.Target
	state  zinit.State
	phase  phase

	// pid is the main process while alive, and the number of its group. group
	// keeps the number of the latest one, for what may be left in it.
	pid, group int
	life       int       // counts the starts
	since      time.Time // the start of this life

	last *zinit.End // how the latest life ended

	due       bool // to be started as soon as nothing stands in the way
	notBefore time.Time
	failures  int         // ends in a row that were followed by a restart
	ends      []time.Time // those that count against the budget; at most MaxExits+1

	stopping bool      // a stop has been asked of this life
	again    bool      // a start was asked behind that stop
	closing  bool      // everything is ending
	unmet    string    // what is asked for and does not hold
	killAt   time.Time // when stopping: KILL
	killed   bool

	test test
}

// test is the readiness test of one life.
type test struct {
	wanted   bool // not passed yet
	pid      int  // the run that is on, 0 for none
	starting bool
	failed   int    // runs in a row
	told     string // why the latest could not be started, "" for not at all
	next     time.Time
	deadline time.Time
}

// verb is a kind of action.
type verb int

const (
	// doSpawn starts the main process.
	doSpawn verb = iota
	// doTest starts a run of the test.
	doTest
	// doSignal sends signal to the group that pid leads; pid is not reaped yet.
	doSignal
	// doClear ends what is left of the service after its main process: KILL at
	// killAt, and before that, politely, the stop signal to those outside of
	// group pid, which had it already.
	doClear
)

// action is something for the loop to do for a unit.
type action struct {
	do     verb
	pid    int
	signal syscall.Signal
	killAt time.Time
}

// newUnit is a service that was just monitored: it is to be started.
func newUnit(name string, spec zinit.Service) *unit {
	spec.Restart = spec.Restart.OrDefaults()
	return &unit{name: name, spec: spec, target: zinit.Up, state: zinit.State{Kind: zinit.Unknown}, due: true}
}

// adopt takes up a process that an earlier server started for this service.
// Whether the test had passed is not known, so it is asked again.
func (u *unit) adopt(pid int, target zinit.Target, now time.Time) []action {
	u.target, u.due = target, false
	u.life++
	acts := u.spawned(pid, now)
	if target == zinit.Down {
		acts = append(acts, u.signalStop(now)...) // as far as that server had come
	}
	return acts
}

// resume goes on from where an earlier server ended, if no process was left to
// adopt. If that knew how the latest one ended, a oneshot is not run again, and
// what it left is left. left says that anything is.
func (u *unit) resume(s standing, left bool, now time.Time) []action {
	u.target = s.Target
	ended := s.PID != 0
	done := ended && u.spec.Oneshot
	u.due = u.target == zinit.Up && !done
	if ended {
		u.state, u.last = s.Ended, &zinit.End{PID: s.PID, State: s.Ended}
	}
	if !left || done {
		return nil
	}
	u.due, u.again, u.phase = false, u.due, clearing
	return []action{{do: doClear, killAt: now}}
}

// standing is what the next server has to know of u beside its process: a
// service that runs again by itself is the same to it however it ended.
func (u *unit) standing(world string) standing {
	s := standing{World: world, Target: u.target}
	if u.phase == down && u.last != nil && (u.spec.Oneshot || u.target == zinit.Down) {
		s.Ended, s.PID = u.last.State, u.last.PID
	}
	return s
}

// start sets the target Up. An end that is under way runs its course first.
func (u *unit) start() {
	u.target = zinit.Up
	switch u.phase {
	case down:
		u.fresh()
	case spawning:
		u.stopping = false // nothing was signalled yet
	case alive:
		u.again = u.stopping
	case clearing:
		u.again = true
	}
}

// fresh has it started as if it never had failed.
func (u *unit) fresh() { u.due, u.notBefore, u.failures, u.ends = true, time.Time{}, 0, nil }

// grace is the time between the first signal of a stop and KILL.
func (u *unit) grace() time.Duration {
	if u.closing {
		return u.spec.Grace()
	}
	return u.spec.StopGrace()
}

// close says that everything is ending: nothing is started any more, also not what waits for its turn to stop, and a stop that
// is under way may take no longer than one that would begin now.
func (u *unit) close(now time.Time) {
	u.target, u.due, u.again, u.closing = zinit.Down, false, false, true
	if by := now.Add(u.grace()); u.stopping && by.Before(u.killAt) {
		u.killAt = by
	}
}

// stop sets the target Down and begins the end. left says that a oneshot that
// is over has left something.
func (u *unit) stop(now time.Time, left bool) []action {
	u.target, u.due, u.again = zinit.Down, false, false
	switch u.phase {
	case down:
		if left {
			u.phase = clearing
			return []action{{do: doClear, killAt: now.Add(u.grace())}}
		}
	case spawning:
		u.stopping = true
	case alive:
		return u.signalStop(now)
	case clearing:
		// On its way already.
	}
	return nil
}

// signalStop begins the end of the main process. CONT follows the stop signal,
// because a stopped process (SIGSTOP) would not see any but KILL.
func (u *unit) signalStop(now time.Time) []action {
	if u.stopping && !u.killAt.IsZero() {
		return nil
	}
	u.stopping = true
	u.killAt = now.Add(u.grace())
	return []action{
		{do: doSignal, pid: u.pid, signal: u.stopSignal()},
		{do: doSignal, pid: u.pid, signal: syscall.SIGCONT},
	}
}

// stopSignal is what a stop begins with. The name was checked on loading.
func (u *unit) stopSignal() syscall.Signal {
	if sig, err := zinit.ParseSignal(u.spec.StopSignal); err == nil {
		return sig
	}
	return syscall.SIGTERM
}

// spawned says that the main process lives.
func (u *unit) spawned(pid int, now time.Time) []action {
	u.phase, u.pid, u.group, u.since = alive, pid, pid, now
	u.state = zinit.State{Kind: zinit.Running}
	if len(u.spec.Test) > 0 {
		u.state.Kind = zinit.Spawned
		u.test = test{wanted: true, next: now}
	}
	if u.stopping {
		return u.signalStop(now)
	}
	return nil
}

// spawnFailed says that there is no main process. One that the machine had no
// room for is tried again; any other error will not go away by itself.
func (u *unit) spawnFailed(transient bool, now time.Time) {
	u.phase, u.stopping = down, false
	u.state = zinit.State{Kind: zinit.Failure}
	if transient && u.target == zinit.Up {
		u.failures++ // never at once: that would only make it worse
		u.due, u.notBefore = true, now.Add(restartDelay(u.spec.Restart, u.failures))
	}
}

// exited says how the main process ended, and whether anything is left.
func (u *unit) exited(how zinit.State, left bool, now time.Time) []action {
	var acts []action
	if u.test.pid != 0 {
		acts = append(acts, action{do: doSignal, pid: u.test.pid, signal: syscall.SIGKILL})
	}
	u.last = &zinit.End{PID: u.pid, State: how}
	stopping, killAt := u.stopping, u.killAt
	lived := now.Sub(u.since)
	u.pid, u.state, u.test = 0, how, test{}
	u.stopping, u.killAt, u.killed = false, time.Time{}, false

	switch {
	case u.again:
		u.fresh()
	case u.target == zinit.Up && !u.spec.Oneshot:
		u.restart(lived, now)
	}
	u.again = false

	u.phase = down
	if left && (stopping || !u.spec.Oneshot) {
		rest := action{do: doClear, pid: u.group, killAt: killAt}
		if !stopping {
			rest.killAt = now
		}
		u.phase = clearing
		acts = append(acts, rest)
	}
	return acts
}

// restart has the next life begin, or gives up when the budget of ends is used.
func (u *unit) restart(lived time.Duration, now time.Time) {
	policy, spent := u.spec.Restart, false
	if u.ends, spent = exhausted(policy, u.ends, now); spent {
		u.state = zinit.State{Kind: zinit.Failure}
		return
	}
	if lived >= policy.Healthy {
		u.failures = 0
	}
	u.due, u.notBefore = true, now.Add(restartDelay(policy, u.failures))
	u.failures++
}

// cleared says that nothing is left, or nothing that KILL could end.
func (u *unit) cleared() {
	u.phase = down
	if u.again {
		u.again = false
		u.fresh()
	}
}

// testStarted says that a run of the test is on; pid 0 that it could not be
// started.
func (u *unit) testStarted(pid int, now time.Time) {
	u.test.starting = false
	if pid != 0 {
		u.test.pid, u.test.deadline, u.test.told = pid, now.Add(testTimeout), ""
		return
	}
	u.state.Kind = zinit.TestFailure
	u.retest(now)
}

// tested says how a run of the test ended.
func (u *unit) tested(ok bool, now time.Time) {
	u.test.pid, u.test.deadline = 0, time.Time{}
	if ok {
		u.test = test{}
		u.state.Kind = zinit.Running
		return
	}
	u.state.Kind = zinit.Spawned
	u.retest(now)
}

func (u *unit) retest(now time.Time) {
	u.test.next = now.Add(testDelay(u.test.failed))
	u.test.failed++
}

// proceed does what is due by now. free says that all it waits for is there.
func (u *unit) proceed(now time.Time, free bool) []action {
	var acts []action
	switch u.phase {
	case down:
		if !u.due || now.Before(u.notBefore) {
			break
		}
		if !free {
			u.state = zinit.State{Kind: zinit.Blocked}
			break
		}
		u.due, u.phase = false, spawning
		u.life++
		acts = append(acts, action{do: doSpawn})
	case alive:
		if u.stopping && !u.killed && !now.Before(u.killAt) {
			u.killed = true
			acts = append(acts, action{do: doSignal, pid: u.pid, signal: syscall.SIGKILL})
		}
		t := &u.test
		switch {
		case t.pid != 0 && !now.Before(t.deadline):
			t.deadline = now.Add(testTimeout) // its end comes as an exit
			acts = append(acts, action{do: doSignal, pid: t.pid, signal: syscall.SIGKILL})
		case t.wanted && t.pid == 0 && !t.starting && !u.stopping && !now.Before(t.next):
			t.starting = true
			acts = append(acts, action{do: doTest})
		}
	case spawning, clearing:
		// A message ends these.
	}
	return acts
}

// wake is the next moment at which proceed has something to do by itself, or
// the zero time.
func (u *unit) wake() time.Time {
	var at []time.Time
	switch u.phase {
	case down:
		if u.due && u.state.Kind != zinit.Blocked {
			at = append(at, u.notBefore)
		}
	case alive:
		if u.stopping && !u.killed {
			at = append(at, u.killAt)
		}
		if u.test.pid != 0 {
			at = append(at, u.test.deadline)
		} else if u.test.wanted && !u.test.starting && !u.stopping {
			at = append(at, u.test.next)
		}
	case spawning, clearing:
	}
	if len(at) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(at, time.Time.Compare)
}

// satisfies reports whether a service that comes after this one may start.
func (u *unit) satisfies() bool {
	return u.state.Kind == zinit.Success || u.state.Kind == zinit.Running && !u.spec.Oneshot
}

// wanted reports whether its process is to go on: no stop is under way.
func (u *unit) wanted() bool {
	return u.target == zinit.Up && !u.stopping && (u.phase == spawning || u.phase == alive)
}

// up reports whether it must not be forgotten.
func (u *unit) up() bool { return u.target == zinit.Up || u.phase != down }

// deaf reports whether KILL has not ended it: it is in a system call that does not
// return.
func (u *unit) deaf(now time.Time) bool {
	return u.phase == alive && u.killed && now.After(u.killAt.Add(killPatience))
}
