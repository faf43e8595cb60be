package events

import "time"

// JobQueued: the job is in Redis and waits (or was handed to an idle actor in
// the same step, which its JobStarted then tells).
type JobQueued struct {
	Type string `json:"type" subject:"0"`
	Job  string `json:"job" subject:"1"`
	// Sequence is the job's message in the log HERO_JOBS; 0 when it is not there.
	Sequence uint64 `json:"sequence,omitempty"`
	// Ready is how many jobs of the type wait, this one included.
	Ready int `json:"ready"`
	// DelayedUntil is when a delayed job becomes ready.
	DelayedUntil time.Time `json:"delayed_until,omitzero"`
	CallerID     string    `json:"caller_id,omitempty"`
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
	// "cancelled", "crashes", or what the actor says.
	Reason   string  `json:"reason,omitempty"`
	ExitCode int     `json:"exit_code"`
	Run      Seconds `json:"run"`
}

// JobRetried: the job was given back after its actor died, and waits again (or
// was handed on in the same step).
type JobRetried struct {
	Type string `json:"type" subject:"0"`
	Job  string `json:"job" subject:"1"`
	// Attempt is the attempt that the death ended.
	Attempt     int         `json:"attempt"`
	Actor       string      `json:"actor"`
	Incarnation Incarnation `json:"incarnation"`
	// Crashes counts the deaths that the job may have caused; those that we
	// caused (Interrupted) do not count.
	Crashes     int  `json:"crashes"`
	Interrupted bool `json:"interrupted,omitempty"`
	Ready       int  `json:"ready"`
}

// JobDead: the job is given up and kept in the dead list.
type JobDead struct {
	Type   string `json:"type" subject:"0"`
	Job    string `json:"job" subject:"1"`
	Reason string `json:"reason"`
}

// JobCancelled: the job was taken out before it ran.
type JobCancelled struct {
	Type string `json:"type" subject:"0"`
	Job  string `json:"job" subject:"1"`
}

// JobOverran: the job ran longer than its timeout and the grace on top, which
// its actor should have prevented.
type JobOverran struct {
	Type        string      `json:"type" subject:"0"`
	Job         string      `json:"job" subject:"1"`
	Actor       string      `json:"actor"`
	Incarnation Incarnation `json:"incarnation"`
	Ran         Seconds     `json:"ran"`
}
