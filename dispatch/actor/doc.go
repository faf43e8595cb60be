// Package actor is the Go side of an actor: a process that takes jobs of one type from Redis, one at a time,
// runs them and tells how they ended. A Go program is an actor by calling Run with a Handler; ScriptHandler is
// the handler that gives each job's script to an interpreter.
//
// Comes in: jobs, pings and rings, from dispatch/store. Goes out: results and pongs, there too. The
// package knows neither the bus nor the process manager.
//
// # The loop
//
//	hello -> claim -> work -> finish (+ next job) -> work -> finish ...
//	            \-> wait (wake list) -> work, claim or pong
//
// A busy actor costs Redis one call per job: finish, whose answer is the next one. A job longer than a
// third of the lease adds its renewals, a script adds the record of its process group.
//
// # What happens when
//
//   - Redis is away: the same call again after 50 ms to half a second with jitter, for ever; every call of the store is
//     repeatable. A result is kept and told with the same token until it is answered.
//   - Redis carries no epoch or another (NO_EPOCH), or does not know us (UNREGISTERED): hello again. A result
//     whose token is of an earlier epoch is dropped: its job was, or will be, given out again.
//   - STALE or UNKNOWN: the job is another's by now, or gone. The result is dropped and that is logged; while a job
//     runs, its context ends and what it did is dropped.
//   - The gate is closed: the actor waits on its wake list; opening rings.
//   - SUPERSEDED: another process has the name. Run ends with ErrSuperseded: two processes under one name would take
//     it from each other for ever.
//   - The job's time is up: its context ends with ErrTimeout.
//
// # Stop
//
// When Run's context ends nothing more is claimed. The job in hand is run to its end, also one that came with an answer
// or a wake message of that moment, and its result is told; then Run returns nil. After StopGrace the job's context ends
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
// Run blocks and owns all it starts. The Store is the caller's, and open as long as Run runs. The handler is called by one
// goroutine at a time. A panic of a handler ends the process: the supervisor sees the death and gives the
// job back, at most three times.
package actor
