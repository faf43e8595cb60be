// Package dispatch is the way of a job, on the daemon's side: from the log
// (stream HERO_JOBS) into Redis, from dead actors back into their queue, and out
// of the log when it has ended. It tells what happens to jobs, and it is the hand
// that closes an actor's intake. The scripts and keys are in dispatch/store, an
// actor's own side in dispatch/actor.
//
// # In and out
//
// In: submissions (the log), requests (job.run, await, create, cancel, retry,
// list, show), the keeper's orders (intake close, open, ping), the executor's
// question for a script's process group, the facts ProcessExited, ProcessObserved,
// ActorStateChanged and Resynchronised, and the actors' own facts, which their
// scripts leave in Redis.
//
// Out: JobQueued, JobWaiting, JobAdopted, JobStarted, JobEnded, JobRetried, JobDead, JobRemoved, JobStale, ActorStalled,
// JobCancelled, ActorRegistered, ActorPinged, ActorPonged, ActorDrained,
// ActorOrphaned, QueueMeasured, RedisLost, RedisBack, RedisRefilled, RedisChecked, FactsLost,
// Resynchronised, CommandRejected.
//
// # At least once
//
// A job is accepted when the log has it. From then on there is at each moment
// somebody who takes it on, whoever dies:
//
//	in the log, not in Redis    the intake reads from Redis' own position on, which
//	                            moves in the same script that takes the job in. A
//	                            lost answer is repeated, and the id is known by then.
//	                            A batch that fails in its middle goes on where it
//	                            stopped; a hole is refused by the script (GAP).
//	in a queue, held, delayed   dispatch/store: only scripts move jobs. Here: the
//	                            timer that promotes, and the deaths, which take back
//	                            what a dead incarnation held.
//	behind its prerequisites    the script in which the last of them ends; what is over
//	                            the bound of that script, the timer.
//	held by a dead incarnation  the registry in Redis is compared with /proc at each
//	                            sweep, at the start and when Redis is back, so no
//	                            event is needed; an exit that is told makes it
//	                            immediate.
//	ended                       read the list of the ended, wait until the facts of these ends are read, delete the log's messages,
//	                            then settle. Each step may be repeated; the order may
//	                            not be changed: while a message is in the log the
//	                            job's record stays, or the job would be run again by
//	                            the next refill. A rebuild waits for such a round, and
//	                            a round for it: what is restored is there to be read.
//	dead                        the bucket HERO_DEAD has it, written before the log's message is
//	                            deleted, and a refill brings it back, so what holds for it holds.
//	retried                     its new message is in the log, so a refill runs it; and the bucket
//	                            has had its earlier end before that, and has it still, hidden: until
//	                            that message is read again, what holds for it finds it there. Of several
//	                            such messages the newest stands for the job, the others go. In its next end
//	                            the bucket's entry goes first (or is the new end's, if it died
//	                            again) and then the message: no refill finds the entry alone.
//	Redis forgot everything     the epoch is missing. It is raised, in the bucket
//	                            HERO_STATE first, and the log read from its first
//	                            message. Until it is read to what was its end then,
//	                            the bucket says so: the start after a daemon that was
//	                            killed in the middle reads it from the first again.
//	Redis has an old copy       see below: its epoch is taken away, and then as above.
//	in no list                  a queue deleted by hand, a key evicted: a round over
//	                            the records each AdriftEvery puts it back, into its
//	                            hand if that is registered, else into its queue.
//	Redis is full               what is refused was refused before any change. Ends
//	                            wait in their actors, submissions in the log.
//
// So a job is run at least once. It is run more than once when its actor died in
// the middle, and when Redis forgot that it had ended, or that somebody had it who does not say so
// in time: such an actor finds its finish, or its word that it has the job, stale (JobStale is told), and the
// job runs again. An id is taken once: the same job again (script and type alike) is the
// same job, and its second message leaves the log; another one under that id is
// refused. That is known by the job's record, and in a refill by its first message: the log, which drops a message id that comes again
// within two minutes, is not asked, or what was acknowledged under the id of a job that was refused or removed would never run. A second message that was not read yet when
// Redis forgot the job, and whose first was out of the log by then, is a job of its own: to remember the id beside Redis would lose
// one that was submitted anew after the record had gone.
//
// No process of a dead attempt may live when the next begins. The guard before each
// recovery: the actor's process is gone (incarnation, not PID), and no process of
// the script group that it recorded runs. Otherwise ActorOrphaned is told, and the
// look repeated. A death that we caused does not count as the job's crash; one that
// only the sweep saw, half a second after it happened, counts.
//
// Jobs that others push straight into Redis are told and put into the log when they
// are seen: at once in an empty queue, within LookEvery in one that is not. Until
// then, and if they are not fit for it (no token as id, a denied variable), they
// live in Redis alone. Types that neither a pool has nor any job had are not
// watched.
//
// # Old copies
//
// A Redis with an older state of itself (a replaced dump, a replica that lagged
// behind) has the same epoch and looks whole. It is always another server process,
// so it can only appear behind a new connection. Step by step:
//
//  1. A new connection of anybody compares the server's run id with the one in Redis
//     that the daemon vouched for (store: greet). Unequal: the connection is not
//     used, and the call says "away". Nothing is paid on any other call.
//  2. The daemon's judge has a client of its own. It compares position and newest
//     fact with the mark: the highest it accepted and read. Everybody else, our own
//     loops included, waits meanwhile: a first form without that let the intake move
//     the position of an old copy while it was compared.
//  3. Not behind: it is vouched for and everything goes on. Behind, or of another
//     epoch: void takes the epoch away (compare and delete), then it is vouched for,
//     and it is as good as empty: NO_EPOCH for all, a higher epoch, a refill. One that was emptied is vouched for anew before it is filled.
//  4. The mark is kept in the bucket each second, so that a daemon that comes later
//     knows as well (the last second it does not: see what follows).
//
// What a copy lacks that nobody had read yet (the last milliseconds of facts) is not
// noticed, and loses nothing: the jobs are in the copy's queues or in the log behind
// its position. Without a daemon, actors wait before a server that was started anew.
// A server that tells no run id (miniredis, which never has an old copy) is used as
// it is.
//
// # A log without its end
//
// A power cut may take the last second of the log and leave Redis more of it, and a copy of its folder may be an old one. Looked at, at the start
// and each time that a connection is back, before anything is deleted from the log: Redis' position is beyond the log's last number, or the
// message there is of no job that Redis has under it (as many have come in between). What came next would get numbers up to that position:
// acknowledged, never read, and taken out of the log by the end of who had the number before. So (rollback.go)
//
//  1. the bucket says that the log is to be read from its first message (refillKey), and which numbers two messages may have had: those
//     from the log's first to Redis' position. Of these a message is deleted only if it is of the job that has ended, and is run by a refill
//     whatever is known of an end;
//  2. messages that are no jobs bring the log to Redis' position, and are purged;
//  3. the log is read from its first message, under the same epoch: what Redis has is the same again, what came in between is new. What
//     names no job and is called as another by its number goes into the log again, under <stream>-<number>-<milliseconds of its time>.
//
// Dying between any two of these repeats them. The jobs that the log has lost go on from Redis, which alone has them: the power cut took
// what would bring them back. So do those of a log of which nothing is left: it begins at the clock, beyond what Redis has had
// (events.EnsureStreams). More than ten million messages behind, it is not this Redis' log: the start is refused, and
// a daemon that works ends.
//
// # What a refill runs again
//
// What living actors hold, and what they have ended and not told, is asked first (script assert): after the epoch is raised and before the log
// is read, a refill waits until each incarnation that was registered and lives has said it, or for two seconds
// (keepers.go). The record is made anew in that actor's hand, under the new epoch with the attempt it had; accept adds
// what only the log knows. RedisRefilled tells how many were kept, and how many actors were silent.
//
// So there runs again: what a silent actor held (one of the original protocol, one that is stopped or far behind, those
// that a daemon started after the loss never heard of), and its own late word is
// STALE once another has the job; what was held behind a gate that was closed again before its actor spoke; what failed before the log had
// told how often it may be tried. What had ended is not run again if its end was read before the
// loss (endings, 10,000 of them, read whether or not their telling waits for the intake: their messages are deleted from the log instead,
// and an output that nobody waited for is lost with Redis); an end of the last
// milliseconds, told to the Redis that is gone, is: its message is in the log until its fact is read. Not a cancel that was answered: if its
// fact was not read, the refill tells it. Who waits for a job whose end was read and whose record went with Redis hears that it has ended (410). Of an old copy there also runs again what is claimed
// from its queues before its holder has spoken. What it has under way and the log has no more was settled since: that is dropped from it
// before its epoch is raised (forget.go), so a dump of yesterday does not run yesterday's jobs. So is what it has as dead and the bucket has
// not: it was retried or removed since. What others pushed and no log had is compared with the bucket alone: it is dropped if it has died since. Of a job that failed once for all, or was cancelled, nothing tells whether it was retried
// since: the copy is believed. A record counts if it was queued after
// the log was made: one that is older came by another log. Measured with two FLUSHALL in 10,000 jobs of 2 ms on
// three actors: none.
//
// Three limits. A job that ended badly and is not dead (cancelled, expired, failed with no retries to use up, or by its own prerequisite)
// leaves nothing outside Redis when it is settled. What holds for it holds in Redis alone: an empty Redis, or a copy of before that end, takes it
// for settled well, and what held runs; so is a dead job that the bucket has let go for its number, age or length. A job that others pushed and no log has (it is not fit for one), kept over a rebuild by its actor, is
// taken for one whose message is to come: when it fails it waits in no list, until a round over the records puts it back. And the log is believed: to purge the stream HERO_JOBS by hand takes back what was accepted and has not
// ended. Redis works on with it, but an emptied one has nothing to be filled from, and of an old copy all that is under way is dropped.
//
// # Which Redis
//
// One server, Sentinel or a Cluster (store.CheckURL has the forms). Its settings are
// judged at the start and each CheckEvery: below 6.2 is refused, an eviction policy and a clock that is more than five
// seconds off ours are told as RedisChecked and stand in the status, no disk is said once. After a
// failover actors claim again 20 to 520 ms after the Sentinels name the successor (about
// a second after it is a master: they look each second).
//
// # Order of what is told
//
// Facts about one job and about one actor are told in the order in which the
// scripts wrote them. What other loops learn is fitted in by the teller: a job's
// queuing before its first start, a ping before its pong, ActorDrained behind the
// end of the last job. Where Redis dies in the middle, a queuing may come late (the
// teller waits a second for it) or be told twice. A job's life ends in exactly one
// of JobEnded, JobDead and JobCancelled, unless Redis lost the fact of a reader that was seconds behind; then FactsLost
// is told, and the state anew (ActorRegistered, JobStarted). And a death of the last tenth of a second before Redis was
// emptied, told and not in the bucket yet, is not kept: that job has its tries once more, and its end is told again.
//
// ActorDrained carries the nonce of the close it answers. A gate that is wanted closed is
// closed again when a new incarnation says hello, until it is opened or that
// incarnation is gone. A close for a name that nobody registered is answered at
// once, with no incarnation: a process that is still coming up may register and
// take a job before it is closed again, so who ends it must look at that.
//
// # Loops
//
// Run owns all goroutines; each owns its state, and they talk by channels:
//
//	router    one subscription, gives each message to its loop
//	intake    log -> Redis; the only one that moves position and epoch
//	reader, teller  the actors' facts -> the bus
//	deaths    exits and sweep -> recover
//	gates     close, open, ping, ring
//	asks      script group questions
//	ended     Redis -> deletes in the log
//	delayed, depth, foreign (one a type)
//	workers, waiters   requests (cancels and removals that wait together share their round trips), and who waits for a job's end
//	dead, cancels, watchdog
//	owner, health, ping, copies, check, adrift
//
// The intake waits for nobody but Redis, the log, the gates' channel, the dead, at a rebuild for ended's round, and, two seconds at most, for the actors; the teller
// for the intake (bounded) and for nobody else; the gates for the teller; ended for the dead, and the dead for
// nobody but Redis and the log. So no two wait for each other.
//
// # How a job ends
//
// What its submission does not say of retries and timeout is as the settings have it on the day it is taken in
// (Defaults).
//
// A script that fails and has retries left waits (full jitter, 1 s doubled up to 1 h, by Redis' clock) and runs again;
// used up it is dead. An actor's death is the job's crash unless we caused it: the first is followed by
// another run at once, the second after up to a second, further ones after up to ten; three within 72 hours
// and the job is dead. The cause is the process manager's word (ProcessExited): a signal, an exit code, out of
// memory; "not known" for a death that only the sweep saw. Each attempt that did not end the job well is in its
// record, the last ten.
//
// An actor that dies with several jobs in hand accuses them all, and most are innocent. For each of them the first such death is
// not counted. From then on it runs alone, in a hand that has nothing else, so that the next death is its own: a job that kills
// takes its neighbours with it once, and they come to no harm by it. Where no hand is empty one actor at a time takes
// no more until its own is (JobRetried.Suspected, JobStarted.Alone). A script that fails and whose actor lives is no suspect any more.
//
// The dead are kept in the bucket HERO_DEAD, written before the log's message goes; one loop owns its
// index and bounds it (number, age, bytes). A retry is a message of the log under the same id, with a
// proof that only the daemon can make (again.go), so it is as safe as a submission: a refill repeats it, a
// second one of the same end is the same. It keeps the history and counts from zero. The bucket keeps the earlier end, unlisted and
// beside the bounds, until the job has ended once more: a refill (restore.go) looks first which messages of the log revive whom, and brings
// such a job back as one that waits for its message. So at no moment is it told as dead, and at none is what holds for it let go: killed between any
// two steps, the daemon leaves an entry with a message behind it, which is a job that lives, or an entry alone, which is a dead one.
//
// A cancel ends what nobody runs. A running job is marked in its record first: from then on every end but a
// good one ends it as cancelled, also its actor's death, and no script of it begins. Then its script's group gets
// TERM, after the grace KILL, and a moment later JobOverran gives its actor up. So a cancel and a finish
// have one winner, the record, and both callers read it there. The mark goes with Redis: when that is filled again, a cancel that is under way, or whose
// end was seen seconds ago and may not be read, is done anew, of the same submission alone.
//
// The watchdog looks for jobs that wait beside an actor with room while none is taken: it rings, asks for a sign of
// life (through the keeper), and has those replaced that gave none. One whose program is gone is ended all the same
// (ActorRestart.Hung): it does nothing, and what it holds is run by others; the pool's condition says what is missing. Each step is told: ActorStalled.
//
// # Bounds
//
// Every retry has a pace (10 ms doubled to 0.5 s) and every call of Redis a limit
// (3 s). Each map and channel has a constant that bounds it, next to it in the
// code: deaths 10,000, gates 10,000, names 10,000, waiters 10,000, types 1,000, of
// which 64 are watched, pings in hand 4,096, foreign ids remembered 20,000, ends remembered
// 10,000, messages to be deleted 10,000, keepers 10,000; of ends that count for nothing 20 a second are told, the others counted. What is
// over a bound is refused with a reason or found by the next look.
//
// # Loss
//
// Redis away: nothing is read from the log beyond a batch, orders to close wait,
// requests are refused (503) or wait. A forgotten kick, a lost fact or a lost
// message of the bus costs time, not jobs: every loop looks at the truth at its
// start and on its timer.
package dispatch
