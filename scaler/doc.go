// Package scaler decides how many actors each pool should have, and asks for
// them. It stops and starts no process itself: it sends the intents ActorStart
// and ActorStop, which the keeper may still refuse.
//
// # In, out
//
// In: all facts (jobs, queues, actors, Redis), and the commands
// hero.cmd.pool.scale, pause and resume. Out: ActorStart, ActorStop; the facts
// PoolDecided, PoolScaled, PoolPaused, PoolResumed, PoolDegraded, QueueUnserved.
//
// # How it decides
//
// view.go folds facts into a View: jobs that wait per script type, and the
// state of each slot (<pool>_<n>). Decide (decide.go) turns one pool's Snapshot
// and its Policy into a Decision; it is a pure function, time included. The
// loop (scaler.go) reads whatever is pending, then decides once for each pool
// that was touched, so a thousand submissions in a millisecond cost one
// decision. Between facts a single timer waits for the next moment at which
// time alone changes an answer (an idle timeout, the end of an override).
//
// Rules, in this order; each is a Step of the Decision, also when it changes
// nothing. The last one that did is Decision.Limiting:
//
//	backlog     ceil((ready + running) / target_backlog), in jobs: an actor may hold several
//	activation  a sleeping pool wakes only for more than this many ready jobs
//	min, max    the bounds
//	stale       no shrinking on an old measurement or without Redis
//	paused      stay as it is
//	override    the number somebody set by hand
//	busy        what is not idle is not taken away (override 0 excepted)
//	window      an idle actor goes only after idle_timeout (an override does not wait)
//	blocked     nothing is started while the pool's interpreter or program is not here, or beside
//	            an actor whose start waits for other services (after)
//	crash_loop, max  what can not be had: slots that failed or still stop
//
// # Guarantees
//
// Only idle actors (and those whose start waits for other services, which are
// neither late nor lost: the process manager goes on with them by itself) are asked to stop, longest idle first, except by an override
// of 0, which asks all; even then a running job ends first, since the keeper
// closes the intake in Redis before it stops anything. An actor counts from the
// moment its start was sent until its first fact or start_timeout, so nothing is
// started twice for one need. A refused start or stop of a slot is not repeated
// for RefusalPause. At max a failed or quarantined slot's place is not given
// away. Slots whose stop we asked for ourselves and that still drain are called
// back before new ones are started.
//
// # What waits, what runs
//
// A running job counts where its actor is: in flight are the jobs on this pool's
// usable actors, not what foreign or draining actors hold, since neither needs
// another actor. Waiting jobs are counted by facts, and facts of different
// publishers overtake each other, so a start that comes before its JobQueued is
// remembered (queue.go). QueueMeasured resets the count; only a rise that comes
// right after a claim waits for the next measurement to say it too, because one
// that crossed the claim on its way would start an actor for a running job, and
// what is queued or given back right behind a rise is taken to be in it.
//
// Pools of one type share its ready jobs: in the order of their names each sees
// them minus what the actors of the others are for beside what they hold. Actors
// whose start waits for other services are for none.
//
// # Loss
//
// A hole in the facts (Message.Missed) makes everything stale: nothing shrinks
// until the next measurement, and the actors' states are read again from the
// monitor's hero.cmd.actor.list; facts newer than that request win. The same
// request is made at the start. Nothing is decided before its answer and
// SystemStarted (or Config.Settle), or actors that live on from before a restart
// would be started again. After SystemStopping nothing is decided any more. Overrides and pauses
// do not survive the daemon.
//
// # Ownership
//
// Run owns the View and all goroutines; there is no lock. The Bus belongs to the
// caller and must be this component's own.
package scaler
