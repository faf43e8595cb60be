package events

// SystemStarted: every component is ready.
type SystemStarted struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
	State   string `json:"state"`
	// Moved are the services that the zinit at From had, of the daemon before: they were
	// stopped there, to be started by the zinit that is used now.
	Moved []string `json:"moved,omitempty"`
	From  string   `json:"from,omitempty"`
}

// SystemStopping: the daemon goes down. Actors go on unless StopActors.
type SystemStopping struct {
	StopActors bool   `json:"stop_actors"`
	Reason     string `json:"reason"`
}

// Resynchronised: a component read the truth anew.
type Resynchronised struct {
	Component string `json:"component" subject:"0"`
	Reason    string `json:"reason"`
}

// FactsLost: entries of the actors' facts stream were cut off before they were
// read; what they said is read from the records instead.
type FactsLost struct {
	Reason string `json:"reason"`
}

// RedisLost: Redis does not answer or refuses.
type RedisLost struct {
	Reason string `json:"reason"`
}

// RedisBack: Redis answers again. Every claim of readiness may be told anew.
type RedisBack struct{}

// RedisRefilled: Redis had lost its data, or the log its end, and the log was read from its first message.
type RedisRefilled struct {
	Epoch  int64  `json:"epoch"`
	Jobs   int    `json:"jobs"`             // taken from the log
	Kept   int    `json:"kept,omitempty"`   // jobs that stayed in the hands of living actors
	Silent int    `json:"silent,omitempty"` // living actors that did not say in time what they hold: it runs again
	Reason string `json:"reason"`
}

// RedisChecked: what is wrong with the Redis in use, at the start and when that
// changed; without findings it is fit.
type RedisChecked struct {
	Version  string         `json:"version,omitempty"`
	Findings []RedisFinding `json:"findings,omitempty"`
}

// RedisFinding is one thing that makes a Redis unsafe for jobs.
type RedisFinding struct {
	// Code is a stable word: version, eviction, clock.
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
}

// ZinitLost: the process manager does not answer.
type ZinitLost struct {
	Reason string `json:"reason"`
}

// ZinitBack: it answers again; ProcessObserved facts follow.
type ZinitBack struct{}

// LogLost: the NATS server stores nothing, or has no log of jobs any more. What is submitted is not accepted; jobs in Redis go on. Of
// the server of ours it is told again and again while it lasts, at most each ten seconds.
type LogLost struct {
	Reason string `json:"reason"`
}

// LogBack: it stores again.
type LogBack struct{}

// CommandRejected: a command was refused and changed nothing.
type CommandRejected struct {
	// Command is "<entity>-<verb>" of what was refused.
	Command string `json:"command" subject:"0"`
	// Code is a stable word; Reason and Hint are for people.
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
	// On is the subject that the command came on.
	On    string `json:"on,omitempty"`
	Job   string `json:"job,omitempty"`
	Actor string `json:"actor,omitempty"`
	Pool  string `json:"pool,omitempty"`
	// Sequence is the log's message when a submission was refused.
	Sequence uint64 `json:"sequence,omitempty"`
	// History is the last steps of the machine that refused.
	History []string `json:"history,omitempty"`
}
