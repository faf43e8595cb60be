package fsm

import (
	"fmt"
	"time"

	"herosup/events"
)

// maxDeadline bounds the wait that a command may ask for.
const maxDeadline = 30 * 24 * time.Hour

// command takes in an intent and reports whether e was one. It always leaves an
// answer or a refusal.
func (f *fold) command(e events.Event) bool {
	switch e := e.(type) {
	case events.ActorStart:
		f.order(f.startEvent(), "start", "started by command")
	case events.ActorStop:
		if f.deadlineFits(e.Deadline) {
			f.order(StopRequested, "stop", because("stopped by command", e.Reason))
			f.setDeadline(e.Deadline)
		}
	case events.ActorRestart:
		if f.deadlineFits(e.Deadline) {
			f.order(RestartRequested, "restart", because("restarted by command", e.Reason))
			f.setDeadline(e.Deadline)
			f.a.Hung = f.a.is(Recycling) && (e.Hung || f.a.Hung)
		}
	case events.ActorPing:
		if f.a.RedisLost {
			f.out.Refusal = &events.Refusal{
				Status: 503, Code: "redis_lost", Actor: f.a.ID, Pool: f.a.Pool,
				Reason: "ping " + f.a.ID + ": Redis does not answer, and pings go through it", Hint: "try again when it is back",
			}
			break
		}
		f.order(PingSent, "ping", "pinged by command")
	case events.ActorReset:
		on := ResetRequested
		if f.a.Doomed && f.a.is(Quarantined) {
			on = StopWithdrawnLate
		}
		f.order(on, "reset", "reset by command")
		if f.out.Answer != nil {
			f.a.Failures = nil
		}
	default:
		return false
	}
	return true
}

// startEvent is StartRequested, or while draining what withdraws the stop.
func (f *fold) startEvent() Event {
	switch {
	case !f.a.is(Draining):
		return StartRequested
	case f.a.Doomed:
		return StopWithdrawnLate
	case f.a.busy():
		return StopWithdrawnBusy
	case f.a.Ready:
		return StopWithdrawn
	case !f.a.Incarnation.IsZero():
		return StopWithdrawnEarly
	}
	return StopWithdrawnDown
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// order takes a command through the table.
func (f *fold) order(on Event, verb, reason string) {
	from := f.a.State
	if !f.fire(on, reason) {
		f.refuse(verb)
		return
	}
	row := f.chart.rows[from][on]
	f.out.Answer = &Answer{Actor: f.a.ID, State: f.a.State, Already: row.Stay && !f.does(row), At: f.now.UTC()}
}

// does reports whether a stay row did something for who asked.
func (f *fold) does(r Row) bool {
	for _, a := range r.Do {
		if a != ForgetStart {
			return true
		}
	}
	return false
}

// setDeadline keeps the earlier of two: a scale-down, which has none, does not
// take an operator's away.
func (f *fold) setDeadline(s events.Seconds) {
	if f.out.Answer == nil || s <= 0 || !f.a.is(Draining, Recycling) {
		return
	}
	if at := f.now.Add(s.Duration()); f.a.StopBy.IsZero() || at.Before(f.a.StopBy) {
		f.a.StopBy, f.a.Due = at, at
	}
}

func (f *fold) deadlineFits(s events.Seconds) bool {
	if s >= 0 && s <= events.SecondsOf(maxDeadline) {
		return true
	}
	f.out.Refusal = &events.Refusal{
		Status: 400, Code: "bad_deadline", Actor: f.a.ID, Pool: f.a.Pool,
		Reason: fmt.Sprintf("deadline of %v seconds: want 0 (none) to %v", float64(s), maxDeadline.Seconds()),
		Hint:   "leave it out to wait for the job however long it takes",
	}
	return false
}

// refuse says why the table has no row for a command, and what would work.
func (f *fold) refuse(verb string) {
	f.out.Ignored = ""
	if f.out.Fault != nil {
		f.out.Refusal = &events.Refusal{
			Status: 500, Code: "fault", Actor: f.a.ID, Pool: f.a.Pool, Reason: f.out.Fault.Error(), History: f.a.History(),
		}
		return
	}
	f.out.Refusal = &events.Refusal{
		Status: 409, Code: "wrong_state", Actor: f.a.ID, Pool: f.a.Pool,
		Reason:  fmt.Sprintf("%s %s: it is %s", verb, f.a.ID, f.a.State),
		Hint:    f.hint(verb),
		History: f.a.History(),
	}
}

func (f *fold) hint(verb string) string {
	id := f.a.ID
	switch {
	case verb == "ping":
		return "only an idle actor can be pinged"
	case verb == "reset":
		return "only a quarantined actor can be reset"
	case f.a.is(Quarantined):
		return fmt.Sprintf("`herosup reset %s` lets it start again", id)
	case f.a.is(Draining):
		return fmt.Sprintf("`herosup start %s` withdraws the stop", id)
	case f.a.is(Stopped):
		return fmt.Sprintf("`herosup start %s` starts it", id)
	}
	return ""
}
