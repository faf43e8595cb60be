// Package hero makes a program of the original Hero protocol an actor of ours: one that takes job ids with BLPOP from
// hero:q:work:type:<type>, reads and writes hero:job:<id>, and knows nothing else (research/hero.md, generation 5).
//
//	Redis  <-- our protocol -->  dispatch/actor, in this process
//	                                   |  one job: a record, then its id
//	                                   v
//	                             a private Redis (miniredis on a socket, 0600)
//	                                   ^
//	                                   |  BLPOP, HGETALL, HSET, LPUSH
//	                             the program, our child
//
// Each program gets a Redis of its own, with only its own job in it. So what the original protocol can not do is done
// on our side of it: who has which job is known, an actor can be pinged alone, its intake can be closed before it is
// stopped, jobs are served first in first out, and what a dead one had in hand is given to the next. The keeper, the scaler and
// the monitor see an actor like any other.
//
// # One job
//
// The record is written with every field of the original's that is not optional, then the id is pushed. A
// job has ended when its status is "finished" or "error" (in any case), or something came on hero:q:reply:<id>. Programs
// write status and result in one command or in several, so a status alone is given a moment for its text to follow. The
// output is the record's field output, else what came as the reply. Then record and reply are deleted.
//
// What the program writes is seen by a hook in the private server, at once; a look at the record each tenth of a second finds
// what a script of its own wrote.
//
// # What is weaker than with an actor of ours
//
//   - A job can not be told to end. When its time is up, or it is cancelled, it is taken back if the program has not
//     popped it; else the whole program is ended (its process group: TERM, after the grace KILL) and started anew. With a concurrency
//     above 1 the other jobs in its hands fail then, with the reason "interrupted".
//   - There is no exit code, and how a script ended is only as good as what the program writes. A program that
//     writes "finished" too early is believed.
//   - What the program writes when its job has been taken back is lost.
//   - The program's death is this process's: it ends in the same way (exit code, signal), so that its jobs run again and the cause
//     is told. They may have been done in part, or wholly if it died between its work and its word.
//
// Programs of the original that somebody starts by hand on the daemon's own Redis pop from the left end of our queues,
// past all this: at most once, and not supervised. Do not run those beside a pool of the same type.
//
// # Ownership
//
// Program owns the server, its folder, the child and the goroutines; Stop ends them. What a killed one leaves of that is the folder,
// which the next Program of this user removes (dispatch/scratch). Run is called by as many goroutines at a time as the actor
// has slots.
package hero
