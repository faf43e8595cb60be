package dispatch

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The headers of a submission. Their names are matched without case; the NAME of
// Hero-Env-NAME keeps the case it was sent in.
const (
	HeaderJobID         = "Hero-Job-Id"
	HeaderTimeout       = "Hero-Timeout"
	HeaderDelay         = "Hero-Delay"
	HeaderCallerID      = "Hero-Caller-Id"
	HeaderContextID     = "Hero-Context-Id"
	HeaderEnv           = "Hero-Env-" // and the variable's name
	HeaderRetries       = "Hero-Retries"
	HeaderPriority      = "Hero-Priority"
	HeaderPrerequisites = "Hero-Prerequisites"
	HeaderStartBy       = "Hero-Start-By"
	HeaderKeepResult    = "Hero-Keep-Result"
	// HeaderAdopted marks a job that was pushed straight into Redis and put into
	// the log by the daemon. It changes nothing: what counts is the record.
	HeaderAdopted = "Hero-Adopted"
	// HeaderAgain marks a message that revives an ended job. Only the daemon can write
	// it: see again.go. From anybody else it is a header that is not known.
	HeaderAgain = "Hero-Again"
)

// HeaderSequence goes with a job.run whose job is in the log already, under the job id that is given: the number of its message,
// which the log answered. Nothing is submitted then, so that asked again, or late, no job comes a second time.
const HeaderSequence = "Hero-Sequence"

// The headers of an answer to job.run and job.await, beside HeaderJobID.
const (
	// HeaderStatus is "finished" or "error".
	HeaderStatus = "Hero-Status"
	// HeaderExitCode is the script's, decimal; absent if it had none.
	HeaderExitCode = "Hero-Exit-Code"
	// HeaderReason says why the status is "error", in a word or phrase.
	HeaderReason = "Hero-Reason"
)

// known are the headers that a submission may carry.
var known = [...]string{
	HeaderJobID, HeaderTimeout, HeaderDelay, HeaderCallerID, HeaderContextID,
	HeaderRetries, HeaderPriority, HeaderPrerequisites, HeaderStartBy, HeaderKeepResult, HeaderAdopted, HeaderEnv,
}

const (
	foreignHeader = ""       // NATS' own, and what clients add
	unknownHeader = "Hero-?" // ours by its prefix, and none of them
)

// headerOf is the header of a submission that a name means.
func headerOf(name string) string {
	const ours = "Hero-"
	switch {
	case strings.EqualFold(name, nats.MsgIdHdr):
		return nats.MsgIdHdr
	case len(name) < len(ours) || !strings.EqualFold(name[:len(ours)], ours):
		return foreignHeader
	case strings.EqualFold(name, HeaderAgain):
		return HeaderAgain
	case len(name) >= len(HeaderEnv) && strings.EqualFold(name[:len(HeaderEnv)], HeaderEnv):
		return HeaderEnv
	}
	for _, k := range known {
		if strings.EqualFold(name, k) {
			return k
		}
	}
	return unknownHeader
}

// takeHeader takes a header out, whatever the case of its name; "" if there is none.
func takeHeader(h nats.Header, name string) (value string) {
	for n, values := range h {
		if strings.EqualFold(n, name) && len(values) > 0 {
			value = values[0]
			delete(h, n)
		}
	}
	return value
}

// Options are what a submitter may say about a job beside its script. What is nil or
// zero is not said; with Timeout and Retries, that leaves it to the settings of the
// job's type (Defaults), and new(0) says none.
type Options struct {
	// ID of the job; "" lets Submit make one. The same id again is the same job.
	ID string
	// Timeout ends the script; new(time.Duration(0)) is none. Fractions of a second
	// are rounded up when the job is taken in.
	Timeout *time.Duration
	// Delay keeps the job back for this long from its acceptance on.
	Delay time.Duration
	// Priority is -10 to 10; 0 is what others are. A higher level goes first, but a
	// lower one waits no longer behind it than max_priority_wait.
	Priority int
	// StartBy ends the job unrun, as expired, if it has not begun by then. StartWithin
	// says the same from the acceptance on; with both set StartBy counts.
	StartBy     time.Time
	StartWithin time.Duration
	// Prerequisites are the jobs that must have ended before this one begins.
	Prerequisites []Prerequisite
	// Retries is how often a failed attempt is made anew, 0 to MaxRetries.
	Retries *int
	// KeepResult is how long the result may be asked for, if that is shorter than the record is kept; new(time.Duration(0)) is
	// none: who waits for the job gets it. nil leaves it to the settings.
	KeepResult *time.Duration
	// Env is added to the script's environment.
	Env map[string]string
	// CallerID and ContextID reach the script as CALLER_ID and CONTEXT_ID.
	CallerID, ContextID string
}

// Header writes the options as headers. It checks nothing: CheckSubmission does.
func (o Options) Header() nats.Header {
	h := nats.Header{}
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	set(HeaderJobID, o.ID)
	set(HeaderCallerID, o.CallerID)
	set(HeaderContextID, o.ContextID)
	if o.Timeout != nil {
		set(HeaderTimeout, decimal(o.Timeout.Seconds()))
	}
	if o.Delay != 0 {
		set(HeaderDelay, decimal(o.Delay.Seconds()))
	}
	if o.Priority != 0 {
		set(HeaderPriority, strconv.Itoa(o.Priority))
	}
	switch {
	case !o.StartBy.IsZero():
		set(HeaderStartBy, o.StartBy.UTC().Format(time.RFC3339Nano))
	case o.StartWithin != 0:
		set(HeaderStartBy, decimal(o.StartWithin.Seconds()))
	}
	set(HeaderPrerequisites, writePrerequisites(o.Prerequisites))
	if o.Retries != nil {
		set(HeaderRetries, strconv.Itoa(*o.Retries))
	}
	if o.KeepResult != nil {
		set(HeaderKeepResult, decimal(o.KeepResult.Seconds()))
	}
	for name, value := range o.Env {
		h[HeaderEnv+name] = []string{value}
	}
	return h
}

// decimal writes seconds as the headers want them: no exponent.
func decimal(s float64) string { return strconv.FormatFloat(s, 'f', -1, 64) }

// nearest is the known header that a misspelt one most likely means.
func nearest(name string) string {
	name = strings.ToLower(name)
	best, least := "", 1<<30
	for _, k := range known {
		if d := distance(name, strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == HeaderEnv {
		best += "NAME"
	}
	return best
}

// distance is the Levenshtein distance in bytes; both are header names, so short.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
