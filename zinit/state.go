package zinit

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Target is what zinit was told to want of a service.
type Target string

// The two targets. There is no third: a oneshot that is done stays Up.
const (
	Up   Target = "Up"
	Down Target = "Down"
)

// Kind is the state of a service without its details.
type Kind string

// The kinds that a zinit names (research/zinit.md 5.1). A service that was
// stopped has no kind of its own: it shows how its process ended, with the
// target Down and no PID.
const (
	// Unknown is a service whose life has not begun.
	Unknown Kind = "Unknown"
	// Blocked waits for a service named in After.
	Blocked Kind = "Blocked"
	// Spawned runs, and its test has not passed yet.
	Spawned Kind = "Spawned"
	// Running runs and is fit, or has no test.
	Running Kind = "Running"
	// Success exited with code 0.
	Success Kind = "Success"
	// Exited ended with another code.
	Exited Kind = "Error(Exited)"
	// Signaled was ended by a signal.
	Signaled Kind = "Error(Signaled)"
	// TestFailure could not run its test command at all.
	TestFailure Kind = "TestFailure"
	// Failure could not be started at all. zinit does not try again.
	Failure Kind = "Failure"
)

// State is the state of a service.
type State struct {
	Kind Kind
	// PID is the process that ended, for Exited and Signaled.
	PID int
	// Code is the exit code, for Exited.
	Code int
	// Signal is the name of the signal ("SIGKILL"), for Signaled; NoSignal if that
	// is not known.
	Signal string
	// Core says that a core was dumped, for Signaled.
	Core bool
}

// NoSignal is what a Signaled state has where zinit tells that a signal ended the
// process and not which (one of the crate dialect, of a service that was stopped).
const NoSignal = "unknown"

// String is the text that a zinit sends, which clients in the wild match.
func (s State) String() string {
	switch s.Kind {
	case Exited:
		return fmt.Sprintf("Error(Exited(Pid(%d), %d))", s.PID, s.Code)
	case Signaled:
		return fmt.Sprintf("Error(Signaled(Pid(%d), %s, %t))", s.PID, s.Signal, s.Core)
	default:
		return string(s.Kind)
	}
}

// Live reports whether a process of the service runs in this state.
func (s State) Live() bool { return s.Kind == Spawned || s.Kind == Running }

// Ended reports whether this is the end of a process, however it ended.
func (s State) Ended() bool {
	return s.Kind == Success || s.Kind == Exited || s.Kind == Signaled
}

var (
	exitedText   = regexp.MustCompile(`^Error\(Exited\(Pid\((\d+)\), (-?\d+)\)\)$`)
	signaledText = regexp.MustCompile(`^Error\(Signaled\(Pid\((\d+)\), (\w+), (true|false)\)\)$`)
)

// ParseState reads the text that a zinit sends. A text that is not one of
// theirs is an error.
func ParseState(text string) (State, error) {
	switch k := Kind(text); k {
	case Unknown, Blocked, Spawned, Running, Success, TestFailure, Failure:
		return State{Kind: k}, nil
	}
	if m := exitedText.FindStringSubmatch(text); m != nil {
		pid, err1 := strconv.Atoi(m[1])
		code, err2 := strconv.Atoi(m[2])
		if err1 == nil && err2 == nil {
			return State{Kind: Exited, PID: pid, Code: code}, nil
		}
	}
	if m := signaledText.FindStringSubmatch(text); m != nil {
		if pid, err := strconv.Atoi(m[1]); err == nil {
			return State{Kind: Signaled, PID: pid, Signal: m[2], Core: m[3] == "true"}, nil
		}
	}
	return State{}, fmt.Errorf("parse state %.100q: not one that a zinit names", text)
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A text that ParseState
// refuses becomes a Kind of its own, equal to none of ours: one service in a
// state that only a newer zinit knows must not hide all the others in a list.
func (s *State) UnmarshalText(b []byte) error {
	v, err := ParseState(string(b))
	if err != nil {
		v = State{Kind: Kind(b)}
	}
	*s = v
	return nil
}

// Status is the answer to a status call.
type Status struct {
	Name string `json:"name"`
	// PID is the main process, 0 when there is none.
	PID    int    `json:"pid"`
	State  State  `json:"state"`
	Target Target `json:"target"`
	// After is the state of each service that this one waits for.
	After map[string]State `json:"after"`
	// Last is how the process before this one ended; nil if there was none, or
	// the zinit does not tell (only ours does: it starts the next one so soon
	// that the end can not be read from State).
	Last *End `json:"last,omitempty"`
	// Unmet says which bound of the service does not hold, and why; "" for none,
	// or a zinit that sets no bounds.
	Unmet string `json:"unmet,omitempty"`
}

// WaitsFor are the services in After that hold a start back, sorted: those that
// neither run fit nor have ended well.
func (s Status) WaitsFor() []string {
	var names []string
	for name, state := range s.After {
		if state.Kind != Running && state.Kind != Success {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// End is how one process ended.
type End struct {
	PID   int   `json:"pid"`
	State State `json:"state"`
	// OutOfMemory says that the kernel ended it at its service's bound of memory.
	OutOfMemory bool `json:"out_of_memory,omitempty"`
}

// exitOf is how the process pid ended: its code, or -1 and the signal; -1 and ""
// when the status does not tell. outOfMemory is what the zinit itself knows of it.
func (s Status) exitOf(pid int) (code int, signal string, outOfMemory bool) {
	end := End{PID: s.State.PID, State: s.State}
	if s.Last != nil {
		end = *s.Last
	} else if s.State.PID == 0 {
		end.PID = pid // Success has no PID, nor has the crate dialect; there is no better word
	}
	if end.PID != pid {
		return -1, "", false
	}
	switch {
	case end.State.Kind == Exited:
		return end.State.Code, "", end.OutOfMemory
	case end.State.Kind == Signaled && end.State.Signal != NoSignal:
		return -1, end.State.Signal, end.OutOfMemory
	case end.State.Kind == Success:
		return 0, "", end.OutOfMemory
	}
	return -1, "", end.OutOfMemory
}

// Stats is what a service uses.
type Stats struct {
	Name string `json:"name"`
	Usage
	// Children are all descendants of the main process.
	Children []Usage `json:"children"`
}

// Usage is what one process uses.
type Usage struct {
	PID int `json:"pid"`
	// Memory is the resident set in bytes.
	Memory uint64 `json:"memory_usage"`
	// CPU is in percent of one CPU, over the time of the call.
	CPU float32 `json:"cpu_usage"`
}
