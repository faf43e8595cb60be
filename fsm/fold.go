package fsm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"herosup/events"
)

// Output is what the core wants done, for the loop to do after the new record
// is in place.
type Output struct {
	// Publish are facts and orders, in the order to be sent.
	Publish []events.Event
	// Answer is set when the input was a command that was taken, Refusal when it
	// was one that was not; never both, never neither.
	Answer  *Answer
	Refusal *events.Refusal
	// Ignored says why a fact changed nothing; "" when it did, or told what was
	// known.
	Ignored string
	// Fault is an error of ours: the table and looplab disagree.
	Fault error
}

// Answer is the reply to a command that was taken.
type Answer struct {
	Actor string `json:"actor"`
	State State  `json:"state"`
	// Already: it was so, or on its way to it; nothing was done.
	Already bool `json:"already"`
	// At is when it was taken: of the facts of this node those from before are not of this command's making.
	At time.Time `json:"at"`
}

// Fold gives the record after one fact or command at the time now, and what
// follows from it. Pure: no clock, no randomness, nothing but its arguments (ctx
// only reaches looplab, which does not wait).
func (c *Chart) Fold(ctx context.Context, a Actor, e events.Event, now time.Time) (Actor, Output) {
	f := &fold{ctx: ctx, chart: c, a: a, now: now}
	if !f.command(e) {
		f.fact(e)
	}
	f.settle()
	if f.out.Answer != nil {
		f.out.Answer.State = f.a.State
	}
	return f.a, f.out
}

// Elapse gives the record after its deadline, if that has passed by now.
func (c *Chart) Elapse(ctx context.Context, a Actor, now time.Time) (Actor, Output) {
	f := &fold{ctx: ctx, chart: c, a: a, now: now}
	if !a.Due.IsZero() && !now.Before(a.Due) {
		f.a.Due = time.Time{} // first, so that no row can bring it back at once
		f.elapse()
	}
	return f.a, f.out
}

// Reassert says again what the record's state ordered, after orders may have
// been lost on their way. Every order can be repeated.
func (c *Chart) Reassert(ctx context.Context, a Actor, now time.Time) (Actor, Output) {
	f := &fold{ctx: ctx, chart: c, a: a, now: now}
	f.reassertGate()
	switch {
	case a.is(Stopping), a.is(Quarantined) && (a.Incarnation.IsZero() || a.Doomed):
		f.publish(stopOrder(a))
	case a.is(Starting, Restarting) && a.Incarnation.IsZero():
		f.publish(events.StartProcess{Node: a.Node, Pool: a.Pool, Actor: a.ID})
	}
	return f.a, f.out
}

// fold is one call of Fold or Elapse at work.
type fold struct {
	ctx   context.Context
	chart *Chart
	now   time.Time
	a     Actor
	out   Output
	// placing marks what is told by the process manager about an actor that we
	// knew nothing of: its first state has no predecessor.
	placing bool
}

func (f *fold) publish(e events.Event) { f.out.Publish = append(f.out.Publish, e) }

func (f *fold) ignore(format string, a ...any) { f.out.Ignored = fmt.Sprintf(format, a...) }

// fire takes one event through the table: the transition, its fact, then its
// orders. reason is for people. It reports whether the table had a row.
func (f *fold) fire(on Event, reason string) bool {
	from := f.a.State
	m, row, err := f.chart.Step(f.ctx, f.a.Machine, on, f.now)
	if err != nil {
		var r *Refused
		if !errors.As(err, &r) {
			f.out.Fault = err
		}
		f.ignore("%v", err)
		return false
	}
	f.a.Machine = m
	if !row.Stay {
		f.enter(from, on)
		was := string(from)
		if f.placing {
			was, f.placing = "", false
		}
		f.a.Placed = true
		f.publish(events.ActorStateChanged{
			Pool: f.a.Pool, Actor: f.a.ID, From: was, To: string(m.State), On: string(on),
			Incarnation: f.a.Incarnation, Reason: reason,
		})
	}
	for _, do := range row.Do {
		handlers[do](f, row)
	}
	if f.a.StartWanted && from == Stopping && f.a.is(Stopped, Draining) {
		f.a.StartWanted = false
		f.fire(f.startEvent(), "the start that was asked for while it was stopping")
	}
	return true
}

// enter sets what a new state brings along: its deadline, and what it forgets.
func (f *fold) enter(from State, on Event) {
	a := &f.a
	if from == Pinging {
		a.Pings = nil
	}
	if !a.is(Draining, Recycling, Stopping) {
		a.StopBy = time.Time{}
	}
	a.Hung = a.Hung && a.is(Restarting) && from == Recycling // for the order below
	a.Due, a.Blocked = time.Time{}, false                    // an order that is held back again is told so again
	switch a.State {
	case Starting:
		f.startTimer(a.Settings.StartTimeout)
	case Restarting:
		limit := a.Settings.StartTimeout
		if on == Drained { // a TERM comes first, which may take its time
			limit += a.Settings.StopTimeout
		}
		f.startTimer(limit)
	case Draining, Recycling:
		a.Due = a.StopBy
	case Stopping:
		a.Due = f.now.Add(a.Settings.StopTimeout)
	case Failed:
		a.Due = f.now.Add(Backoff(a.Settings.Backoff, a.ID, len(a.Failures)))
	case Running:
		f.grace()
	case Stopped, Idle, Pinging, Quarantined:
	}
}

// startTimer sets the start timeout, unless it is suspended.
func (f *fold) startTimer(d time.Duration) {
	f.a.Due = time.Time{}
	if !f.a.RedisLost && !f.a.ZinitLost && !f.a.Blocked {
		f.a.Due = f.now.Add(d)
	}
}

// grace is the while that a job gets which overran when Redis was away.
func (f *fold) grace() {
	if f.a.Hand.hasID(f.a.Overran) {
		f.startTimer(f.a.Settings.StartTimeout)
	}
}

// retire forgets the process without having seen its end.
func (f *fold) retire() {
	f.a.Incarnation, f.a.Ready, f.a.Hand = events.Incarnation{}, false, nil
	f.a.Doomed, f.a.ByRestart = false, false
}

// adopt takes in a new incarnation, with the jobs that were told ahead of it. Those of a
// newer one still wait for theirs.
func (f *fold) adopt(i events.Incarnation) {
	f.retire()
	f.a.Incarnation, f.a.Blocked = i, false
	f.a.Hand = f.a.Ahead.only(func(j Job) bool { return j.Incarnation == i })
	f.a.Ahead = f.a.Ahead.only(func(j Job) bool { return f.a.unseen(j.Incarnation) })
}

// settle brings the state in line with what is known of the process already: it
// may have said that it is ready, or taken a job, before its start was told or
// while it was held back.
func (f *fold) settle() {
	if !f.a.Hand.hasID(f.a.Overran) {
		f.a.Overran = "" // its next attempt has a time of its own
	}
	if f.a.is(Starting) && f.a.Ready {
		f.fire(ProcessReady, "it can work")
	}
	if f.a.busy() && f.a.is(Starting, Idle) {
		f.fire(JobStarted, "it holds job "+f.a.Hand[0].ID+" already")
	}
}

func (f *fold) elapse() {
	a := &f.a
	switch a.State {
	case Starting, Restarting:
		f.failed(StartTimedOut, fmt.Sprintf("not ready after %s", a.Settings.StartTimeout))
	case Stopping:
		f.fire(StopTimedOut, fmt.Sprintf("not gone after %s", a.Settings.StopTimeout))
	case Draining, Recycling:
		f.fire(DrainExpired, "its job did not end before the deadline that was given")
	case Running:
		if a.Hand.hasID(a.Overran) {
			f.fire(JobOverran, "job "+a.Overran+" did not end when Redis was back")
		}
	case Failed:
		f.fire(RestartDue, "the process manager did not start it again by itself")
	}
}

// failed takes a failure that no exit tells: counted like one.
func (f *fold) failed(on Event, why string) {
	f.count(true)
	f.fire(on, why+f.outlook())
	f.crashLoop()
}

// count forgets the failures out of the window, and notes one more unless it was
// of our making.
func (f *fold) count(one bool) {
	limit := f.a.Settings.CrashLoop
	kept := make([]time.Time, 0, len(f.a.Failures)+1) // fresh: the old record keeps its own
	for _, t := range f.a.Failures {
		if f.now.Sub(t) < limit.Within {
			kept = append(kept, t)
		}
	}
	if one {
		kept = append(kept, f.now)
	}
	f.a.Failures = kept[max(0, len(kept)-limit.Exits):]
}

// outlook says what a failure leads to.
func (f *fold) outlook() string {
	n, limit := len(f.a.Failures), f.a.Settings.CrashLoop
	return fmt.Sprintf("; failures in %s: %d of %d", limit.Within, n, limit.Exits)
}

// crashLoop ends a life that fails too often.
func (f *fold) crashLoop() {
	if f.a.is(Failed) && len(f.a.Failures) >= f.a.Settings.CrashLoop.Exits {
		limit := f.a.Settings.CrashLoop
		f.fire(CrashLoop, fmt.Sprintf("%d failures in %s", len(f.a.Failures), limit.Within))
	}
}

// reassertGate repeats what dispatch was told about the intake: to close it if
// that was the last word, to open it for a process that may work.
func (f *fold) reassertGate() {
	a := &f.a
	switch {
	case a.Gate != "":
		f.publish(closeOrder(*a))
	case a.is(Starting, Idle, Pinging, Running):
		f.publish(events.OpenIntake{Node: a.Node, Pool: a.Pool, Actor: a.ID})
	}
}
