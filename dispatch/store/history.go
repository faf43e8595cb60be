package store

import (
	"encoding/json"
	"time"
)

// readHistory reads what scripts/lib/history.lua wrote; what is none of ours is nothing.
func readHistory(text string) []Attempt {
	if text == "" {
		return nil
	}
	var all []struct {
		Attempt, Actor, Incarnation, Host, Began, Ended, Outcome, Reason, Signal, OOM, Error string
		ExitCode                                                                             string `json:"exit_code"`
		EndedAt                                                                              string `json:"ended_at"` // as records have it, of a revived job's end
	}
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil
	}
	out := make([]Attempt, len(all))
	for i, a := range all {
		out[i] = Attempt{
			Attempt: laxInt(a.Attempt), Actor: a.Actor, Incarnation: a.Incarnation, Host: a.Host, Began: msTime(a.Began), Ended: msTime(a.Ended),
			Outcome: a.Outcome, Reason: a.Reason, ExitCode: a.ExitCode, Signal: a.Signal, OutOfMemory: a.OOM == "1", Error: a.Error,
		}
		if a.EndedAt != "" {
			out[i].Ended, _ = time.Parse(time.RFC3339, a.EndedAt)
		}
	}
	return out
}
