package events

// ActorRegistered: a process said hello in Redis under this actor's name.
type ActorRegistered struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Type        string      `json:"type"`
	Incarnation Incarnation `json:"incarnation"`
	// Anew: it is no news, but told again because facts were lost or nobody was
	// there to hear them. Then Holds are the ids of all the jobs it has in hand; a
	// JobStarted follows for each.
	Anew  bool     `json:"anew,omitempty"`
	Holds []string `json:"holds,omitempty"`
}

// ActorStateChanged: the actor's machine moved. From is "" for its first state.
type ActorStateChanged struct {
	Pool  string `json:"pool" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	From  string `json:"from"`
	To    string `json:"to"`
	// On is the table's event that moved it.
	On          string      `json:"on"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
	// Reason is for people.
	Reason string `json:"reason,omitempty"`
}

// ActorPinged: a ping was put on the actor's wake list.
type ActorPinged struct {
	Pool  string `json:"pool" subject:"0"`
	Actor string `json:"actor" subject:"1"`
	Nonce string `json:"nonce"`
}

// ActorPonged: the actor answered that ping.
type ActorPonged struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Nonce       string      `json:"nonce"`
	Incarnation Incarnation `json:"incarnation"`
}

// ActorDrained: the actor's intake is closed and it holds no job. Nonce is that
// of the CloseIntake it answers.
type ActorDrained struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
	Nonce       string      `json:"nonce,omitempty"`
}

// ActorOrphaned: the actor's process is gone, but process groups of the scripts
// it ran are not; nobody may run those jobs again before they are.
type ActorOrphaned struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Incarnation Incarnation `json:"incarnation"`
	// Groups still run.
	Groups []ScriptGroup `json:"groups"`
}

// ScriptGroup is the process group of a script, recorded before its first
// instruction. Leader guards against a reused number; zero means none recorded.
type ScriptGroup struct {
	PGID   int         `json:"pgid"`
	Leader Incarnation `json:"leader,omitzero"`
}

// ScriptGroups are those of all jobs that one actor has in hand.
type ScriptGroups struct {
	Groups []ScriptGroup `json:"groups"`
}

// ActorUnresponsive: as many pings as allowed stayed without an answer.
type ActorUnresponsive struct {
	Pool        string      `json:"pool" subject:"0"`
	Actor       string      `json:"actor" subject:"1"`
	Incarnation Incarnation `json:"incarnation,omitzero"`
	Lost        int         `json:"lost"`
}

// ActorQuarantined: the actor exited too often too fast and is held down.
type ActorQuarantined struct {
	Pool   string  `json:"pool" subject:"0"`
	Actor  string  `json:"actor" subject:"1"`
	Exits  int     `json:"exits"`
	Within Seconds `json:"within"`
	Reason string  `json:"reason"`
}

// The steps of ActorStalled.
const (
	StalledRing    = "ring"
	StalledPing    = "ping"
	StalledRestart = "restart"
)

// ActorStalled: jobs wait, the actor has room, and nobody has taken one for a time:
// a step is taken about it.
type ActorStalled struct {
	Pool  string  `json:"pool" subject:"0"`
	Actor string  `json:"actor" subject:"1"`
	Type  string  `json:"type"`
	Ready int     `json:"ready"`
	For   Seconds `json:"for"`
	// Step is StalledRing (it is made to claim), StalledPing (it is asked for a sign of
	// life) or StalledRestart (it gave none, and is replaced).
	Step string `json:"step"`
}
