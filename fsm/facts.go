package fsm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"herosup/events"
)

// fact takes in what was observed. Most facts name an incarnation; one about
// another than the current is ignored, unless it announces a newer life.
func (f *fold) fact(e events.Event) {
	switch e := e.(type) {
	case events.ProcessStarted:
		f.processStarted(e.Incarnation)
	case events.ProcessReady:
		if f.current(e.Incarnation) {
			f.a.Ready = true
			f.fire(ProcessReady, "it can work")
		}
	case events.ProcessExited:
		if f.current(e.Incarnation) {
			f.exited(exitReason(e), !e.ByUs)
		}
	case events.ProcessBlocked:
		f.blocked()
	case events.ProcessStartFailed:
		f.startFailed(e)
	case events.ProcessObserved:
		f.observed(e)
	case events.JobStarted:
		f.jobStarted(e)
	case events.JobEnded:
		f.jobEnded(Job{ID: e.Job, Attempt: e.Attempt, Incarnation: e.Incarnation}, e.Outcome)
	case events.JobRetried:
		if e.Failed { // else its actor is dead
			f.jobEnded(Job{ID: e.Job, Attempt: e.Attempt, Incarnation: e.Incarnation}, "to be retried")
		}
	case events.JobDead:
		if e.Failed {
			f.jobEnded(Job{ID: e.Job, Attempt: e.Attempt, Incarnation: e.Incarnation}, "given up")
		}
	case events.JobOverran:
		f.overran(e)
	case events.ActorRegistered:
		f.registered(e)
	case events.ActorPonged:
		f.ponged(e)
	case events.ActorUnresponsive:
		f.unresponsive(e)
	case events.ActorDrained:
		f.drained(e)
	case events.RedisLost:
		f.a.RedisLost = true
		f.suspend()
	case events.RedisBack:
		f.a.RedisLost = false
		f.resume()
		f.reassertGate()
	case events.RedisRefilled:
		f.reassertGate() // gates are in Redis, which lost them
	case events.ZinitLost:
		f.a.ZinitLost = true
		f.suspend()
	case events.ZinitBack:
		f.a.ZinitLost = false
		f.resume()
	}
}

// current is the guard of facts about a process.
func (f *fold) current(i events.Incarnation) bool {
	if i.IsZero() || i != f.a.Incarnation {
		f.ignore("about incarnation %q, the current one is %q", i, f.a.Incarnation)
		return false
	}
	return true
}

func (f *fold) holds(job string) bool {
	if !f.a.Hand.hasID(job) {
		f.ignore("about job %q, which it does not hold", job)
		return false
	}
	return true
}

func (f *fold) processStarted(i events.Incarnation) {
	if i == f.a.Incarnation && !i.IsZero() {
		return // told twice
	}
	if !f.a.unseen(i) {
		f.ignore("incarnation %q is not newer than %q and %q", i, f.a.Incarnation, f.a.Gone)
		return
	}
	waited := f.a.Blocked
	f.adopt(i)
	f.fire(ProcessStarted, f.welcome())
	if waited && f.a.is(Starting) {
		f.startTimer(f.a.Settings.StartTimeout) // its time begins now
	}
}

func (f *fold) welcome() string {
	switch f.a.State {
	case Stopped, Stopping:
		return "nobody asked for this process"
	case Restarting, Failed:
		return "a new process is there"
	}
	return "a new process is there; the end of the one before was not told"
}

// exited takes the end of the current incarnation.
func (f *fold) exited(reason string, counts bool) {
	f.a.Gone = f.a.Incarnation
	f.retire()
	if !f.a.is(Starting, Idle, Pinging, Running) {
		f.fire(ProcessExited, reason)
		return
	}
	f.count(counts)
	f.fire(ProcessExited, reason+f.outlook())
	if counts {
		f.crashLoop()
	}
}

func exitReason(e events.ProcessExited) string {
	how := fmt.Sprintf("exit status %d", e.ExitCode)
	if e.Signal != "" {
		how = "signal " + e.Signal
	} else if e.ExitCode < 0 {
		how = "exit for an unknown reason"
	}
	if e.ByUs {
		how += ", ordered by us"
	}
	return how
}

// blocked: the process manager waits for services that the actor comes after. That
// is no failure of the actor's and may take any time.
func (f *fold) blocked() {
	if !f.a.is(Starting, Restarting) || !f.a.Incarnation.IsZero() {
		f.ignore("no process of it is awaited")
		return
	}
	f.a.Blocked = true
	f.suspend()
}

// missingPace is the longest wait before a start is tried again whose program was not there. Such ones
// are no failures, or the pool would be held down when it is there again.
const missingPace = 30 * time.Second

func (f *fold) startFailed(e events.ProcessStartFailed) {
	switch {
	case !e.Kept.IsZero():
		f.spared(e)
	case !f.a.Incarnation.IsZero() && f.a.is(Starting):
		f.ignore("a process of it is there: %s", f.a.Incarnation)
	case f.a.is(Starting, Restarting) && e.Missing:
		f.fire(StartFailed, "no process can come up: "+e.Reason)
		f.a.Due = f.now.Add(min(f.a.Settings.Backoff.Max, missingPace))
	case f.a.is(Starting, Restarting):
		f.failed(StartFailed, strings.TrimSpace("no process came up: "+e.Reason))
	default:
		f.fire(StartFailed, e.Reason)
	}
}

// spared: a restart came to nothing, and the process that there is was left alone. Only
// one that nothing else told to end goes on.
func (f *fold) spared(e events.ProcessStartFailed) {
	switch {
	case !f.current(e.Kept):
		return
	case !f.a.ByRestart:
		f.ignore("no restart of %s is under way, or it was told to end by another order too", e.Kept)
		return
	}
	f.a.Doomed, f.a.ByRestart = false, false
	on := RestartFailed
	if !f.a.Ready {
		on = RestartFailedEarly
	}
	f.fire(on, "not restarted, it works on: "+e.Reason)
}

// observed takes the process manager's answer about one actor. Executor facts
// come in order, so an observation is never older than an exit we know of.
func (f *fold) observed(e events.ProcessObserved) {
	f.placing = !f.a.Placed && f.a.is(Stopped)
	f.a.Placed = true
	switch {
	case !e.Incarnation.IsZero() && e.Incarnation == f.a.Incarnation:
		f.fire(ObservedUp, "")
	case f.a.is(Stopped) && f.a.unseen(e.Incarnation):
		f.adopt(e.Incarnation)
		f.fire(ObservedUp, "the process manager runs it")
	case !e.Incarnation.IsZero():
		f.processStarted(e.Incarnation)
	case !f.a.Incarnation.IsZero() && !(f.a.is(Stopping) && e.WantedUp):
		f.exited(fmt.Sprintf("the process manager reports no process (%s)", e.State), true)
	default:
		f.observedDown(e)
	}
}

func (f *fold) observedDown(e events.ProcessObserved) {
	if !f.a.Incarnation.IsZero() {
		f.a.Gone = f.a.Incarnation
		f.retire()
	}
	if f.a.Blocked {
		f.a.Blocked = false // else it is told anew behind this
		f.resume()
	}
	on, reason := ObservedDown, fmt.Sprintf("the process manager reports no process (%s)", e.State)
	if e.WantedUp {
		on, reason = ObservedDue, fmt.Sprintf("the process manager is about to start it (%s)", e.State)
	}
	placing := f.placing
	if f.fire(on, reason) && placing && f.a.is(Stopped) {
		f.publish(events.ActorStateChanged{
			Pool: f.a.Pool, Actor: f.a.ID, To: string(Stopped), On: string(on), Reason: reason,
		})
	}
}

func (f *fold) jobStarted(e events.JobStarted) {
	j := Job{ID: e.Job, Attempt: e.Attempt, Incarnation: e.Incarnation, Started: f.now, Timeout: e.Timeout.Duration()}
	switch {
	case f.a.Ended.has(j):
		f.ignore("job %s attempt %d has ended already", j.ID, j.Attempt)
	case f.a.Hand.has(j), f.a.Ahead.has(j): // told twice
	case e.Incarnation == f.a.Incarnation && !e.Incarnation.IsZero():
		if f.a.Doomed && !f.a.ByRestart {
			f.ignore("incarnation %s was told to end", e.Incarnation)
			return
		}
		f.a.Hand = f.a.Hand.with(j, maxHand)
		f.fire(JobStarted, "job "+j.ID)
	case f.a.unseen(e.Incarnation): // its ProcessStarted is on its way
		f.a.Ahead = f.a.Ahead.only(func(k Job) bool { return k.Incarnation == j.Incarnation }).with(j, maxHand)
	default:
		f.ignore("about incarnation %q, the current one is %q", e.Incarnation, f.a.Incarnation)
	}
}

// jobEnded: the actor has the job in hand no more, whatever becomes of the job.
func (f *fold) jobEnded(j Job, how string) {
	switch {
	case f.a.Hand.has(j):
		f.a.Hand, f.a.Ended = f.a.Hand.without(j), f.a.Ended.with(j, maxEnded)
		f.emptied(fmt.Sprintf("job %s: %s", j.ID, how))
	case f.a.Ahead.has(j):
		f.a.Ahead, f.a.Ended = f.a.Ahead.without(j), f.a.Ended.with(j, maxEnded)
	case f.a.Ended.has(j): // told twice
	default:
		f.ignore("job %s attempt %d of %q is none that it holds", j.ID, j.Attempt, j.Incarnation)
	}
}

// emptied: while it holds another job it goes on running.
func (f *fold) emptied(reason string) {
	if !f.a.busy() {
		f.fire(JobEnded, reason)
	}
}

// registered: told anew, what it holds is all it holds. An end may have been lost with the facts.
func (f *fold) registered(e events.ActorRegistered) {
	if !e.Anew {
		return
	}
	held := func(j Job) bool { return j.Incarnation != e.Incarnation || slices.Contains(e.Holds, j.ID) }
	f.a.Ahead = f.a.Ahead.only(held)
	if f.a.busy() {
		f.a.Hand = f.a.Hand.only(held)
		f.emptied("the end of its job was not told")
	}
}

func (f *fold) ponged(e events.ActorPonged) {
	if !f.current(e.Incarnation) {
		return
	}
	if !slices.Contains(f.a.Pings, e.Nonce) {
		f.ignore("no ping %q is out", e.Nonce)
		return
	}
	f.fire(PongReceived, "it answered")
}

// unresponsive: pings travel through Redis, so without it silence says nothing.
func (f *fold) unresponsive(e events.ActorUnresponsive) {
	switch {
	case !f.current(e.Incarnation):
	case f.a.RedisLost:
		f.ignore("Redis is away, no ping can be answered")
	default:
		f.fire(PingsExhausted, fmt.Sprintf("%d pings without an answer", e.Lost))
	}
}

// overran: without Redis an actor can not hand in the result that it may have,
// and a kill would lose it. It gets a while once Redis is back.
func (f *fold) overran(e events.JobOverran) {
	switch {
	case !f.current(e.Incarnation), !f.holds(e.Job):
	case f.a.RedisLost:
		f.a.Overran = e.Job
		f.ignore("Redis is away, job %s may have ended", e.Job)
	default:
		f.fire(JobOverran, fmt.Sprintf("job %s still ran after %s", e.Job, e.Ran.Duration().Round(time.Millisecond)))
	}
}

// drained: only the answer to the last close counts. An earlier one may be from
// before the gate was opened again.
func (f *fold) drained(e events.ActorDrained) {
	if f.a.Gate == "" || e.Nonce != f.a.Gate {
		f.ignore("answers the close %q, the last one was %q", e.Nonce, f.a.Gate)
		return
	}
	f.a.Hand = nil
	f.fire(Drained, "intake closed, no job held")
}

func (f *fold) suspend() {
	if f.a.is(Starting, Restarting) {
		f.a.Due = time.Time{}
	}
}

func (f *fold) resume() {
	switch {
	case f.a.is(Starting, Restarting):
		f.startTimer(f.a.Settings.StartTimeout)
	case f.a.is(Running):
		f.grace()
	}
}
