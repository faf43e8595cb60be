package events

import "time"

// PoolDecided: the scaler changed its mind about a pool, or acted.
type PoolDecided struct {
	Pool string `json:"pool" subject:"0"`
	// Have is how many actors are usable (starting, idle, running, pinging).
	Have int `json:"have"`
	// Want is how many there should be.
	Want  int      `json:"want"`
	Start []string `json:"start,omitempty"`
	Stop  []string `json:"stop,omitempty"`
	// Limiting names the rule that had the last word.
	Limiting string `json:"limiting"`
	// Reason is one line for people, with its numbers.
	Reason string `json:"reason"`
	// Steps are the rules in order, those that changed nothing included.
	Steps []Step `json:"steps,omitempty"`
	// Ready and InFlight are the inputs.
	Ready    int `json:"ready"`
	InFlight int `json:"in_flight"`
}

// Step is one rule's part in a decision.
type Step struct {
	Rule string `json:"rule"`
	In   int    `json:"in"`
	Out  int    `json:"out"`
	Why  string `json:"why,omitempty"`
}

// PoolScaled: somebody fixed the pool's size by hand, or freed it again.
type PoolScaled struct {
	Pool string `json:"pool" subject:"0"`
	// Count is the fixed size; -1 means that the scaler decides again.
	Count int       `json:"count"`
	Until time.Time `json:"until,omitzero"`
}

// PoolPaused: the pool is neither grown nor shrunk until resumed.
type PoolPaused struct {
	Pool string `json:"pool" subject:"0"`
}

// PoolResumed: the pool scales again.
type PoolResumed struct {
	Pool string `json:"pool" subject:"0"`
}

// PoolDegraded: the pool can not reach its size.
type PoolDegraded struct {
	Pool   string `json:"pool" subject:"0"`
	Reason string `json:"reason"`
}

// PoolBlocked: no actor of the pool can be started, because something that it
// needs is not on this machine. Its jobs wait. It is told anew to those who
// resynchronise.
type PoolBlocked struct {
	Pool   string `json:"pool" subject:"0"`
	Reason string `json:"reason"`
	// Hint says how to get what is missing.
	Hint string `json:"hint,omitempty"`
}

// PoolUnblocked: what the pool needs is here.
type PoolUnblocked struct {
	Pool string `json:"pool" subject:"0"`
}

// QueueMeasured: what Redis holds for one script type.
type QueueMeasured struct {
	Type string `json:"type" subject:"0"`
	// Ready wait for an actor; Delayed wait for their time; InFlight are held.
	Ready    int `json:"ready"`
	Delayed  int `json:"delayed"`
	InFlight int `json:"in_flight"`
	// Alone is how many of Ready need an actor with an empty hand.
	Alone int `json:"alone,omitempty"`
	// OldestWait is the age of the job that is next.
	OldestWait Seconds `json:"oldest_wait"`
}

// QueueUnserved: jobs of the type wait and no pool may run them.
type QueueUnserved struct {
	Type   string `json:"type" subject:"0"`
	Ready  int    `json:"ready"`
	Reason string `json:"reason"`
}
