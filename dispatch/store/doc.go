// Package store is the Redis layer of dispatch: every key, every script and
// the two Go ends of them, the actor's and the daemon's. It decides nothing
// about processes and publishes nothing on the bus.
//
// # Who holds a job
//
// Only scripts move jobs, and a script is atomic, so at each moment exactly
// one of these holds it, and for each there is one who gives it on:
//
//	place                            who gives it on
//	the log (HERO_JOBS), not yet     the daemon's reader, from Position()+1: accept is
//	  accepted                       idempotent by id, refuses a gap in the log (GAP)
//	delayed:<type>                   promote, by the daemon's timer on Ahead
//	need:<id> (it waits for others)  the end of each of those, whatever script brings it; promote
//	                                 for what is over the bound of such a script
//	q:work:type:<type>, prio:<type>  exchange, of any open actor with a free slot; accept,
//	                                 exchange, recover, promote and adopt hand it to an idle one
//	held:<incarnation>               exchange, fenced by the token; recover, when that
//	                                 incarnation is dead (the registry names it to the sweep)
//	ended (status finished or        nobody: the log's message goes (Ended, then Settle), then
//	  error in the record)           the record expires
//	dead                             as ended, and listed for people
//
// A reply that is lost on the way loses nothing: every script may be called
// again with the same arguments. An accept answers SAME; an exchange ends a job once and says
// the same of it on repeat. What it gave is in hand by then: the caller says how many jobs
// it knows to be in its hand, and if there are more, all come again with their tokens, and it runs
// those it does not know. A job handed over is in held before its message is on the wake list,
// so a message that nobody read is found in the same way. (While the caller listens to the list it asks for no such
// count: what is in hand and not known to it is most likely on its way.)
//
// So a job runs at least once, and more than once only when its actor died or
// Redis lost what it knew. Of two runs at most one counts: an end carries
// the token (epoch, attempt, incarnation), each hand-out raises the attempt,
// and an end with another token changes nothing and answers STALE.
//
// An actor has a number of slots (SetSlots), one job in each, and no prefetch. It stands among the idle while it has
// a free slot and the queue had no more for it; a hand-over looks at how many it holds, so it never gets more than
// it has slots for, and then puts it behind the others.
//
// # Several types
//
// An actor may serve several types (Serve). Redis has it under one of them, its own: registry, lease. It stands among the idle of
// each, and its exchange takes turns between those that have jobs waiting (scripts/lib/take.lua): with equal weights a type with a backlog
// gets every n-th of its claims at least, n being the number of types; with others, each other type gets at most the quotient
// of the two weights, rounded up, in between. A job keeps its own type wherever it goes: queue, retry, facts, answer; the actor
// names that of each end which is not of its own type. What is in flight of a type is counted from the records of what such actors hold.
//
// # Levels
//
// Level 0 waits in Hero's list, served from its right end; another one in prio:<type>, whose score is when the job became ready
// less a head start of level * MaxPriorityWait / 20. What is served next is the list's head or the lowest score, whichever is
// older by that count: a level is worth a fixed time, so of two levels the lower one waits at most the difference, and
// nothing waits for more than MaxPriorityWait behind a flood. The head start is fixed when the job is taken in, and
// stands in its record: no other script needs the setting. Of equal scores the log's order decides (the member
// begins with the sequence). What a dead actor held goes to the front of its list, or into the zset with the
// time at which it became ready first (first_ms).
//
// # Start-by
//
// startby:<type> has the ids by the latest moment to begin. No claim serves a job that is late (it ends there, as error with the
// reason expired), and promote ends those that nobody claims, and takes them from the queue's head, so that nobody is started
// for them. What has begun once is not late any more.
//
// # Suspects
//
// What an actor had in hand when it died is counted as each job's crash, if it was one. If there were several, and it is a job's first time, it is marked instead
// (a in opts) and waits in alone:<type>, which is served before all else, but into empty hands only; the actor's hash has it in the field
// alone, and gets nothing beside it. An actor that comes for jobs with something in hand, while suspects wait and nobody
// else does so, becomes the one that clears its hand (clearing:<type>): it gets no more until it is empty. So suspects do not wait
// behind a backlog, and one actor at a time is kept from it. A name there that is closed, gone or
// has nothing in hand is nobody's. Whatever empties the list rings for the one named, since it stands among no idle.
//
// # Prerequisites
//
// Two keys hold each edge: need:<id> (hash, prerequisite -> rule) on the side of the one that waits, unlocks:<id> (zset, in the log's
// order) on the other. accept looks at each prerequisite's present state in the script that writes the edges, so an end can
// neither be missed nor counted twice; ids must be known before, so there is no cycle. Every end of whatever kind goes
// through end_job, and that through release: an edge is taken out of need, and who needs nothing more is ready.
// The one field in need decides, not a counter: what is not there any more is skipped. A bad end fails the job that
// waits (reason "prerequisite <id>", an end like any other, which releases those that wait for it), lets it run, or lets it hold:
// its edge stays (score 1), and with it the prerequisite's record, until that one is run again and
// finishes, or the job is cancelled; remove leaves it alone (WAITED). A script looks at 500 edges, a failing job counting as five; then ">"
// and the ended id go into delayed:<type>, due at once, the fact more wakes the timer, and promote goes on.
// With Refilled an unknown prerequisite has ended: Redis had forgotten it.
//
// A job of any of these kinds has a field opts in its record (scripts/lib/opts.lua), which the one read of the record
// brings along. Others pay for all this with one EXISTS a script (prio:<type>).
//
// # Attempts and ends
//
// attempt_ended (exchange) and crashed (recover) decide what the end of an attempt means: the job's end, or another try.
// Both write what happened into the record's history (ten attempts, 32 KiB), and both give the token up, so that nobody's answer counts
// any more. An actor that could not begin a job at all says so (ReasonUnable): that is no end, no crash and no try. A repeat of an end that led to a retry is known by gave_back. What is random comes from the
// caller: Redis' own numbers are the same in each run. A record carries cancel while somebody wants its job ended.
//
// Ended records are kept for a time (EXPIRE) and in a number: done lists them as "<sequence> <id>", those of the log when
// they are settled, and what is over the bound is unlinked, if it still is what ended then. Their results may go sooner (results): an await is told so
// then. A dead job's entry in
// ended has the outcome "dead", so that its record is kept elsewhere before the log's message goes.
//
// # Epoch
//
// Every script but owner and epoch first compares its epoch with the one in
// Redis and, if that is missing or another, writes nothing and answers
// NO_EPOCH (ErrNoEpoch here). A Redis that came back empty therefore serves
// nobody until the daemon has raised the epoch and filled it from the log.
//
// Actors that live through that assert what they hold: the record is written as it would stand, under the new epoch, without the log's
// sequence (field asserted), and accept completes it when it comes to that message. A claim is good against a record that is older than
// it, also one in a queue; not against a hand-out of the new epoch, an end, or a
// closed gate. Failed before it was completed, a job waits for that (asserted is "failed" then), since only the log knows its retries.
// So does a dead one that a message of the log revives: restore brings it back as such a job, and accept puts it into its queue.
//
// # Which Redis
//
// One client for what does not block (redis.UniversalClient), and one of a single connection for each blocked call. With
// Sentinel each of those listens there itself, which costs two connections to a Sentinel: a switch of the master closes the
// connection under the call, also if the old master only stopped answering. In a Cluster all keys lie in one slot (the
// prefix must be one hash tag, another is refused), the blocked call is at that slot's master and dropped at MOVED; a
// master that is frozen, not dead, keeps it for its minute. READONLY, MOVED and UNBLOCKED are ErrAway there: the next
// call looks for the successor. A half-open connection is found by TCP keep-alive, in 11 s.
//
// A server process that the daemon has not looked at is not used (greet, Unvouched, Bare, Void, Vouch): it may have an old
// copy. The daemon's side of that is told in package dispatch.
//
// # The gate
//
// close and exchange use the same keys, so one of them is first: after close has
// answered, its actor holds nothing (held 0) or exactly what it is running,
// whose end writes a drained fact. hello of a new incarnation opens the gate,
// also one that was closed for its predecessor; whoever wanted it closed closes
// it again. close of a name that never said hello answers UNREGISTERED: a
// process still coming up may register and claim right after that answer, so
// who then stops it must look for its hello first. hello of an incarnation
// already registered leaves the gate as it is, and an incarnation that another
// one displaced can not take the name back (SUPERSEDED): two processes under one name
// would swap it for ever. One incarnation is one actor (CONFLICT).
//
// # What the daemon owes
//
// Rarely, and by the level rather than by events: Recover each dead incarnation of
// the registry; Promote for what is due (Ahead); Adopt where a queue is not empty (it also hands over what an
// idle actor missed); Ended and Settle; after RaiseEpoch the log from its first message, then
// Ring for each actor it knows, since those wait on wake lists and do not know that their registration
// is lost. A job of the log whose record vanished (evicted, deleted by hand) is found when its turn comes: it
// goes to Dead with ReasonNoRecord and not to Ended, because nobody knows its sequence any
// more; accepting it again from the log revives it.
//
// A batch is a pipeline, not a transaction: to keep a refusal in its middle from leaving a hole
// behind the position, each accept names the sequence before it (GAP).
//
// # Rules of the scripts
//
// Total: a code for every state. Bounded: each header names its bound.
// Repeatable, as above. Time is Redis TIME. The first write is always a command that a full
// Redis refuses (denyoom), even where an id is taken off a list: it is peeked, marked, then
// popped. A refusal so comes before any change and not in the middle, since scripts are not rolled
// back. Log sequences are compared as text: a Lua number is exact only to 2^53.
//
// The header of a script is its specification: KEYS and ARGV become the Lua locals k_x and a_x
// when it is assembled, and each call is checked against it. Parts that several scripts share
// (USE) exist once, in scripts/lib. Scripts are UTF-8: what is no UTF-8 reaches an actor as it
// is by exchange, and mended by a wake list, which is JSON. What the parts gathered (facts, entries for the log) is
// written once, when the script returns, whichever way: the loader sees to that.
//
// Every key is in KEYS but those there is one of, which may stand in the text (FIXED), those of ids that come in numbers, and
// those that only the script can know: the record and
// reply list of a popped id, and the keys of an actor or incarnation whose name it
// read from Redis. They carry the same prefix: on Redis Cluster the prefix must
// be one hash tag ("{hero}").
//
// Everything here works on Redis 6.2 and later and on miniredis: no shebang,
// no cmsgpack, no BLMPOP, no FUNCTION, and no reliance on key expiry for
// anything but memory (miniredis has no clock of its own for that).
//
// # Facts
//
// The stream facts (capped) tells what the scripts did: hello, started, ended,
// retried, released, more, drained, pong, dead, cancelled, removed, stale. An entry is what one script told, a line a fact, at most 30 lines; a fact's id is
// the entry's and its place there. It is at least once to its reader
// and may be trimmed under one who sleeps (FactBatch.Lost). What must not be
// lost does not ride on it: ended jobs of the log are in the uncapped list
// ended until Settle.
//
// # Where the keys differ from design.md
//
// delayed, startby and lease are one zset per type, not one for all: a script can then
// declare every queue it may fill. The
// script groups are in groups, by incarnation and job, not in the actor's hash: a
// restarted actor's hello must not wipe what its predecessor left behind.
// The registry's value is "<actor> <type>", then what it serves and "@<host>". Wake lists are FIFO (RPUSH, BLPOP). A lease is an actor's (incarnation), not a job's:
// its score is the last sign of life of one that holds something; how long that lasts is the reader's to say, and what is
// in flight is in the held lists of those. A record has a field type beside Hero's script_type, which others spell as they
// like, and one field token for epoch, attempt, holder, start and actor. A reply list of a job of the log expires when that
// is settled, as its record does.
//
// # Cost
//
// A submission is one EVALSHA, any number of ends with as many next jobs one. What a script costs is the number of
// its commands, their arguments and the texts that it makes from Lua numbers; hence the single
// token field, times kept as text, settings written into the script instead of passed, one XADD a script, and nothing
// written that a steady exchange leaves as it was: no lease, no place among the idle, no counter.
//
// # Ownership
//
// A Store owns its connections: Close ends them and all blocked calls. There are no
// goroutines between calls. All methods of Store, Daemon and Actor may be called
// concurrently; but where calls of one Actor that take jobs overlap, none can say what is in its hand (Listening).
package store
