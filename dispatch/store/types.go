package store

import (
	"encoding/json"
	"fmt"
	"time"
)

// Token fences an attempt: of all who ever held a job, only the holder of the
// present token can end it. Tokens of one job are ordered by epoch, then attempt.
type Token struct {
	Epoch       uint64
	Attempt     int // 1 for the first
	Incarnation string
}

// Claimed is a job in the hand of an actor: all it needs to run it and end it.
type Claimed struct {
	ID      string
	Type    string
	Script  string
	EnvJSON string // the record's env_vars as it stands: a JSON object, or ""
	Timeout time.Duration
	Caller  string
	Context string
	Token   Token
}

// Env decodes EnvJSON; nil for none. The error names the job: a record written
// by others may hold anything.
func (c Claimed) Env() (map[string]string, error) { return decodeEnv(c.ID, c.EnvJSON) }

func decodeEnv(id, text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	var env map[string]string
	if err := json.Unmarshal([]byte(text), &env); err != nil {
		return nil, fmt.Errorf("read env_vars of job %s: %w (want a JSON object of texts)", id, err)
	}
	return env, nil
}

// Status is the word in a job's record (research/hero.md 3.2).
type Status string

// The status words. Cancelled, timed out and dead jobs are StatusError with a reason.
const (
	StatusDispatched Status = "dispatched"
	StatusWaiting    Status = "waiting_for_prerequisites"
	StatusStarted    Status = "started"
	StatusFinished   Status = "finished"
	StatusError      Status = "error"
)

// Ended reports whether the job has its end.
func (s Status) Ended() bool { return s == StatusFinished || s == StatusError }

// Reasons that this package writes itself. Others come from the actor (Outcome.Reason).
const (
	ReasonCancelled = "cancelled"
	ReasonCrashes   = "its actor died while running it"
	ReasonExpired   = "expired" // not begun by its StartBy
	ReasonRetries   = "retries used up"
	ReasonNoRecord  = "no record" // an id in a queue without a hash
	// ReasonUnable is one that an actor gives: it could not begin the job, for want of something that it needs for any (an
	// interpreter). The job has not ended then: it goes back to the front of its queue, and counts as not tried.
	ReasonUnable = "unable"
)

// Submission is a job to accept.
type Submission struct {
	ID        string // token, [A-Za-z0-9_-]{1,64}
	Type      string // token
	Script    string
	Sequence  uint64        // the log's; 0: in no log (then its record expires at its end)
	Due       time.Time     // not before, by Redis' clock; zero or past: at once
	Timeout   time.Duration // whole seconds are kept, fractions rounded up; 0: the actor's default
	Retries   int           // how often a failed script is run again
	Caller    string
	Context   string
	Env       map[string]string
	CreatedAt time.Time // zero: Redis' time

	KeepResult    *time.Duration // Options.KeepResult of this job; nil: that
	Priority      int            // -10 to 10
	StartBy       time.Time      // ends unrun, as expired, if not begun by then; zero: none
	Prerequisites []Prerequisite // must have ended before; at most MaxPrerequisites
	Again         bool           // revive the job of this id if it has ended: counts from zero, history kept
	Refilled      bool           // accepted before: Redis forgot it, and may have forgotten what it waits for
}

// MaxPrerequisites bounds what one job may wait for.
const MaxPrerequisites = 100

// Prerequisite is a job that must have ended before another begins.
type Prerequisite struct {
	ID   string
	Rule Rule // "" is RuleFail
}

// Rule says what a job does whose prerequisite did not finish well.
type Rule string

// The rules.
const (
	RuleFail Rule = "fail" // end too, as error, with the reason "prerequisite <id>"
	RuleRun  Rule = "run"  // run all the same
	RuleHold Rule = "hold" // wait until it is retried and finishes, or this job is cancelled
)

// Record is a job as Redis knows it. Texts of foreign records are taken as they are.
type Record struct {
	ID         string
	Type       string // the queue's; of a record not seen yet: script_type in lower case
	Status     Status
	Script     string
	EnvJSON    string
	Caller     string
	Context    string
	Timeout    time.Duration
	Output     string
	Error      string
	Reason     string
	Cause      string // of a dead job: how its last attempt ended
	ExitCode   string // decimal, "" if none
	Actor      string // the last that had it
	Host       string // where that ran, of a job that failed
	Token      Token  // of the present attempt; zero while nobody holds the job
	Attempts   int
	ForgotAt   time.Time // the result was forgotten, and the record kept; zero: it is here, or there was none
	Crashes    int       // that count: within the last 72 hours
	Retries    int       // asked for
	Retried    int       // used of them
	DeadAt     time.Time // zero: it is not dead
	CancelAt   time.Time // a cancel is on: whoever has it is to end it
	History    []Attempt // the attempts before the last, or that did not end it; oldest first, at most 10. Job alone reads it
	Sequence   uint64    // 0: in no log
	Foreign    bool      // never seen by our scripts
	CreatedAt  string    // ISO 8601, or what others wrote
	UpdatedAt  string
	QueuedAt   time.Time // first queued; zero if unknown
	ReadyAt    time.Time // last became ready to be claimed
	StartedAt  time.Time
	FinishedAt time.Time

	FirstReadyAt time.Time // when it became ready first, if a dead actor gave it back since: its place among others

	Priority int
	StartBy  time.Time // while it has not begun; zero: none
	// KeepResult is its own word on how long its result is kept; nil: it has none.
	KeepResult *time.Duration
	Due        time.Time // of one that waits for prerequisites: not before; zero: none
	Alone      bool      // its actor died with several jobs in hand: it runs in an empty one from then on
}

// Attempt is one that was not the job's end: its actor died, its script failed, or the job was revived after it.
type Attempt struct {
	Attempt     int
	Actor       string
	Incarnation string
	Host        string // "" if the actor did not say
	Began       time.Time
	Ended       time.Time
	Outcome     string // AttemptCrashed, ...
	Reason      string // the script's ("exit 3") or the death's ("signal SIGSEGV")
	ExitCode    string // decimal, "" if there was none or nobody saw it
	Signal      string
	OutOfMemory bool
	Error       string // of a failed one the last 2 KiB that its script wrote to its standard error; what a dead actor's wrote is lost with it
}

// The outcomes of an attempt.
const (
	AttemptFailed      = "failed"      // its script
	AttemptCrashed     = "crashed"     // its actor
	AttemptSuspected   = "suspected"   // its actor, with several jobs in hand: not counted
	AttemptInterrupted = "interrupted" // we ended its actor
	AttemptCancelled   = "cancelled"   // its actor was ended for its cancel
	AttemptEnded       = "ended"       // it ended the job, which was revived later
)

// Env decodes EnvJSON; nil for none.
func (r Record) Env() (map[string]string, error) { return decodeEnv(r.ID, r.EnvJSON) }

// Code is what a script answers.
type Code string

// The codes. Each method names those it can return. NO_EPOCH is always ErrNoEpoch.
const (
	OK           Code = "OK"              // done (also: done before, by this same call)
	Same         Code = "SAME"            // the id is known with the same script and type
	NoNeed       Code = "NO_PREREQUISITE" // a prerequisite is not known: nothing was written but the position
	Conflict     Code = "CONFLICT"        // the id is known with another script or type
	Gap          Code = "GAP"             // log messages before this one were not accepted
	GotJob       Code = "JOB"             // a job is in hand
	Idle         Code = "IDLE"            // none ready; the actor is marked idle
	Again        Code = "AGAIN"           // bound reached while skipping spent ids: call again
	Closed       Code = "CLOSED"          // the gate is closed
	Unregistered Code = "UNREGISTERED"    // no such actor, or another incarnation has the name: say hello
	Superseded   Code = "SUPERSEDED"      // another incarnation took this name from this one: exit
	Stale        Code = "STALE"           // another token: nothing changed; drop the result
	Unknown      Code = "UNKNOWN"         // no such job
	Running      Code = "RUNNING"         // an actor holds the job
	Waited       Code = "WAITED"          // other jobs wait for this one: nothing was changed
	EndedCode    Code = "ENDED"           // the job has its end already
	Full         Code = "FULL"            // the wake list holds 100 messages
	Kept         Code = "KEPT"            // nothing was to be done
	Gone         Code = "GONE"            // this incarnation is not registered (recovered before)
	Higher       Code = "HIGHER"          // Redis carries a higher epoch
	Other        Code = "OTHER"           // another state id owns this Redis prefix
	NotWanted    Code = "NOT_WANTED"      // no next job was asked for
	CancelCode   Code = "CANCELLED"       // the job in hand is to end: somebody cancelled it
)

// Outcome is how an attempt ended, as its actor saw it.
type Outcome struct {
	Failed   bool   // false: status finished, true: status error
	Output   string // kept with both
	Error    string // for people; with Failed
	Reason   string // one word or phrase for machines: "exit 3", "timeout", ...; with Failed
	ExitCode string // decimal, "" if there was none
}
