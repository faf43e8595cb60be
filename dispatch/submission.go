package dispatch

import (
	"bytes"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// maxDelay catches a unit that was mistaken, as MaxTimeout does.
	maxDelay = 366 * 24 * time.Hour
	// maxHeaders bounds all headers together: a stream takes 64 KiB less a byte, and what it is published with is among them.
	maxHeaders = 63 << 10
	// maxPartyID bounds Hero-Caller-Id and Hero-Context-Id: public keys, mostly.
	maxPartyID = 1024
)

// logged is one message of the log.
type logged struct {
	Type     string // last token of its subject
	Header   nats.Header
	Script   []byte
	Stream   string
	Sequence uint64
	Time     time.Time
}

// submission reads a message of the log. The refusal names the job's id where it
// is known, and the sequence. std is for what the message does not say.
func (m logged) submission(std Defaults) (store.Submission, *events.Refusal) {
	s, r := parse(m.Type, m.Header, m.Script, m.Time, std)
	if s.ID == "" {
		s.ID = numbered(m.Stream, m.Sequence)
		if again := together(s); r == nil { // it may name its own id to be
			r = again
		}
	}
	s.Sequence, s.CreatedAt = m.Sequence, m.Time
	if r != nil {
		r.Sequence = m.Sequence
		if events.CheckToken("", s.ID) == nil {
			r.Job = s.ID
		}
	}
	return s, r
}

// numbered is the id of a job whose message names none.
func numbered(stream string, sequence uint64) string {
	return stream + "-" + strconv.FormatUint(sequence, 10)
}

// CheckSubmission says what is wrong with a submission, before or after it is
// published: nil if nothing. It is the only judge of form; what it can not see is
// whether the id is taken and its prerequisites are known.
func CheckSubmission(jobType string, header nats.Header, script []byte) *events.Refusal {
	_, r := parse(jobType, header, script, time.Now(), Defaults{})
	if r == nil {
		r = checkHeaders(header)
	}
	return r
}

// checkHeaders says that the log would not take the headers, and of a batch nothing behind them, or not as they are: a line break is
// written as a blank, and blanks at the ends are not. Of what is in the log nobody asks it.
func checkHeaders(header nats.Header) *events.Refusal {
	size, altered := 0, ""
	for name, values := range header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
			if (strings.ContainsAny(v, "\r\n") || textproto.TrimString(v) != v) && headerOf(name) != foreignHeader && (altered == "" || name < altered) {
				altered = name
			}
		}
	}
	if altered != "" {
		return bad("bad_header", fmt.Sprintf("header %s: line breaks, and blanks at the ends, do not reach the job", altered),
			"encode the value, for example as base64, or put it into the script")
	}
	if size <= maxHeaders {
		return nil
	}
	return bad("headers_too_large", fmt.Sprintf("the variables, prerequisites and other options are %d bytes together, at most %d are allowed", size, maxHeaders),
		"put them into the script, or let it fetch them")
}

// parse is the one mapping from a message to a job; at is when the log took it, which
// delays count from, so that a refill does not wait anew. The submission is as complete
// as it can be also when it is refused.
func parse(jobType string, header nats.Header, script []byte, at time.Time, std Defaults) (store.Submission, *events.Refusal) {
	s := store.Submission{Type: strings.ToLower(jobType), Timeout: std.Timeout, Retries: std.Retries} // the type as records have it
	names := make([]string, 0, 8)
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names) // the first fault is the same one each time
	seen := map[string]bool{}
	messageID := ""
	var first *events.Refusal
	fault := func(r *events.Refusal) {
		if first == nil {
			first = r
		}
	}
	for _, name := range names {
		means := headerOf(name)
		key := means
		switch means {
		case nats.MsgIdHdr:
			if v := header[name]; len(v) > 0 {
				messageID = v[0]
			}
			continue
		case foreignHeader:
			continue
		case unknownHeader:
			key = strings.ToLower(name)
		case HeaderEnv:
			key += name[len(HeaderEnv):] // FOO and foo are two variables
		}
		if len(header[name]) != 1 || seen[key] {
			fault(bad("bad_header", fmt.Sprintf("header %s is given more than once", name), "send it once"))
			continue
		}
		seen[key] = true
		if r := option(&s, name, means, header[name][0], at); r != nil {
			fault(r)
		}
	}
	if s.ID == "" {
		s.ID = messageID
	}
	if s.ID != "" {
		if err := events.CheckToken("job id", s.ID); err != nil {
			fault(bad("bad_id", err.Error(), "leave "+HeaderJobID+" out to get an id, or use only those characters"))
		}
	}
	if err := events.CheckToken("script type", jobType); err != nil {
		fault(bad("bad_type", err.Error(), "want a pool's type; of a message it is the last token of its subject"))
	}
	if len(s.Env) > maxEnv {
		fault(bad("bad_env", fmt.Sprintf("%d headers %s*: too many", len(s.Env), HeaderEnv), fmt.Sprintf("at most %d are allowed", maxEnv)))
	}
	fault(together(s))
	fault(checkScript(script))
	if len(script) <= events.MaxScript {
		s.Script = string(script)
	}
	return s, first
}

func checkScript(script []byte) *events.Refusal {
	switch {
	case len(bytes.TrimSpace(script[:min(len(script), events.MaxScript+1)])) == 0:
		return bad("empty_script", "the script is empty", "the message's payload is the script itself")
	case len(script) > events.MaxScript:
		return bad("script_too_large", fmt.Sprintf("the script is %d bytes long, at most %d are allowed", len(script), events.MaxScript),
			"let the script fetch its data")
	case !utf8.Valid(script):
		return bad("bad_script", fmt.Sprintf("the script is not UTF-8 text: bad byte at position %d", firstInvalid(script)+1),
			"scripts are text; encode binary data, for example as base64")
	}
	return nil
}

func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// option reads one Hero-* header into s; means is what headerOf says it is.
func option(s *store.Submission, name, means, value string, at time.Time) *events.Refusal {
	var r *events.Refusal
	switch means {
	case HeaderJobID:
		if s.ID = value; value == "" {
			r = bad("bad_id", "header "+name+" is empty", "leave it out to get an id")
		}
	case HeaderTimeout:
		s.Timeout, r = seconds(name, value, MaxTimeout)
	case HeaderDelay:
		var in time.Duration
		if in, r = seconds(name, value, maxDelay); in > 0 {
			s.Due = at.Add(in)
		}
	case HeaderCallerID:
		s.Caller, r = party(name, value)
	case HeaderContextID:
		s.Context, r = party(name, value)
	case HeaderAdopted:
	case HeaderRetries:
		s.Retries, r = whole(name, value, 0, MaxRetries)
	case HeaderKeepResult:
		s.KeepResult = new(time.Duration)
		*s.KeepResult, r = seconds(name, value, maxDelay)
	case HeaderPriority:
		s.Priority, r = whole(name, value, -store.MaxPriority, store.MaxPriority)
	case HeaderPrerequisites:
		s.Prerequisites, r = prerequisites(name, value)
	case HeaderStartBy:
		s.StartBy, r = startBy(name, value, at)
	case HeaderAgain:
		r = bad("daemon_only", "header "+name+" is for the daemon alone", "use job.retry to run an ended job again")
	case unknownHeader:
		r = bad("unknown_header", fmt.Sprintf("header %s is not known", name), "did you mean "+nearest(name)+"?")
	case HeaderEnv:
		env := name[len(HeaderEnv):]
		if r = checkEnv(env, value); r == nil {
			if s.Env == nil {
				s.Env = map[string]string{}
			}
			s.Env[env] = value
		}
	}
	return r
}

// number is what a number of seconds looks like: no exponent, no sign, no
// "inf", which strconv would take.
var number = regexp.MustCompile(`^[0-9]{1,18}(\.[0-9]{1,18})?$`)

func seconds(name, value string, most time.Duration) (time.Duration, *events.Refusal) {
	if !number.MatchString(value) {
		what := "is no number"
		if strings.HasPrefix(value, "-") && number.MatchString(value[1:]) {
			what = "is negative"
		}
		return 0, bad("bad_header", fmt.Sprintf("header %s: %q %s", name, short(value), what), "want seconds as a decimal number, 0 or more, for example 1.5")
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f > most.Seconds() {
		return 0, bad("bad_header", fmt.Sprintf("header %s: %s seconds are too many", name, value), fmt.Sprintf("at most %.0f are allowed", most.Seconds()))
	}
	return time.Duration(f * float64(time.Second)), nil
}

func party(name, value string) (string, *events.Refusal) {
	if len(value) > maxPartyID || !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", bad("bad_header", fmt.Sprintf("header %s is not a line of UTF-8 text of at most %d bytes", name, maxPartyID), "send an id or a public key as text")
	}
	return value, nil
}

func bad(code, reason, hint string) *events.Refusal {
	return &events.Refusal{Status: 400, Code: code, Reason: reason, Hint: hint}
}

// short keeps a foreign value from filling the line; what is no text goes out as
// escapes by %q at the caller.
func short(value string) string {
	const most = 40
	if len(value) <= most {
		return strings.ToValidUTF8(value, "?")
	}
	return strings.ToValidUTF8(value[:most], "?") + "..."
}
