package monitor

import (
	"time"

	"herosup/events"
)

// The answers. Times are RFC 3339 in UTC, durations are seconds, and what does
// not apply is absent rather than null.

// Status answers hero.cmd.system.status: the whole picture.
type Status struct {
	// Version, PID, State (the state folder) and Started are the daemon's.
	Version string    `json:"version,omitempty"`
	PID     int       `json:"pid,omitzero"`
	State   string    `json:"state,omitempty"`
	Started time.Time `json:"started,omitzero"`
	// Stopping says that the daemon goes down.
	Stopping bool `json:"stopping,omitempty"`
	// Well is true when there is no finding.
	Well     bool     `json:"well"`
	Findings []string `json:"findings,omitempty"`
	Redis    Link     `json:"redis"`
	// RedisFindings are what makes this Redis unsafe for jobs.
	RedisFindings []events.RedisFinding `json:"redis_findings,omitempty"`
	Zinit         Link                  `json:"zinit"`
	// Log is that of jobs: lost while the NATS server stores nothing, or has it no more. Unknown as long as nothing was heard.
	Log Link `json:"log"`
	// Backlog is how many jobs wait in all queues, OldestWait the age of the one
	// that waits longest.
	Backlog    int            `json:"backlog"`
	OldestWait events.Seconds `json:"oldest_wait,omitzero"`
	Pools      []Pool         `json:"pools"`
	Queues     []Queue        `json:"queues"`
	Unserved   []Unserved     `json:"unserved"`
	// Rejected counts refused commands, FactsLost facts that did not arrive here.
	Rejected  uint64 `json:"rejected"`
	FactsLost uint64 `json:"facts_lost"`
	// Warnings are the last 20, newest last.
	Warnings []Warning `json:"warnings"`
}

// States of a Link.
const (
	LinkUnknown = "unknown"
	LinkOK      = "ok"
	LinkLost    = "lost"
)

// Link is how it stands with something that we depend on.
type Link struct {
	// State is LinkOK, LinkLost, or LinkUnknown before anything was heard.
	State  string    `json:"state"`
	Since  time.Time `json:"since,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// Pool is one element of the answer to hero.cmd.pool.list.
type Pool struct {
	Name string `json:"name"`
	// Types are the script types that it serves; Type is the same as one text, with commas.
	Type  string   `json:"type"`
	Types []string `json:"types"`
	// Have is how many actors are usable (starting, idle, running, pinging), Want
	// how many there should be.
	Have int `json:"have"`
	Want int `json:"want"`
	Min  int `json:"min"`
	Max  int `json:"max"`
	// Busy hold a job; Idle do not. Concurrency is how many jobs each can hold.
	Busy        int `json:"busy"`
	Idle        int `json:"idle"`
	Concurrency int `json:"concurrency"`
	// Backlog, InFlight and OldestWait are those of its types' queues, which pools
	// of one type share.
	Backlog    int            `json:"backlog"`
	InFlight   int            `json:"in_flight"`
	OldestWait events.Seconds `json:"oldest_wait,omitzero"`
	// Limiting is the rule that had the last word, Reason the scaler's last
	// decision in one line.
	Limiting string `json:"limiting,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Degraded says why Want can not be had, or no actor at all.
	Degraded string    `json:"degraded,omitempty"`
	Paused   bool      `json:"paused"`
	Override *Override `json:"override,omitempty"`
}

// Override is a size that somebody set by hand.
type Override struct {
	Count int `json:"count"`
	// Until ends it; absent when it must be cleared.
	Until time.Time `json:"until,omitzero"`
}

// Actor is one element of the answer to hero.cmd.actor.list.
type Actor struct {
	Name string `json:"name"`
	Pool string `json:"pool"`
	Type string `json:"type,omitempty"`
	// State is the keeper's word, Since when it came into it.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// PID and Incarnation are those of its process, where there is one.
	PID         int                `json:"pid,omitzero"`
	Incarnation events.Incarnation `json:"incarnation,omitzero"`
	// Job is what it has held longest, since JobSince; Holds is how many it holds.
	Job      string    `json:"job,omitempty"`
	JobSince time.Time `json:"job_since,omitzero"`
	Holds    int       `json:"holds,omitempty"`
	// LastJob is when its last job ended.
	LastJob  time.Time `json:"last_job,omitzero"`
	JobsDone uint64    `json:"jobs_done"`
	// Restarts counts how often it came back after a failure or a restart.
	Restarts uint64 `json:"restarts"`
	// PingsLost are the pings in a row that it did not answer.
	PingsLost int `json:"pings_lost"`
	// Reason is why it is in its state, where that was said.
	Reason string `json:"reason,omitempty"`
	// Blocked says which services its start waits for; "" for none.
	Blocked string `json:"blocked,omitempty"`
	// NotRestarted says why its process could not be replaced when that was asked for
	// last: it works on as it was. "" for none.
	NotRestarted string `json:"not_restarted,omitempty"`
	LastExit     *Exit  `json:"last_exit,omitempty"`
}

// Exit is how a process ended.
type Exit struct {
	At time.Time `json:"at"`
	// ExitCode is -1 when a signal ended it or nobody knows.
	ExitCode int    `json:"exit_code"`
	Signal   string `json:"signal,omitempty"`
	// OutOfMemory says that the kernel ended it for want of memory.
	OutOfMemory bool `json:"out_of_memory,omitempty"`
	// ByUs says that an order of ours ended it.
	ByUs bool `json:"by_us"`
}

// Queue is the queue of one script type.
type Queue struct {
	Type     string `json:"type"`
	Ready    int    `json:"ready"`
	Delayed  int    `json:"delayed"`
	InFlight int    `json:"in_flight"`
	// OldestWait is the age of the job that is next, when it was measured.
	OldestWait events.Seconds `json:"oldest_wait,omitzero"`
	MeasuredAt time.Time      `json:"measured_at,omitzero"`
	// Since the daemon's start: jobs that ended well, ended in an error, were
	// given back after a death, and were given up; and ends that counted for nothing,
	// because the job was another attempt's by then.
	Finished uint64 `json:"finished"`
	Failed   uint64 `json:"failed"`
	Retried  uint64 `json:"retried"`
	Dead     uint64 `json:"dead"`
	Stale    uint64 `json:"stale"`
}

// Unserved is a type whose jobs wait and which no pool may run.
type Unserved struct {
	Type   string    `json:"type"`
	Ready  int       `json:"ready"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// Warning is something that an operator should have seen.
type Warning struct {
	At time.Time `json:"at"`
	// Event is the fact's name: "actor-quarantined".
	Event string `json:"event"`
	Text  string `json:"text"`
	Pool  string `json:"pool,omitempty"`
	Actor string `json:"actor,omitempty"`
	Job   string `json:"job,omitempty"`
	Type  string `json:"type,omitempty"`
}
