package events

import "time"

// JobQueued: the job is in Redis and waits (or was handed to an idle actor in
// the same step, which its JobStarted then tells).
type JobQueued struct {
	Type string `json:"type" subject:"0"`
	Job  string `json:"job" subject:"1"`
	// Sequence is the job's message in the log HERO_JOBS; 0 when it is not there.
	Sequence uint64 `json:"sequence,omitempty"`
	// Ready is how many jobs of the type waited when this one and those that came
	// with it were in Redis; what was handed on in the same step is not among them.
	Ready int `json:"ready"`
	// DelayedUntil is when a delayed job becomes ready.
	DelayedUntil time.Time `json:"delayed_until,omitzero"`
	CallerID     string    `json:"caller_id,omitempty"`
}

// JobWaiting: the job is in Redis and waits for others to end; its JobQueued comes
// when they have.
type JobWaiting struct {
	Type string `json:"type" subject:"0"`
	Job  string `json:"job" subject:"1"`
	// Sequence is the job's message in the log HERO_JOBS.
	Sequence uint64 `json:"sequence,omitempty"`
	// Prerequisites are the jobs that have not ended yet, or whose bad end it holds for.
	Prerequisites []string `json:"prerequisites"`
	CallerID      string   `json:"caller_id,omitempty"`
}

// JobAdopted: a job that somebody pushed straight into Redis is in the log now.
type JobAdopted struct {
	Type     string `json:"type" subject:"0"`
	Job      string `json:"job" subject:"1"`
	Sequence uint64 `json:"sequence"`
}

// JobStarted: an actor holds the job. Attempt counts from 1.
type JobStarted struct {
	Type        string      `json:"type" subject:"0"`
	Job         string      `json:"job" subject:"1"`
	Actor       string      `json:"actor"`
	Incarnation Incarnation `json:"incarnation"`
	Attempt     int         `json:"attempt"`
	// Timeout is the job's own limit; 0 means none.
	Timeout Seconds `json:"timeout,omitempty"`
	// Wait is the time from being ready to being taken.
	Wait Seconds `json:"wait"`
	// Alone: the actor takes no job beside it, because it was in the hand of one that died with several.
	Alone bool `json:"alone,omitempty"`
}

// Outcomes of JobEnded.
const (
	Finished = "finished"
	Errored  = "error"
)

// JobEnded: the job has its final state, and its result is stored.
type JobEnded struct {
	Type        string      `json:"type" subject:"0"`
	Job         string      `json:"job" subject:"1"`
	Actor       string      `json:"actor,omitempty"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
	Attempt     int         `json:"attempt"`
	// Outcome is Finished or Errored.
	Outcome string `json:"outcome"`
	// Reason says why it is an error: "exit 3", "signal SIGSEGV", "timeout",
	// "cancelled", "crashes", or what the actor says; of a job that never ran (no
	// actor), "expired" or "prerequisite <id>".
	Reason   string  `json:"reason,omitempty"`
	ExitCode int     `json:"exit_code"`
	Run      Seconds `json:"run"`
}

// JobRetried: an attempt did not end the job, and it waits again (or was handed on
// in the same step): its actor died, or its script failed and has retries left.
type JobRetried struct {
	Type string `json:"type" subject:"0"`
	Job  string `json:"job" subject:"1"`
	// Attempt is the attempt that is over.
	Attempt     int         `json:"attempt"`
	Actor       string      `json:"actor"`
	Incarnation Incarnation `json:"incarnation"`
	// Failed: the script failed. Its actor lives and holds the job no more. Otherwise
	// the actor died. With Interrupted as well the script was not begun: the actor lacks
	// what it needs for any, which Reason names.
	Failed bool `json:"failed,omitempty"`
	// Reason is how the script failed ("exit 3", "timeout") or the actor died
	// ("signal SIGSEGV", "out of memory").
	Reason string `json:"reason,omitempty"`
	// Retries counts those used, this one included.
	Retries int `json:"retries,omitempty"`
	// Crashes counts the deaths that the job may have caused; those that we
	// caused (Interrupted) do not count.
	Crashes     int  `json:"crashes"`
	Interrupted bool `json:"interrupted,omitempty"`
	// Suspected: the actor died with several jobs in hand, which counts for none of them the first time. From now on it runs alone.
	Suspected bool `json:"suspected,omitempty"`
	// Next is when it is ready again; zero: at once.
	Next  time.Time `json:"next,omitzero"`
	Ready int       `json:"ready"`
}

// JobDead: the job is given up and kept in the dead list.
type JobDead struct {
	Type   string `json:"type" subject:"0"`
	Job    string `json:"job" subject:"1"`
	Reason string `json:"reason"`
	// Cause is how the last attempt ended.
	Cause string `json:"cause,omitempty"`
	// Actor had it last; "" if it never ran.
	Actor       string      `json:"actor,omitempty"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
	Attempt     int         `json:"attempt,omitempty"`
	// Failed: see JobRetried.
	Failed bool `json:"failed,omitempty"`
}

// JobCancelled: the job was taken out before it ran. One that ran is told by
// JobEnded, with the reason "cancelled".
type JobCancelled struct {
	Type string `json:"type" subject:"0"`
	Job  string `json:"job" subject:"1"`
}

// JobRemoved: the record of an ended job was removed by hand.
type JobRemoved struct {
	Type string `json:"type" subject:"0"`
	Job  string `json:"job" subject:"1"`
}

// JobStale: an attempt told its end when the job was not its own any more (another
// attempt has or had it, or its record is gone), or was under way when Redis came back without
// its data and was not left to its actor: it has to be dropped. Nothing was changed by it. At most 20 a
// second are told.
type JobStale struct {
	Type        string      `json:"type" subject:"0"`
	Job         string      `json:"job" subject:"1"`
	Actor       string      `json:"actor"`
	Incarnation Incarnation `json:"incarnation"`
	Attempt     int         `json:"attempt"`
	// Outcome is what it said: Finished or Errored; empty of one that was under way.
	Outcome string `json:"outcome"`
	// Reason is "superseded" or "no record".
	Reason string `json:"reason"`
	// Untold is how many more there were since the last that was told.
	Untold int `json:"untold,omitempty"`
}

// JobOverran: the job did not end when it had to: its timeout and the grace on top
// passed, or the grace after its cancel. Its actor should have prevented that.
type JobOverran struct {
	Type        string      `json:"type" subject:"0"`
	Job         string      `json:"job" subject:"1"`
	Actor       string      `json:"actor"`
	Incarnation Incarnation `json:"incarnation"`
	Ran         Seconds     `json:"ran"`
	// Cancelled: it is the cancel that it did not obey.
	Cancelled bool `json:"cancelled,omitempty"`
}
