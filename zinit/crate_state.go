package zinit

import (
	"time"

	"golang.org/x/sys/unix"
)

// crateState is a state as the crate dialect has it, one of seven by name.
type crateState struct {
	Name      string   `json:"state"`
	PID       int      `json:"pid"`
	ExitCode  *int     `json:"exit_code"`
	WaitingOn []string `json:"waiting_on"`
	Reason    struct {
		Type       string `json:"type"`
		Code       int    `json:"code"`
		Signal     int    `json:"signal"`
		Dependency string `json:"dependency"`
	} `json:"reason"`
}

// state is the state that another zinit would name.
func (s crateState) state() State {
	switch s.Name {
	case "inactive":
		return State{Kind: Unknown}
	case "blocked":
		return State{Kind: Blocked}
	case "starting":
		return State{Kind: Spawned}
	case "running", "stopping":
		return State{Kind: Running}
	case "exited":
		switch {
		case s.ExitCode == nil: // of one that was stopped by a signal, which is not kept
			return State{Kind: Signaled, Signal: NoSignal}
		case *s.ExitCode == 0:
			return State{Kind: Success}
		}
		return State{Kind: Exited, Code: *s.ExitCode}
	case "failed":
		switch s.Reason.Type {
		case "exit_code":
			return State{Kind: Exited, Code: s.Reason.Code}
		case "signal":
			return State{Kind: Signaled, Signal: unix.SignalName(unix.Signal(s.Reason.Signal))}
		case "missing_dependency":
			return State{Kind: Blocked}
		case "health_check_failed":
			return State{Kind: TestFailure}
		}
		return State{Kind: Failure}
	}
	return State{Kind: Kind(s.Name)}
}

// crateFull is the answer to service.status_full, and an item of service.list_full.
type crateFull struct {
	Name         string     `json:"name"`
	State        crateState `json:"state"`
	Dependencies []struct {
		Name  string     `json:"name"`
		State crateState `json:"state"`
	} `json:"dependencies"`
}

// endedWell is the one state that a service shows which was stopped, as well as one
// that will be started again.
func (f crateFull) endedWell() bool {
	return f.State.Name == "exited" && f.State.ExitCode != nil && *f.State.ExitCode == 0
}

func (z crate) full(name string) (f crateFull, err error) {
	return f, z.ask("service.status_full", named{Name: name}, &f)
}

func (z crate) list() (map[string]State, error) {
	var all []crateFull
	if err := z.ask("service.list_full", nil, &all); err != nil {
		return nil, err
	}
	states := make(map[string]State, len(all))
	for _, s := range all {
		if s.endedWell() {
			z.l.c.memory.rests(s.Name) // its time begins
		}
		states[s.Name] = s.State.state()
	}
	return states, nil
}

// crateLost is how long a process that zinit shows may be gone before it is taken
// for lost to it. The end of a process is usually known to it in a moment, on a busy machine in some more.
const crateLost = 500 * time.Millisecond

func (z crate) status(name string) (Status, error) {
	s, _, err := z.look(name)
	return s, err
}

// look is a status with the PID that zinit shows, which may be of a process that is
// gone without its knowledge, or of another that has its number by now.
func (z crate) look(name string) (_ Status, shown int, err error) {
	sure := false
	for began := time.Now(); ; {
		full, err := z.full(name)
		if err != nil {
			return Status{}, 0, err
		}
		s := Status{Name: full.Name, PID: full.State.PID, State: full.State.state(), After: map[string]State{}}
		for _, d := range full.Dependencies {
			s.After[d.Name] = d.State.state()
		}
		if d := full.State.Reason.Dependency; d != "" {
			s.After[d] = State{Kind: Unknown}
		}
		if s.Target, err = z.target(full); err != nil {
			return Status{}, 0, err
		}
		if s.PID == 0 && s.State.Kind == Spawned && time.Since(began) < crateLost {
			if err := z.pause(crateLost / 100); err != nil { // it is about to have one, and is no service at rest
				return Status{}, 0, err
			}
			continue
		}
		lost := s.PID != 0 && gone(s.PID)
		if s.PID != 0 && !lost {
			lost, err = z.stranger(name, s.PID)
		}
		if err != nil || !lost {
			return s, s.PID, err
		}
		if sure {
			s.PID, s.State = 0, State{Kind: Unknown}
			return s, full.State.PID, nil
		}
		if sure = time.Since(began) > crateLost; sure {
			err = z.settled()
		} else {
			err = z.pause(crateLost / 100)
		}
		if err != nil {
			return Status{}, 0, err
		}
	}
}

// settled returns when zinit has seen to what it has to do by now: while it is busy with one
// thing it shows the others as they were.
func (z crate) settled() error {
	return ignoring(z.ask("service.kill", named{Name: cratePing, Signal: "SIGCONT"}, nil), ServiceNotFound)
}

// target is what zinit wants of a service, which it does not say: it shows in the
// state, and for a service that has ended in what its file says of that.
func (z crate) target(f crateFull) (Target, error) {
	m := z.l.c.memory
	if !f.endedWell() && f.State.Name != "inactive" {
		m.lives(f.Name)
	}
	switch f.State.Name {
	case "stopping", "inactive":
		return Down, nil
	case "exited":
		// One that was stopped shows how it ended just as one that will be started
		// again does; only a good end can be either.
		c, err := z.config(f.Name)
		if err != nil {
			return Down, err
		}
		again := c.Lifecycle.Restart == crateAlways && f.endedWell()
		if c.Service.Oneshot || again && !m.rests(f.Name) {
			return Up, nil
		}
		return Down, nil
	}
	return Up, nil
}
