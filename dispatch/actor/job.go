package actor

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"herosup/dispatch/store"
	"herosup/events"
)

// Handler runs one job. Its context ends with ErrTimeout, ErrCancelled, ErrStopped or ErrLost as the cause; it should return
// soon then. The outcome is told to whoever waits for the job.
type Handler func(ctx context.Context, job Job) Outcome

// Job is what a handler gets.
type Job struct {
	ID        string
	Type      string
	Script    string
	Env       map[string]string // the job's own; may be nil
	CallerID  string
	ContextID string
	Attempt   int           // 1 for the first
	Timeout   time.Duration // the context's deadline is that far away; 0 is none

	record func(ctx context.Context, pgid int, leader events.Incarnation) error
}

// RecordGroup must be called by a handler that starts a process for the job, in a process group of its own, before
// that does anything: if this actor dies, the group is killed before the job is given to another. It repeats
// itself while Redis is away, until ctx ends. On error end the process, the job must not be done: with ErrLost it
// is another's, with ErrCancelled nobody wants it any more.
func (j Job) RecordGroup(ctx context.Context, pgid int, leader events.Incarnation) error {
	if j.record == nil {
		return nil // a Job made by hand, for a test of a handler
	}
	return j.record(ctx, pgid, leader)
}

// Outcome is how a job ended; see there for what its fields hold.
type Outcome = store.Outcome

// Reasons of an outcome. Others are "exit <code>" and "signal <name>".
const (
	ReasonTimeout    = "timeout"
	ReasonStopped    = "stopped"
	ReasonCancelled  = store.ReasonCancelled
	ReasonNotStarted = "not started"
	ReasonBadEnv     = "bad env_vars"
	ReasonNoOutcome  = "no outcome"
	// ReasonUnable is for a handler that could not begin, for want of something that it needs for any job. The job does not end: it
	// is given back, and this actor takes no other until Config.Able says that it can again.
	ReasonUnable = store.ReasonUnable
)

// Failed is the outcome of a job that did not do what it should: reason for machines, text for people.
func Failed(reason, text string) Outcome { return Outcome{Failed: true, Reason: reason, Error: text} }

// maxText bounds a text of an outcome in bytes: what goes into one command of Redis, several times over.
const maxText = 4 << 20

// maxWord bounds the reason and the exit code: they are in each fact that tells of the end.
const maxWord = 1 << 10

// bounded makes an outcome fit for the record.
func bounded(o Outcome) Outcome {
	o.Output, o.Error = cut(o.Output, maxText), cut(o.Error, maxText)
	o.Reason = cut(o.Reason, maxWord)
	o.ExitCode = strings.Join(strings.Fields(cut(o.ExitCode, maxWord)), " ") // an end is told by words in a line
	return o
}

// cut makes UTF-8 text of at most so many bytes, and says how many more there were.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD") // which may be three bytes for one
	if len(s) > most {
		n := most
		for n > most-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + fmt.Sprintf("\n... %d bytes cut ...\n", len(s)-n)
	}
	return s
}
