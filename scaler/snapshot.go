package scaler

import (
	"strconv"
	"time"

	"herosup/events"
)

// State is an actor's state as ActorStateChanged names it; "" is a slot of
// which nothing was heard.
type State string

// The keeper's states.
const (
	Unknown     State = ""
	Starting    State = "starting"
	Running     State = "running"
	Idle        State = "idle"
	Pinging     State = "pinging"
	Failed      State = "failed"
	Restarting  State = "restarting"
	Stopped     State = "stopped"
	Draining    State = "draining"
	Recycling   State = "recycling"
	Stopping    State = "stopping"
	Quarantined State = "quarantined"
)

// Snapshot is all that Decide knows of one pool.
type Snapshot struct {
	Pool string
	Now  time.Time
	// Ready wait for an actor; delayed jobs that are due are among them.
	Ready int
	// Alone are those of Ready that need an actor of their own.
	Alone int
	// MeasuredAt is the last measurement of the queue; zero when there is none
	// that counts. RedisLost says that there can be none.
	MeasuredAt time.Time
	RedisLost  bool
	// Actors are the slots something was heard of, by number.
	Actors []Actor
	Paused bool
	// Override is the size somebody set by hand; nil when there is none.
	Override *Override
	// Blocked says why no actor can be started; "" when one can.
	Blocked string
}

// Actor is one slot of the pool.
type Actor struct {
	// Slot is n of <pool>_<n>.
	Slot  int
	State State
	// Jobs are in its hands, whatever the keeper says of it yet.
	Jobs int
	// Alone: it holds one that runs alone, and takes none beside it.
	Alone bool
	// Since is when it became idle, or when its start was asked for. A ping does
	// not interrupt being idle.
	Since time.Time
	// LeavingUntil: until then it is to be taken as stopping, because a stop was
	// sent of which nothing was heard yet.
	LeavingUntil time.Time
	// RefusedUntil: until then nothing is asked of it, because the last thing
	// was refused.
	RefusedUntil time.Time
	// Recall: it drains because we asked for it, so a start takes that back.
	Recall bool
	// Blocked says what its start waits for ("waits for redis (not there)"); "" for
	// nothing. The process manager goes on with it by itself.
	Blocked string
}

// waits reports whether its start waits for other services.
func (a Actor) waits() bool {
	return a.Blocked != "" && (a.State == Starting || a.State == Restarting)
}

// Override is a size set by hand.
type Override struct {
	Count int
	// Until ends it; zero means that it must be cleared.
	Until time.Time
}

func (o *Override) holds(now time.Time) bool {
	return o != nil && (o.Until.IsZero() || now.Before(o.Until))
}

// Decision is what should happen to one pool, and why.
type Decision struct {
	Pool string
	// Have is how many actors are usable, Want how many there should be, Wanted
	// what the backlog alone asks for.
	Have, Want, Wanted int
	// Start and Stop are actor ids; at most one of the two is not empty.
	Start, Stop []string
	// Limiting is the last rule that bound, or None.
	Limiting string
	// Reason is one line for people, with its numbers.
	Reason string
	// Degraded says why Want can not be had; "" when it can.
	Degraded string
	// Steps are the rules in order, those that changed nothing included.
	Steps []events.Step
	// Ready and InFlight are the inputs.
	Ready, InFlight int
	// Next is the earliest time at which the answer can change without a new
	// fact; zero when none.
	Next time.Time
}

// Rules, as they stand in Step.Rule and Decision.Limiting: stable words.
const (
	RuleBacklog    = "backlog"
	RuleActivation = "activation"
	RuleMin        = "min"
	RuleMax        = "max"
	RuleStale      = "stale"
	RulePaused     = "paused"
	RuleOverride   = "override"
	RuleBusy       = "busy"
	RuleWindow     = "window"
	RuleBlocked    = "blocked"
	RuleCrashLoop  = "crash_loop"
	None           = "none"
)

// ActorID is the id of a pool's nth slot.
func ActorID(pool string, n int) string { return pool + "_" + strconv.Itoa(n) }
