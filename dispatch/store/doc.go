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
//	delayed:<type>                   promote, by the daemon's timer on NextDelayed
//	q:work:type:<type>               claim and finish (the next job) of any open actor; accept,
//	                                 finish, recover, promote and adopt hand it to an idle one
//	held:<incarnation>               finish, fenced by the token; recover, when that
//	                                 incarnation is dead (the registry names it to the sweep)
//	ended (status finished or        nobody: the log's message goes (Ended, then Settle), then
//	  error in the record)           the record expires
//	dead                             as ended, and listed for people
//
// A reply that is lost on the way loses nothing: every script may be called
// again with the same arguments. An accept answers SAME; a claim returns the
// job already in hand with the same token; a finish ends a job once, and says
// the same on repeat, the next job included, because that one is in hand by
// then. A job handed over is in held before its message is on the wake list,
// so a message that nobody read is found by the next claim.
//
// So a job runs at least once, and more than once only when its actor died or
// Redis lost what it knew. Of two runs at most one counts: a finish carries
// the token (epoch, attempt, incarnation), each hand-out raises the attempt,
// and a finish with another token changes nothing and answers STALE.
//
// # Epoch
//
// Every script but owner and epoch first compares its epoch with the one in
// Redis and, if that is missing or another, writes nothing and answers
// NO_EPOCH (ErrNoEpoch here). A Redis that came back empty therefore serves
// nobody until the daemon has raised the epoch and filled it from the log.
//
// # The gate
//
// close and claim use the same keys, so one of them is first: after close has
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
// the registry; Promote at NextDelayed; Adopt where a queue is not empty (it also hands over what an
// idle actor missed); Ended and Settle; after RaiseEpoch the log from its first message, then
// Ring for each actor it knows, since those wait on wake lists and do not know that their registration
// is lost. A job of the log whose record vanished (evicted, deleted by hand) is found at its claim: it
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
// is by claim, and mended by a wake list, which is JSON.
//
// Every key is in KEYS but those that only the script can know: the record and
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
// retried, drained, pong, dead, cancelled. It is at least once to its reader
// and may be trimmed under one who sleeps (FactBatch.Lost). What must not be
// lost does not ride on it: ended jobs of the log are in the uncapped list
// ended until Settle.
//
// # Where the keys differ from design.md
//
// delayed and lease are one zset per type, not one for all: a script can then
// declare every queue it may fill, and depth is a count, not a walk. The
// script group is in groups, by incarnation, not in the actor's hash: a
// restarted actor's hello must not wipe the group its predecessor left behind.
// The registry's value is "<actor> <type>". Wake lists are FIFO (RPUSH, BLPOP). A lease's score is
// when it was taken or renewed; how long that lasts is the reader's to say. A record has a field
// type beside Hero's script_type, which others spell as they like, and one field token for epoch,
// attempt and holder.
//
// # Cost
//
// A submission is one EVALSHA, a finish with its next job one. What a script costs is the number of
// its commands, their arguments and the texts that it makes from Lua numbers; hence the single
// token field, times kept as text, settings written into the script instead of passed, and facts
// of few fields.
//
// # Ownership
//
// A Store owns its connections: Close ends them and all blocked calls. There are no
// goroutines between calls. All methods of Store, Daemon and Actor may be called
// concurrently; one Actor is one slot, so calls that take jobs should not overlap.
package store
