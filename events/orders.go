package events

// LocalNode is the node token of a host that joined nothing.
const LocalNode = "local"

// StartProcess: write the actor's service and let it run.
type StartProcess struct {
	Node  string `json:"node" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	Pool  string `json:"pool"`
}

// StopProcess: TERM, then KILL after the service's timeout; it stays down.
//
// Incarnation, here and in KillProcess and RestartProcess, is the life that is
// meant, zero when none is known: an order may be obeyed late, and must not hit
// the next life, which may hold a job. If another runs, nothing is done and
// ProcessStarted tells which. A stop without one only keeps the next life from
// coming: one that is there all the same is told as well.
type StopProcess struct {
	Node        string      `json:"node" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Pool        string      `json:"pool"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
}

// KillProcess: KILL the actor's process group now.
type KillProcess struct {
	Node  string `json:"node" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	Pool  string `json:"pool"`
	// Incarnation: see StopProcess.
	Incarnation Incarnation `json:"incarnation,omitzero"`
	// Down: it shall stay down. Otherwise the process manager starts it again.
	Down bool `json:"down"`
	// Replace, without Down: it is a restart that waits no longer. As with
	// RestartProcess what comes next is the actor as it is configured now, and if
	// nothing could, this process is left alone.
	Replace bool `json:"replace,omitempty"`
}

// RestartProcess: TERM, KILL after the timeout, and start again, as it is configured
// now. If nothing could take its place the process is left alone, which
// ProcessStartFailed tells (Kept).
type RestartProcess struct {
	Node  string `json:"node" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	Pool  string `json:"pool"`
	// Incarnation: see StopProcess.
	Incarnation Incarnation `json:"incarnation,omitzero"`
}

// CloseIntake: the actor takes no further job; ActorDrained with the same Nonce
// follows once it holds none. The nonce tells the answer to this close from a
// late one to a close that was withdrawn meanwhile.
type CloseIntake struct {
	Node  string `json:"node" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	Pool  string `json:"pool"`
	Nonce string `json:"nonce,omitempty"`
}

// OpenIntake takes a CloseIntake back.
type OpenIntake struct {
	Node  string `json:"node" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	Pool  string `json:"pool"`
}

// PingIntake: put a ping on the actor's wake list.
type PingIntake struct {
	Node  string `json:"node" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	Pool  string `json:"pool"`
	Nonce string `json:"nonce"`
}

// AskScriptGroups is a request: which process groups did the actor's scripts have?
// The answer is ScriptGroups.
type AskScriptGroups struct {
	Node        string      `json:"node" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Incarnation Incarnation `json:"incarnation"`
}

// ObserveProcesses: tell all processes anew, as ProcessObserved facts.
type ObserveProcesses struct {
	Node   string `json:"node" subject:"0"`
	Reason string `json:"reason"`
}
