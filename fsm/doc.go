// Package fsm says what may happen next to an actor, and is the only gate to its
// process: the table of the life cycle (table.go), the pure core that takes facts
// and commands through it (Fold), and the keeper, one goroutine that owns the
// machines of all actors of a node.
//
// # The table
//
// One row is (from, on, to, do). Machine, validation, drawing
// (testdata/fsm/lifecycle.mmd, in the README) and matrix (testdata/fsm/matrix.txt,
// every state with every event) come from it and can not differ. looplab/fsm
// decides each transition; its traps are kept out in machine.go. What the table
// does not name is refused: a command is answered with 409, the state and the
// last steps; a fact is counted and logged.
//
// # Who sends what
//
//	in   commands hero.cmd.actor.<start|stop|restart|ping|reset>.<actor>: CLI, scaler, monitor, daemon
//	     ProcessStarted Ready Exited Observed StartFailed      zinit's executor, in this order for one life;
//	                                                           StartFailed may name a life that a restart has left alone
//	     ProcessBlocked                                        zinit's executor: suspends the start timeout
//	     JobStarted JobEnded JobRetried JobDead ActorPonged
//	     ActorDrained ActorRegistered (told anew)              dispatch
//	     RedisLost RedisBack RedisRefilled, ZinitLost ZinitBack
//	     ActorUnresponsive JobOverran                          monitor
//	out  ActorStateChanged ActorQuarantined Resynchronised CommandRejected
//	     hero.int.process.<start|stop|kill|restart|observe>    to the executor, by nobody else
//	     hero.int.intake.<close|open|ping>                     to dispatch, by nobody else
//
// A command is answered {"actor", "state", "already", "at"} or refused with code,
// reason and hint; it can also be published without asking for an answer. Each
// message out names the one that caused it. The new record is in place before
// anything is published; the state comes first, then its orders.
//
// # Facts and lives
//
// A fact about a process names its incarnation. One about another than the
// current is counted and ignored, unless it tells of a newer one. dispatch and
// the executor speak on two connections, so a job can be told before the process
// that holds it: it is remembered, and the actor is running the moment its
// process is known. Repeats change nothing.
//
// An actor of several slots runs from its first job to the end of its last. An end
// whose fact Redis lost is made up for when dispatch tells anew what actors hold.
//
// # Never stops a busy actor
//
// The keeper can not know that an idle actor stays idle: the actor claims in
// Redis. What holds instead (world_test.go tries it in a world where messages are
// under way as long as they like):
//
//  1. A process is told to stop or restart only after dispatch said that its gate
//     is closed and it holds nothing, as the answer to the last close: each close
//     carries a nonce, because an earlier answer may be from before a reopening.
//  2. The order names the incarnation that this was said of; the executor does
//     not touch another one, and tells of it instead. An order without a name
//     keeps the next process from coming and hits none.
//  3. A process that was told to end (Doomed) never has its gate opened again,
//     whatever is asked for meanwhile; the next one has. There is one way back: a
//     restart for which nothing could take its place (no program any more) is not
//     obeyed, and the executor says so by its name. If no other order dooms it, its
//     gate is opened and it goes on with the jobs that it holds.
//
// Hence the table is stricter than design.md 3 in five cells: failed, restarting
// and quarantined on StopRequested, stopped and quarantined on ProcessStarted ask
// for the gate instead of stopping at once, for zinit may have started a process
// that took a job before we heard of it. The price: with Redis away such a stop
// waits, as every scale-down does; an operator's deadline ends the wait. A kill
// is sent when an operator's deadline has passed (that of a restart: to replace the
// process, as a restart does), an actor hangs (ActorRestart.Hung, pings exhausted: it ends even if its program
// is gone, for what it holds runs elsewhere; its pool's condition says what is missing), a job has overrun, pings are exhausted, a start took
// too long, or a stop was not obeyed; nothing else kills.
//
// The gate is by actor name and outlives its process: hello must not open it. It
// is opened with each start and for each new process, and closes and openings are
// repeated after Redis was away or was filled again.
//
// # Time
//
// Time is an argument; a record has one deadline at most, set by its state. Start
// timeouts stand still while Redis or zinit is away, and begin anew after: an
// actor can not come up without them and must not die for it. Nor do lost pings
// or an overrun count then. zinit restarts a process by itself; when it does not,
// the keeper does after a backoff (Backoff). Too many failures within a window
// quarantine the actor until a reset, or a stop and a start; deaths that an order
// of ours caused are no failures, and neither is a start for want of the program: that is
// tried again at the longest backoff, each 30 s at least.
//
// # Loss
//
// Nothing is kept on disk. At its start, and when facts were lost
// (Message.Missed), the keeper asks for all processes (ObserveProcesses) and
// places the machines by the answers: zinit is the truth about processes. What a
// placed actor holds is told anew by dispatch and the executor. Orders that could
// not be sent are repeated from the state (Reassert).
//
// # Ownership
//
// Run owns all machines and starts no goroutine; Chart belongs to its caller's.
// An Actor is a plain value. Ignored may be read from anywhere.
package fsm
