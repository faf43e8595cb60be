package hero

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"herosup/dispatch/actor"
)

// The names of the original, which has no other prefix.
const (
	namespace   = "hero:"
	recordKey   = namespace + "job:"
	replyKey    = namespace + "q:reply:"
	workKey     = namespace + "q:work:type:"
	anyWorkKeys = namespace + "q:work:"
)

// Statuses of the original.
const (
	statusDispatched = "dispatched"
	statusFinished   = "finished"
	statusError      = "error"
)

// record is a job as the original writes one: all text, and what is optional left out where there is nothing to say.
func record(job actor.Job, concurrent bool, now time.Time) map[string]any {
	at := now.UTC().Format(time.RFC3339Nano)
	r := map[string]any{
		"id": job.ID, "caller_id": job.CallerID, "context_id": job.ContextID, "script": job.Script, "script_type": job.Type,
		"timeout": strconv.FormatInt(int64(job.Timeout.Round(time.Second)/time.Second), 10), "retries": "0",
		"concurrent": strconv.FormatBool(concurrent), "status": statusDispatched, "created_at": at, "updated_at": at,
	}
	if len(job.Env) > 0 {
		env, _ := json.Marshal(job.Env) // a map of strings can be written
		r["env_vars"] = string(env)
	}
	return r
}

// seen is what the program has said of a job so far.
type seen struct {
	fields  map[string]string // of the record
	reply   string
	replied bool
	since   time.Time // when its end was seen first; zero: it was not
}

// status is the program's word in lower case.
func (s *seen) status() string { return strings.ToLower(s.fields["status"]) }

// ended reports whether the program is done with the job.
func (s *seen) ended() bool {
	return s.replied || s.status() == statusFinished || s.status() == statusError
}

// whole reports whether what it said has a text: a status may come before it.
func (s *seen) whole() bool {
	if s.status() == statusError {
		return s.fields["error"] != ""
	}
	return s.fields["output"] != "" && s.status() == statusFinished
}

// outcome is the end in our words.
func (s *seen) outcome() actor.Outcome {
	output, problem := s.fields["output"], s.fields["error"]
	if output == "" && problem == "" {
		output = s.reply
	}
	if s.status() == statusError || s.status() != statusFinished && problem != "" {
		if problem == "" {
			problem, output = output, ""
		}
		return actor.Outcome{Failed: true, Reason: reasonProgram, Output: output, Error: problem}
	}
	return actor.Outcome{Output: output}
}

// Reasons of an outcome beside the actor's own.
const (
	reasonProgram     = "error of the program"
	reasonInterrupted = "interrupted"
)
