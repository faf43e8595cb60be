package fsm

// Row is one line of the table: in any of the states From, on the event On, the
// actor goes To and Do is done, in order. A Stay row acts without a transition;
// its To is empty.
type Row struct {
	From []State
	On   Event
	To   State
	Do   []Action
	Stay bool
}

func in(s ...State) []State   { return s }
func do(a ...Action) []Action { return a }
func stay(on Event, from []State, a ...Action) Row {
	return Row{From: from, On: on, Do: a, Stay: true}
}

// Lifecycle is the table: machine, drawing, matrix and tests come from it. What
// it does not name is refused: a command with its reason, a fact counted.
//
// Rows without a comment are the design's. Where it stops a process at once that
// may have taken a job unseen, the table is stricter: it asks for the gate first
// (doc.go, "Never stops a busy actor").
var Lifecycle = []Row{
	// A life that is wanted. OpenIntake: the gate is by name and may be closed
	// since the stop that ended the last life.
	{in(Stopped), StartRequested, Starting, do(OpenIntake, StartProcess), false},
	{in(Starting), ProcessReady, Idle, nil, false},
	{in(Starting, Idle, Pinging), JobStarted, Running, nil, false},
	{in(Running), JobEnded, Idle, nil, false},
	{in(Starting), StartTimedOut, Failed, do(KillProcess), false},
	// The executor says at once what a deadline would only say later.
	{in(Starting, Restarting), StartFailed, Failed, nil, false},
	// A restart that could not be had: the order to end the process is void, and
	// it works on as before. In failed that comes late.
	{in(Restarting, Failed), RestartFailed, Idle, do(OpenIntake), false},
	{in(Restarting, Failed), RestartFailedEarly, Starting, do(OpenIntake), false},

	// Signs of life. Each ping out of three asks anew, and an answer to any of
	// them counts.
	{in(Idle), PingSent, Pinging, do(PingIntake), false},
	stay(PingSent, in(Pinging), PingIntake),
	{in(Pinging), PongReceived, Idle, nil, false},
	{in(Pinging), PingsExhausted, Restarting, do(CloseIntake, KillProcess), false},
	{in(Running), JobOverran, Restarting, do(KillProcess), false},
	// A job that never ends must not hold up a stop for ever either.
	{in(Draining), JobOverran, Stopping, do(KillProcess), false},
	{in(Recycling), JobOverran, Restarting, do(KillProcess), false},

	// Closing: a stop and a restart ask for the gate first.
	{in(Starting, Idle, Pinging, Running), StopRequested, Draining, do(CloseIntake), false},
	{in(Starting, Idle, Pinging, Running), RestartRequested, Recycling, do(CloseIntake), false},
	// Stricter: a new process may have come up and taken a job before its
	// ProcessStarted reached us.
	{in(Restarting, Failed, Quarantined), StopRequested, Draining, do(CloseIntake), false},
	{in(Recycling), StopRequested, Draining, nil, false},
	{in(Draining), StopWithdrawn, Idle, do(OpenIntake), false},
	{in(Draining), StopWithdrawnBusy, Running, do(OpenIntake), false},
	// It was never ready: it goes on coming up, or is started.
	{in(Draining), StopWithdrawnEarly, Starting, do(OpenIntake), false},
	{in(Draining), StopWithdrawnDown, Starting, do(OpenIntake, StartProcess), false},
	// An order to end it is on its way to the executor: the gate stays closed
	// until the next process is there.
	{in(Draining, Quarantined), StopWithdrawnLate, Restarting, do(StartProcess), false},
	{in(Draining), Drained, Stopping, do(StopProcess), false},
	{in(Recycling), Drained, Restarting, do(RestartProcess), false},
	{in(Draining), DrainExpired, Stopping, do(KillProcess), false},
	{in(Recycling), DrainExpired, Restarting, do(KillProcess), false},
	// zinit still wants it up, hence StopProcess. It names no incarnation, so it
	// only keeps the next one from coming.
	{in(Draining), ProcessExited, Stopping, do(Recover, StopProcess), false},
	{in(Recycling), ProcessExited, Restarting, do(Recover), false},

	// Ending.
	stay(StopTimedOut, in(Stopping), KillProcess),
	{in(Stopping), ProcessExited, Stopped, do(Recover), false},
	{in(Stopping), ObservedDown, Stopped, do(Recover), false},
	stay(StartRequested, in(Stopping), RememberStart),
	// A restart of what is stopping is a start once it has stopped.
	stay(RestartRequested, in(Stopping), RememberStart),
	stay(StopRequested, in(Stopping), ForgetStart),
	// A process that nobody wants. Stricter: it may have a job already.
	{in(Stopped, Stopping), ProcessStarted, Draining, do(CloseIntake), false},
	// The stop was lost with zinit: said again.
	stay(ObservedUp, in(Stopping), StopProcess),
	// So was the kill or the restart: what still runs there was told to end.
	stay(ObservedUp, in(Restarting, Failed), KillProcess),
	// A restart may leave it alone, and of the job this is told once.
	stay(JobOverran, in(Restarting, Failed), KillProcess),
	stay(ObservedDue, in(Stopping, Quarantined), StopProcess),

	// Deaths and returns. OpenIntake: a kill and a recycling closed the gate.
	{in(Starting, Idle, Pinging, Running), ProcessExited, Failed, do(Recover), false},
	stay(ProcessExited, in(Restarting, Failed), Recover),
	{in(Restarting, Failed), ProcessStarted, Starting, do(OpenIntake), false},
	{in(Restarting), StartTimedOut, Failed, nil, false},
	{in(Failed), RestartDue, Restarting, do(StartProcess), false},
	// Somebody who asks for a restart does not wait for the backoff.
	{in(Failed), RestartRequested, Restarting, do(StartProcess), false},
	// A new incarnation in a life that we thought went on: its exit was lost.
	{in(Idle, Pinging, Running), ProcessStarted, Starting, do(OpenIntake), false},

	// Crash loop. It is held down: by StopProcess while nothing runs; what zinit
	// started before that is closed off first and stopped once it has drained
	// (stricter: it may have a job already).
	{in(Failed), CrashLoop, Quarantined, do(CloseIntake, StopProcess, TellQuarantined), false},
	{in(Quarantined), ResetRequested, Starting, do(OpenIntake, StartProcess), false},
	stay(ProcessStarted, in(Quarantined), CloseIntake),
	stay(ObservedUp, in(Quarantined), CloseIntake),
	stay(Drained, in(Quarantined), StopProcess),
	stay(ProcessExited, in(Quarantined), Recover, StopProcess),

	// Placement from what zinit says, at a start of ours or after a gap. Its word
	// decides whether the actor is wanted. OpenIntake: a drain that our death cut
	// off is forgotten; the scaler decides anew.
	{in(Stopped), ObservedUp, Starting, do(OpenIntake), false},
	{in(Stopped), ObservedDue, Restarting, nil, false},

	// Other orders. Nothing below changes a state or does anything: the command
	// asks for what is so already, or the fact is a repeat, or it changes only
	// what is remembered (the incarnation, the job).
	stay(StartRequested, in(Starting, Idle, Pinging, Running, Recycling, Restarting, Failed)),
	stay(StopRequested, in(Stopped, Draining)),
	stay(RestartRequested, in(Recycling, Restarting)),
	// The process of a start order; a new one under a gate that stays closed.
	stay(ProcessStarted, in(Starting, Draining, Recycling)),
	// JobStarted came first, or readiness is told anew after Redis was away, or
	// it comes too late.
	stay(ProcessReady, in(Idle, Pinging, Running, Draining, Recycling, Stopping, Restarting, Failed, Quarantined)),
	// The end of the job before was lost; or a claim came before the gate closed.
	stay(JobStarted, in(Running, Draining, Recycling, Stopping, Restarting, Failed, Quarantined)),
	stay(JobEnded, in(Draining, Recycling, Stopping, Restarting, Failed, Quarantined)),
	// The other way out is under way.
	stay(StartFailed, in(Draining, Recycling, Stopping, Failed, Quarantined)),
	// It is to be stopped anyway, and can be let go on again until then.
	stay(RestartFailed, in(Draining)),
	stay(RestartFailedEarly, in(Draining)),
	stay(ObservedUp, in(Starting, Idle, Pinging, Running, Draining, Recycling)),
	// No process seen so far and none now: an order of ours may be on its way,
	// the deadline decides.
	stay(ObservedDown, in(Stopped, Starting, Draining, Recycling, Restarting, Failed, Quarantined)),
	stay(ObservedDue, in(Starting, Draining, Recycling, Restarting, Failed)),
}
