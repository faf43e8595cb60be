// Package actor is the Go side of an actor: a process that takes jobs of one type from Redis, runs a number of them at
// once and tells how they ended. A Go program is an actor by calling Run with a Handler; one that a pool starts as its command calls
// Serve, which takes all else from its arguments and environment. ScriptHandler is the handler that gives each job's script to an
// interpreter.
//
// Comes in: jobs, pings and rings, from dispatch/store. Goes out: results and pongs, there too. The
// package knows neither the bus nor the process manager.
//
// # The loop
//
// One loop speaks with Redis; each of Config.Concurrency slots runs one job, on a goroutine of its own:
//
//	hello -> exchange: the ends there are, for as many jobs as slots are free -> slots -> ends -> exchange ...
//	             \-> none left: wait for an end, and on the wake list for a job, a ring or a ping
//
// While a round trip is under way ends gather, and go together with the next: so a busy actor costs
// Redis one call for all that ended meanwhile, and with one slot one call a job. With 32 slots or more, and while answers bring all
// that was asked for, two calls are under way, each for half of the slots (pair.go): Redis works while the slots do. There is no prefetch: what no slot is free
// for stays in the queue. Waiting on the wake list is a second connection, and only an actor with a free slot does it. Each
// third of the lease, while anything runs, one renewal names all that runs. A script adds the record of its process group.
//
// Between Redis and us a job can be in doubt only after a lost answer or message. Then the next exchange says how many jobs we
// know to hold, and if Redis finds more, it sends all; those that we do not know are run. A message for one of
// those, which may have been on its way by then, is dropped.
//
// # What happens when
//
//   - Redis is away: the same call again after 50 ms to half a second with jitter, for ever; every call of the store is
//     repeatable. A result is kept and told with the same token until it is answered.
//   - Redis carries no epoch or another (NO_EPOCH), or does not know us (UNREGISTERED): hello again. To a new
//     epoch we say what we hold and which ends were not told (assert), and it stays ours, unless we came so late that another has the
//     job: that is dropped, and on the bus (JobStale). An actor at work that has nothing to say looks for a new epoch each half second.
//   - STALE or UNKNOWN: the job is another's by now, or gone. The result is dropped, that is logged and, if it
//     was told, on the bus (JobStale); while a job runs, its context ends and what it did is dropped.
//   - The gate is closed: the actor waits on its wake list; opening rings.
//   - SUPERSEDED: another process has the name. Run ends with ErrSuperseded: two processes under one name would take
//     it from each other for ever.
//   - The job's time is up: its context ends with ErrTimeout.
//   - The handler can run nothing (ReasonUnable; ScriptHandler's, when the interpreter is not there): the job goes back to the front of
//     its queue, no other is taken, and Config.Able is asked each half second. Pings are answered meanwhile: to end
//     this process would bring nothing back, and its like would be held for a crash loop.
//
// # Stop
//
// When Run's context ends nothing more is asked for, and one more exchange says so. Jobs in hand are run to their end, also
// those that came with an answer or a wake message of that moment, and their results are told; then Run returns nil. After StopGrace a job's context ends
// (with ErrStopped); a success is still told, anything else is not: the job stays in hand and is given back when
// this process is seen to have ended. A handler that does not return within endGrace after that is left behind, with
// an error: the process has to end then.
//
// # What it guarantees
//
// A result counts at most once, and only under the token that the job was handed out with (see the store). A job runs
// at least once; again only if this process died, was stopped in its middle, or Redis lost what it knew. A script
// executes nothing before its process group is recorded (see the runner), and ends with this process.
//
// A script that is exactly "ping" is answered with "pong" without the handler, as actors of the original do
// (research/hero.md 4).
//
// # Ownership
//
// Run blocks and owns all it starts. The Store is the caller's, and open as long as Run runs. The handler is called by as
// many goroutines at a time as there are slots. A panic of a handler ends the process: the supervisor sees the death and gives the
// job back, at most three times.
package actor
