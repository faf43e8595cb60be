package events

// JobSubmit: the payload is the script, options are headers (Hero-*). Captured
// by the stream HERO_JOBS, whose acknowledgement means "accepted".
type JobSubmit struct {
	Type   string `json:"type" subject:"0"`
	Script string `json:"script"`
}

// JobRun: submit and answer with the result.
type JobRun struct {
	Type   string `json:"type" subject:"0"`
	Script string `json:"script"`
}

// JobAwait: answer at the job's end; at once when it has ended.
type JobAwait struct {
	Job string `json:"job" subject:"0"`
}

// JobCreate: submit a job given as JSON (the Hero record's field names).
type JobCreate struct {
	ID           string            `json:"id,omitempty"`
	ScriptType   string            `json:"script_type"`
	Script       string            `json:"script"`
	CallerID     string            `json:"caller_id,omitempty"`
	ContextID    string            `json:"context_id,omitempty"`
	Timeout      *Seconds          `json:"timeout,omitempty"` // none or null: the settings of the type say it
	Delay        Seconds           `json:"delay,omitempty"`
	Retries      *int              `json:"retries,omitempty"` // as Timeout
	Priority     int               `json:"priority,omitempty"`
	Prereqs      []string          `json:"prerequisites,omitempty"`
	Env          map[string]string `json:"env_vars,omitempty"`
	StartBy      Seconds           `json:"start_by,omitempty"`
	KeepResult   *Seconds          `json:"keep_result,omitempty"` // as Timeout; 0 is none
	AdoptedRedis bool              `json:"adopted,omitempty"`
}

// MaxBatch is how many jobs one JobBatch may carry.
const MaxBatch = 1000

// JobBatch: submit many jobs at once, in their order. It is answered when the log
// has them; a job that is refused, for what JobCreate is refused for, too, does not hold up the others.
type JobBatch struct {
	// Jobs are at most MaxBatch, and 8 MiB as JSON.
	Jobs []JobCreate `json:"jobs"`
}

// JobCancel: take the job out, whatever its state. Answered when it has ended, with
// how: a job that ran may have been faster than its cancel.
type JobCancel struct {
	Job string `json:"job" subject:"0"`
}

// JobRetry: queue a dead or failed job again, with its retries and crashes counted
// from zero.
type JobRetry struct {
	Job string `json:"job" subject:"0"`
}

// JobRemove: forget an ended job: its record, its result, its place in the dead list.
type JobRemove struct {
	Job string `json:"job" subject:"0"`
}

// JobPurge: remove all dead jobs that match; each empty member matches every job.
type JobPurge struct {
	Type   string `json:"type,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Older: dead for at least so long.
	Older Seconds `json:"older,omitempty"`
}

// JobList asks for one page of jobs. A page may have fewer jobs than the limit, or
// none, and others behind it: how much is searched for one page is bounded.
type JobList struct {
	Type  string `json:"type,omitempty"`
	State string `json:"state,omitempty"`
	// OlderThan and NewerThan bound the time since the job was first queued.
	OlderThan Seconds `json:"older_than,omitempty"`
	NewerThan Seconds `json:"newer_than,omitempty"`
	// Text is part of the id, the script, the error or the reason; upper and lower
	// case are the same.
	Text string `json:"text,omitempty"`
	// Limit bounds the answer; 0 means 100, at most 1,000.
	Limit int `json:"limit,omitempty"`
	// Cursor is where the page before ended; "" is the first.
	Cursor string `json:"cursor,omitempty"`
}

// JobShow asks for one job's record.
type JobShow struct {
	Job string `json:"job" subject:"0"`
}

// JobExplain asks why a job is not running.
type JobExplain struct {
	Job string `json:"job" subject:"0"`
}

// ActorStart, ActorStop, ActorRestart, ActorPing and ActorReset are intents: the
// keeper alone turns them into orders.
type ActorStart struct {
	Actor string `json:"actor" subject:"0"`
}

// ActorStop: end the actor once it holds no job.
type ActorStop struct {
	Actor string `json:"actor" subject:"0"`
	// Deadline ends the wait for its job: then it is killed. 0 waits for ever;
	// a scale-down always does.
	Deadline Seconds `json:"deadline,omitempty"`
	Reason   string  `json:"reason,omitempty"`
}

// ActorRestart: replace the actor's process once it holds no job.
type ActorRestart struct {
	Actor    string  `json:"actor" subject:"0"`
	Deadline Seconds `json:"deadline,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	// Hung: it gives no sign of life. Then it is killed, and also when nothing can take its place: what it
	// holds has to run elsewhere.
	Hung bool `json:"hung,omitempty"`
}

// ActorPing: ask an idle actor for a sign of life.
type ActorPing struct {
	Actor string `json:"actor" subject:"0"`
}

// ActorReset: let a quarantined actor start again.
type ActorReset struct {
	Actor string `json:"actor" subject:"0"`
}

// ActorList asks for the actors as the monitor sees them.
type ActorList struct {
	Pool string `json:"pool,omitempty"`
}

// PoolScale: fix the pool's size.
type PoolScale struct {
	Pool string `json:"pool" subject:"0"`
	// Count is the size, or -1 to let the scaler decide again. It must be said:
	// an empty payload does not mean zero.
	Count int `json:"count" required:"true"`
	// For ends the override; 0 means one hour, -1 until it is cleared.
	For Seconds `json:"for,omitempty"`
}

// PoolPause: neither grow nor shrink the pool.
type PoolPause struct {
	Pool string `json:"pool" subject:"0"`
}

// PoolResume ends a pause.
type PoolResume struct {
	Pool string `json:"pool" subject:"0"`
}

// PoolList asks for the pools as the monitor sees them.
type PoolList struct{}

// SystemStatus asks for the whole picture.
type SystemStatus struct{}

// SystemShutdown: end the daemon.
type SystemShutdown struct {
	// StopActors ends the actors, and the Redis and zinit that `up` started.
	StopActors bool `json:"stop_actors"`
	// Deadline bounds the wait for running jobs; then their actors are killed.
	Deadline Seconds `json:"deadline,omitempty"`
}
