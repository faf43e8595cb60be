package schedule

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/dispatch"
	"herosup/events"
)

// Bounds: the id of a job is the name, a dash and eleven digits, within
// events.MaxToken.
const (
	maxName      = 48
	maxSchedules = 1000
	maxHeaders   = 300 // 256 variables and the options
)

// Where a schedule comes from.
const (
	// FromConfig: the configuration file has it, and it goes when that drops it.
	FromConfig = "config"
	// FromCommand: somebody added it.
	FromCommand = "command"
)

// Definition is a schedule as it is kept.
type Definition struct {
	Name     string            `json:"name"`
	Cron     string            `json:"cron"`
	Timezone string            `json:"timezone"`
	Type     string            `json:"type"`
	Script   string            `json:"script"`
	Headers  map[string]string `json:"headers,omitempty"`
	Missed   string            `json:"missed"`
	Paused   bool              `json:"paused,omitempty"`
	Source   string            `json:"source"`
	// Since is the moment from which due times count: when it was added, its times
	// were changed, or a pause ended.
	Since time.Time `json:"since"`
}

// FieldError is a value of a definition that is not allowed.
type FieldError struct {
	// Field is its name in JSON and in the configuration: "cron", "timezone",
	// "type", "script", "headers", "missed", "name".
	Field string
	Err   error
	hint  string
}

func (e *FieldError) Error() string { return e.Err.Error() }
func (e *FieldError) Unwrap() error { return e.Err }

// Hint says what would work.
func (e *FieldError) Hint() string { return e.hint }

func wrong(name, hint string, err error) error {
	if h, ok := err.(interface{ Hint() string }); ok {
		hint = h.Hint()
	}
	return &FieldError{Field: name, Err: err, hint: hint}
}

// FromAdd is the definition that a command asks for.
func FromAdd(e events.ScheduleAdd) Definition {
	return Definition{
		Name: e.Schedule, Cron: e.Cron, Timezone: e.Timezone, Type: e.Type, Script: e.Script, Headers: e.Headers,
		Missed: e.Missed, Paused: e.Paused, Source: FromCommand,
	}
}

// Check fills in what was left out and says what is wrong: a *FieldError.
func (d *Definition) Check() error {
	d.Type, d.Cron = strings.ToLower(d.Type), strings.Join(strings.Fields(d.Cron), " ")
	if d.Timezone == "" {
		d.Timezone = "UTC"
	}
	if d.Missed == "" {
		d.Missed = Once
	}
	if err := events.CheckToken("schedule", d.Name); err != nil {
		return wrong("name", "", err)
	}
	if len(d.Name) > maxName {
		return wrong("name", "its jobs are named after it", fmt.Errorf("schedule is %d bytes long: at most %d are allowed", len(d.Name), maxName))
	}
	if _, err := d.times(); err != nil {
		return err
	}
	if d.Missed != Once && d.Missed != Skip {
		return wrong("missed", "want once or skip", fmt.Errorf("missed %q is not known", short(d.Missed)))
	}
	return d.checkJob()
}

// CheckNew is Check for a definition that comes by command. Its jobs can not wait for another: that one is known for a time after its
// end, and from then on each of them would be refused. A definition that is kept since this was let through goes on.
func (d *Definition) CheckNew() error {
	for name := range d.Headers {
		if strings.EqualFold(name, dispatch.HeaderPrerequisites) {
			return wrong("headers", "let the script look whether it may run, or have one schedule's script submit what comes next",
				errors.New("the jobs of a schedule can not wait for another job: that is forgotten some time after its end"))
		}
	}
	return d.Check()
}

// checkJob looks at what will be submitted as the log's reader will.
func (d *Definition) checkJob() error {
	if len(d.Headers) > maxHeaders {
		return wrong("headers", fmt.Sprintf("at most %d are allowed", maxHeaders), fmt.Errorf("%d headers", len(d.Headers)))
	}
	for name, value := range d.Headers {
		switch lower := strings.ToLower(name); {
		case !strings.HasPrefix(lower, "hero-"):
			return wrong("headers", "headers of a submission begin with Hero-", fmt.Errorf("header %q is not for a job", short(name)))
		case lower == strings.ToLower(dispatch.HeaderJobID):
			return wrong("headers", "each due time has a job of its own: its id is <schedule>-<unix seconds>", fmt.Errorf("header %s can not be set for a schedule", name))
		case lower == strings.ToLower(dispatch.HeaderStartBy) && strings.ContainsAny(value, ":T"):
			return wrong("headers", "say how many seconds after its due time a job may begin at the latest", fmt.Errorf("header %s: a schedule has more than one due time", name))
		}
	}
	if r := dispatch.CheckSubmission(d.Type, d.header(), []byte(d.Script)); r != nil {
		where := "headers"
		switch r.Code {
		case "bad_type":
			where = "type"
		case "empty_script", "script_too_large", "bad_script":
			where = "script"
		}
		return wrong(where, r.Hint, r)
	}
	return nil
}

func (d *Definition) times() (Timetable, error) {
	rule, err := Parse(d.Cron)
	if err != nil {
		return Timetable{}, wrong("cron", "", err)
	}
	zone, err := Zone(d.Timezone)
	if err != nil {
		return Timetable{}, wrong("timezone", "", err)
	}
	return Timetable{Rule: rule, Zone: zone, Since: d.Since}, nil
}

// Headers are the options of a submission as a definition keeps them, without the
// job's id: each job has its own.
func Headers(h nats.Header) map[string]string {
	var out map[string]string
	for name, values := range h {
		if name == dispatch.HeaderJobID || len(values) == 0 {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = values[0]
	}
	return out
}

func (d *Definition) header() nats.Header {
	h := nats.Header{}
	for name, value := range d.Headers {
		h[name] = []string{value}
	}
	return h
}

// same reports whether both make the same jobs at the same times.
func (d *Definition) same(o *Definition) bool {
	return d.sameTimes(o) && d.Type == o.Type && d.Script == o.Script && d.Missed == o.Missed && maps.Equal(d.Headers, o.Headers)
}

func (d *Definition) sameTimes(o *Definition) bool {
	return d.Cron == o.Cron && d.Timezone == o.Timezone
}

// Progress is how far a schedule has come.
type Progress struct {
	// Since is that of the definition it was decided under: another one's Decided
	// does not count.
	Since   time.Time `json:"since"`
	Decided time.Time `json:"decided"`
	Fired   int       `json:"fired"`
	Missed  int       `json:"missed"`
	LastJob string    `json:"last_job,omitempty"`
	LastDue time.Time `json:"last_due,omitzero"`
}

// View is a schedule as get schedules and its JSON show it.
type View struct {
	Name     string    `json:"name"`
	Cron     string    `json:"cron"`
	Timezone string    `json:"timezone"`
	Type     string    `json:"type"`
	Missed   string    `json:"missed"`
	Source   string    `json:"source"`
	Paused   bool      `json:"paused"`
	Next     time.Time `json:"next,omitzero"`
	LastDue  time.Time `json:"last_due,omitzero"`
	LastJob  string    `json:"last_job,omitempty"`
	Fired    int       `json:"fired"`
	// MissedCount is how many due times got no job.
	MissedCount int `json:"missed_count"`
	// Fault says why it can not fire.
	Fault string `json:"fault,omitempty"`
}
