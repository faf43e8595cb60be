package dispatch

import (
	"strconv"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// The states of a job, for people and filters. The record's own word is Status.
const (
	StateWaiting   = "waiting"   // for an actor
	StateDelayed   = "delayed"   // for its time
	StateBlocked   = "blocked"   // for other jobs, its prerequisites
	StateRunning   = "running"   // in an actor's hand
	StateFinished  = "finished"  //
	StateError     = "error"     // its script failed
	StateCancelled = "cancelled" // taken out before it ran
	StateExpired   = "expired"   // not begun by its start-by
	StateDead      = "dead"      // given up
)

// States lists the states, in the order of a job's life.
func States() []string {
	return []string{StateWaiting, StateDelayed, StateBlocked, StateRunning, StateFinished, StateError, StateCancelled, StateExpired, StateDead}
}

// JobView is a job as it is shown: the answer of job.show and job.cancel, one
// element of job.list's. Fields may be added.
type JobView struct {
	ID    string `json:"id"`
	Type  string `json:"type"`
	State string `json:"state"`
	// Status is the word in the record, which other Hero programs read.
	Status string `json:"status"`
	// Reason says why the status is "error".
	Reason string `json:"reason,omitempty"`
	// Actor has it, or was the last that had it.
	Actor       string `json:"actor,omitempty"`
	Incarnation string `json:"incarnation,omitempty"`
	// Host is where its last attempt ran, of a job that failed.
	Host     string `json:"host,omitempty"`
	Attempts int    `json:"attempts"`
	Crashes  int    `json:"crashes,omitempty"`
	// Retries is how often a failed script may be run again, Retried how often it was.
	Retries int `json:"retries,omitempty"`
	Retried int `json:"retried,omitempty"`
	// Cause is how the last attempt of a dead job ended, DeadAt when that was.
	Cause  string    `json:"cause,omitempty"`
	DeadAt time.Time `json:"dead_at,omitzero"`
	// Cancelling: it runs and is being ended.
	Cancelling bool `json:"cancelling,omitempty"`
	// History is the last ten attempts that were not its good end. Not in lists.
	History []AttemptView `json:"history,omitempty"`
	// ExitCode is the script's; absent if there was none.
	ExitCode *int `json:"exit_code,omitempty"`
	// Sequence is the job's message in the log; absent for one that others pushed
	// and that is not in the log yet.
	Sequence  uint64         `json:"sequence,omitempty"`
	CallerID  string         `json:"caller_id,omitempty"`
	ContextID string         `json:"context_id,omitempty"`
	Timeout   events.Seconds `json:"timeout,omitempty"`
	CreatedAt string         `json:"created_at,omitempty"` // as the record has it
	QueuedAt  time.Time      `json:"queued_at,omitzero"`
	// ReadyAt is when it last became ready to be taken, or will be.
	ReadyAt   time.Time `json:"ready_at,omitzero"`
	StartedAt time.Time `json:"started_at,omitzero"`
	// StartBy ends a job that has not begun by then.
	StartBy  time.Time `json:"start_by,omitzero"`
	Priority int       `json:"priority,omitempty"`
	// Alone: it runs with nothing else in its actor's hand, because it was in that of one that died with several jobs.
	Alone bool `json:"alone,omitempty"`
	// Waits is what a blocked job waits for still; shown by job.show and not in lists.
	Waits []Need `json:"waits_for,omitempty"`
	// Dependents are the first jobs that wait for its end, and Waiting is how many do; shown by job.show
	// and not in lists.
	Dependents []string  `json:"dependents,omitempty"`
	Waiting    int       `json:"dependents_count,omitempty"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// ResultGoneAt is when Output and Error were forgotten, before the record is.
	ResultGoneAt time.Time `json:"result_gone_at,omitzero"`
	// Output, Error, Script and Env are shown by job.show and not in lists.
	Output string            `json:"output,omitempty"`
	Error  string            `json:"error,omitempty"`
	Script string            `json:"script,omitempty"`
	Env    map[string]string `json:"env_vars,omitempty"`
}

// Need is a prerequisite that a job waits for still.
type Need struct {
	ID string `json:"id"`
	// Rule says what its bad end does to the job: fail, run or hold.
	Rule string `json:"rule"`
	// Status is that job's word; absent if it is not known any more.
	Status string `json:"status,omitempty"`
	// Reason is its bad end, for which the job holds.
	Reason string `json:"reason,omitempty"`
}

// CreateAnswer is the answer of job.create.
type CreateAnswer struct {
	Job      string `json:"job"`
	Sequence uint64 `json:"sequence"`
	// Duplicate says that the log has had this id within two minutes: if that is a job still, and the same, it is that one.
	Duplicate bool `json:"duplicate,omitempty"`
}

// RemoveAnswer is the answer of job.remove.
type RemoveAnswer struct {
	Job string `json:"job"`
}

// PurgeAnswer is the answer of job.purge.
type PurgeAnswer struct {
	Removed int `json:"removed"`
	// Left matched and could not be removed: revived meanwhile, or Redis or the log is away.
	Left int `json:"left,omitempty"`
}

// AttemptView is an attempt that was not the job's good end.
type AttemptView struct {
	Attempt     int       `json:"attempt"`
	Actor       string    `json:"actor"`
	Incarnation string    `json:"incarnation,omitempty"`
	Host        string    `json:"host,omitempty"`
	Began       time.Time `json:"began,omitzero"`
	Ended       time.Time `json:"ended,omitzero"`
	// Outcome is "failed", "crashed", "interrupted", "cancelled" or "ended".
	Outcome     string `json:"outcome"`
	Reason      string `json:"reason,omitempty"`
	ExitCode    string `json:"exit_code,omitempty"`
	Signal      string `json:"signal,omitempty"`
	OutOfMemory bool   `json:"out_of_memory,omitempty"`
	// Error is the last 2 KiB that its script wrote to its standard error. Of one whose actor died that is lost.
	Error string `json:"error,omitempty"`
}

func attemptViews(h []store.Attempt) []AttemptView {
	var out []AttemptView
	for _, a := range h {
		out = append(out, AttemptView(a))
	}
	return out
}

// viewOf shows a record as it is at a moment.
func viewOf(r store.Record, now time.Time) JobView {
	v := JobView{
		ID: r.ID, Type: r.Type, State: stateOf(r, now), Status: string(r.Status), Reason: r.Reason, Actor: r.Actor,
		Incarnation: r.Token.Incarnation, Host: r.Host, Attempts: r.Attempts, Crashes: r.Crashes, Sequence: r.Sequence,
		CallerID: r.Caller, ContextID: r.Context, Timeout: events.SecondsOf(r.Timeout), CreatedAt: r.CreatedAt,
		QueuedAt: r.QueuedAt, ReadyAt: r.ReadyAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, ResultGoneAt: r.ForgotAt,
		StartBy: r.StartBy, Priority: r.Priority, Alone: r.Alone,
		Output: r.Output, Error: r.Error, Script: r.Script,
		Retries: r.Retries, Retried: r.Retried, Cause: r.Cause, DeadAt: r.DeadAt,
		Cancelling: !r.CancelAt.IsZero() && !r.Status.Ended(), History: attemptViews(r.History),
	}
	if n, err := strconv.Atoi(r.ExitCode); err == nil {
		v.ExitCode = &n
	}
	v.Env, _ = r.Env() // foreign records may hold anything there; it is then not shown
	return v
}

func stateOf(r store.Record, now time.Time) string {
	switch {
	case r.Status == store.StatusFinished:
		return StateFinished
	case r.Status == store.StatusError && r.Reason == store.ReasonCancelled:
		return StateCancelled
	case r.Status == store.StatusError && r.Reason == store.ReasonExpired:
		return StateExpired
	case r.Status == store.StatusError && !r.DeadAt.IsZero():
		return StateDead
	case r.Status == store.StatusError:
		return StateError
	case r.Status == store.StatusStarted:
		return StateRunning
	case r.Status == store.StatusWaiting:
		return StateBlocked
	case r.ReadyAt.After(now):
		return StateDelayed
	}
	return StateWaiting
}
