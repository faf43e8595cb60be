// Package client is the public Go API of those who submit jobs: submit, run and
// wait, watch, cancel, list. The command line is written with it.
//
// # Accepted
//
// A job is accepted when the log has it (stream HERO_JOBS); it then runs at least
// once, whoever dies. Submit and Batch return, or tell, no sooner than that. What is
// wrong with a submission's form is found before anything is sent. What only the
// daemon can see (the id is taken by another job, a prerequisite does not exist) is
// found when the log is read, within milliseconds: Queued waits for that word, and
// Run tells it as well.
// Retries and a timeout that Options do not name are the job type's in the daemon's
// settings.
//
// # Ids
//
// The id is the job: the same id with the same script and type again is the same
// job, whoever sends it. So each call here may be repeated after an error that leaves
// open whether it arrived, and Run and Batch do that by themselves. Without an id one
// is made, a ULID.
//
// # Errors
//
// A refusal is a *Refusal in the error's chain: a code for programs, a reason and a
// hint for people. ErrNobody says that no daemon answers, the context's error that
// the time was up. Everything else is the connection's.
//
// # Reconnects
//
// A Client reconnects by itself, for ever. While it is disconnected single calls fail
// at once; Run, Await, Watch and Batch go on when it is back.
//
// # Rights
//
// The role submitter may Submit, Batch, Run, Await, Cancel and Retry. Queued,
// Show, List, Explain and Remove need the role operator; Watch that or observer.
//
// # Ownership
//
// All methods of a Client may be used by several goroutines. A Batch has one
// goroutine of its own, which ends with its Close. Nothing else outlives a call.
package client
