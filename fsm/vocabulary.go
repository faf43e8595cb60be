package fsm

import "slices"

// State is where an actor's life is. The words are public: they stand in facts,
// in `herosup get actors` and in the README.
type State string

const (
	// Stopped: no process, none wanted.
	Stopped State = "stopped"
	// Starting: a process was ordered or seen, and has not said yet that it works.
	Starting State = "starting"
	// Idle: ready, without a job.
	Idle State = "idle"
	// Running: it holds a job.
	Running State = "running"
	// Pinging: idle, and a ping is out without an answer.
	Pinging State = "pinging"
	// Draining: its intake closes, then it is stopped.
	Draining State = "draining"
	// Recycling: its intake closes, then it is restarted.
	Recycling State = "recycling"
	// Stopping: the process was told to end.
	Stopping State = "stopping"
	// Restarting: the old process ends or has ended, a new one is on its way.
	Restarting State = "restarting"
	// Failed: the process ended by itself or never came up; a new one follows.
	Failed State = "failed"
	// Quarantined: it failed too often too fast and is held down until a reset.
	Quarantined State = "quarantined"
)

// Initial is the state of an actor nobody has said anything about.
const Initial = Stopped

var states = []State{Stopped, Starting, Idle, Running, Pinging, Draining, Recycling, Stopping, Restarting, Failed, Quarantined}

// States lists every state in the order of a life.
func States() []State { return slices.Clone(states) }

// Event is what the table reacts to: a fact or a command after the core has
// looked at its incarnation, its job and its nonce; or a deadline that passed.
type Event string

// Commands (hero.cmd.actor.*).
const (
	StartRequested   Event = "StartRequested"
	StopRequested    Event = "StopRequested"
	RestartRequested Event = "RestartRequested"
	ResetRequested   Event = "ResetRequested"
	PingSent         Event = "PingSent"
	// An ActorStart while draining withdraws the stop. Where that leads depends
	// on what was seen of the process meanwhile: it is ready and free, holds a
	// job, is not ready yet, or there is none.
	StopWithdrawn      Event = "StopWithdrawn"
	StopWithdrawnBusy  Event = "StopWithdrawnBusy"
	StopWithdrawnEarly Event = "StopWithdrawnEarly"
	StopWithdrawnDown  Event = "StopWithdrawnDown"
	// StopWithdrawnLate: the process was told to end already (so does a reset).
	StopWithdrawnLate Event = "StopWithdrawnLate"
)

// Facts about the process, from the zinit executor.
const (
	ProcessStarted Event = "ProcessStarted"
	ProcessReady   Event = "ProcessReady"
	ProcessExited  Event = "ProcessExited"
	StartFailed    Event = "StartFailed"
	// RestartFailed is a ProcessStartFailed that names our process: nothing could
	// take its place, and it works on. Early: it was not ready yet.
	RestartFailed      Event = "RestartFailed"
	RestartFailedEarly Event = "RestartFailedEarly"
	// ObservedUp, ObservedDown and ObservedDue are ProcessObserved: it runs; it
	// is down and stays down; it is down and zinit will start it.
	ObservedUp   Event = "ObservedUp"
	ObservedDown Event = "ObservedDown"
	ObservedDue  Event = "ObservedDue"
)

// Facts about the work, from dispatch and the monitor.
const (
	JobStarted     Event = "JobStarted"
	JobEnded       Event = "JobEnded"
	JobOverran     Event = "JobOverran"
	PongReceived   Event = "PongReceived"
	PingsExhausted Event = "PingsExhausted"
	Drained        Event = "Drained"
)

// Deadlines and conclusions of the keeper itself.
const (
	StartTimedOut Event = "StartTimedOut"
	StopTimedOut  Event = "StopTimedOut"
	DrainExpired  Event = "DrainExpired"
	RestartDue    Event = "RestartDue"
	CrashLoop     Event = "CrashLoop"
)

var eventList = []Event{
	StartRequested, StopRequested, RestartRequested, ResetRequested, PingSent,
	StopWithdrawn, StopWithdrawnBusy, StopWithdrawnEarly, StopWithdrawnDown, StopWithdrawnLate,
	ProcessStarted, ProcessReady, ProcessExited, StartFailed, RestartFailed, RestartFailedEarly, ObservedUp, ObservedDown, ObservedDue,
	JobStarted, JobEnded, JobOverran, PongReceived, PingsExhausted, Drained,
	StartTimedOut, StopTimedOut, DrainExpired, RestartDue, CrashLoop,
}

// Events lists every event of the table.
func Events() []Event { return slices.Clone(eventList) }

// Action is what a row does. Each has a handler in act.go.
type Action string

const (
	StartProcess   Action = "StartProcess"
	StopProcess    Action = "StopProcess"
	KillProcess    Action = "KillProcess"
	RestartProcess Action = "RestartProcess"
	CloseIntake    Action = "CloseIntake"
	OpenIntake     Action = "OpenIntake"
	PingIntake     Action = "PingIntake"
	// Recover marks where the job of a dead process is taken back. dispatch does
	// it, told by the same fact; it is in the table for its reader.
	Recover Action = "recover"
	// RememberStart keeps a start for when the actor is stopped; ForgetStart
	// drops it.
	RememberStart Action = "RememberStart"
	ForgetStart   Action = "ForgetStart"
	// TellQuarantined publishes ActorQuarantined.
	TellQuarantined Action = "TellQuarantined"
)
