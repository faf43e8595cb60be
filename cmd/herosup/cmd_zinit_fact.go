package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"herosup/zinit"
)

// fact is what a command to a zinit ended in, as it was seen afterwards.
type fact struct {
	Service string `json:"service,omitempty"`
	// Fact is for people: "stopped web".
	Fact   string `json:"fact"`
	State  string `json:"state,omitempty"`
	PID    int    `json:"pid,omitempty"`
	Target string `json:"target,omitempty"`
}

func factOf(s zinit.Status, text string) fact {
	return fact{Service: s.Name, Fact: text, State: s.State.String(), PID: s.PID, Target: string(s.Target)}
}

func (f fact) show(cmd *cobra.Command, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), f)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), oneLine(f.Fact))
	return err
}

// startSettled reports whether a status shows what became of a start: a process,
// a reason to wait, or an end that is not the one of before.
func startSettled(before, now zinit.Status) bool {
	switch {
	case now.Target != zinit.Up, isEnding(before, now):
		return false
	case now.PID != 0, now.State.Kind == zinit.Blocked, now.State.Kind == zinit.Failure, now.State.Kind == zinit.TestFailure:
		return true
	}
	anew := now.Last != nil && (before.Last == nil || now.Last.PID != before.Last.PID)
	return now.State.Ended() && (anew || now.State != before.State)
}

// isEnding reports whether the process is the one of before, which a stop that came before the start is to end.
func isEnding(before, now zinit.Status) bool {
	return before.Target == zinit.Down && now.PID != 0 && now.PID == before.PID
}

// startFact says what became of a start. One that ended badly at once is an
// error; one that waits for others is not, since it was done as far as it goes.
func startFact(done string, before, now zinit.Status) (fact, error) {
	text := done + " " + now.Name
	switch waits := now.WaitsFor(); {
	case isEnding(before, now):
		text += fmt.Sprintf(": it begins anew when pid %d has ended", now.PID)
	case now.PID != 0 && now.PID == before.PID:
		text = fmt.Sprintf("%s runs already (pid %d)", now.Name, now.PID)
	case now.PID != 0:
		text += fmt.Sprintf(" (pid %d)", now.PID)
	case now.State.Kind == zinit.Blocked && len(waits) > 0:
		text += ": it waits for " + strings.Join(waits, ", ")
	case now.State.Kind == zinit.Success:
		text += ": it has ended with Success"
	case now.State.Kind == zinit.Blocked, now.State.Kind == zinit.Unknown:
		text += ": no process yet"
	default:
		err := fmt.Errorf("%s could not be kept running: %s", now.Name, now.State)
		return fact{}, hinted(exitFailed, err, "its output says more: `herosup zinit log -s "+now.Name+"`")
	}
	return factOf(now, text), nil
}

// stopFact is an error while there is a process: a stop that did not stop.
func stopFact(now zinit.Status) (fact, error) {
	if now.PID != 0 {
		err := fmt.Errorf("%s still runs (pid %d, %s)", now.Name, now.PID, now.State)
		return fact{}, hinted(exitFailed, err, "end it with `herosup zinit kill "+now.Name+" SIGKILL`, and stop it again")
	}
	return factOf(now, "stopped "+now.Name), nil
}
