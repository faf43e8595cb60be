package events

// ProcessStarted: a process runs for this actor.
type ProcessStarted struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Incarnation Incarnation `json:"incarnation"`
}

// ProcessReady: that process said it can take work. Comes after its
// ProcessStarted.
type ProcessReady struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Incarnation Incarnation `json:"incarnation"`
}

// ProcessExited: no process of this incarnation is left, its group and the
// group of the script it ran included.
type ProcessExited struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Incarnation Incarnation `json:"incarnation"`
	// ExitCode is -1 when a signal ended it or the cause is not known.
	ExitCode int    `json:"exit_code"`
	Signal   string `json:"signal,omitempty"`
	// OutOfMemory: the kernel killed it because memory was used up, as far as its
	// counters tell.
	OutOfMemory bool `json:"out_of_memory,omitempty"`
	// ByUs says that an order of ours ended it, or a stop that zinit was found to have
	// been given, so that it is nobody's crash.
	ByUs bool `json:"by_us"`
	// Ago is how long before this fact it was seen to have ended: what it left is cleared first.
	Ago Seconds `json:"ago,omitzero"`
}

// ProcessObserved: what the process manager says of this actor at a start or
// after a gap. Incarnation is zero when no process runs.
type ProcessObserved struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
	// WantedUp says that the process manager would start it again.
	WantedUp bool `json:"wanted_up"`
	// State is the process manager's own word.
	State string `json:"state"`
}

// ProcessBlocked: the process manager holds a start back until the services that
// it comes after are there. It goes on waiting by itself: ProcessStarted,
// ProcessStartFailed or a stop ends it. Told anew when the reason changes, and behind
// ProcessObserved.
type ProcessBlocked struct {
	Pool  string `json:"pool" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	// Waits are the services that it waits for.
	Waits []string `json:"waits,omitempty"`
	// Reason is for people: "waits for redis (Error(Exited(Pid(7), 1)))".
	Reason string `json:"reason"`
}

// ProcessStartFailed: no process came of a start order, or of a restart.
type ProcessStartFailed struct {
	Pool   string `json:"pool" subject:"0"`
	Actor  string `json:"actor" subject:"1"`
	Reason string `json:"reason"`
	// Kept is the process that a restart would have replaced: nothing could take its
	// place, so it was left alone and works on. Zero when none is left.
	Kept Incarnation `json:"kept,omitzero"`
	// Missing: its program, or that one's interpreter, is not on this machine (any more). That is the
	// pool's condition and no failure of the actor's.
	Missing bool `json:"missing,omitempty"`
}
