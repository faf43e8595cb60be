package dispatch

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
)

// Create writes a script and its options as a job in JSON's form, the other way
// round than FromCreate. A moment to begin by becomes the time left until then.
func (o Options) Create(jobType, script string) events.JobCreate {
	c := events.JobCreate{
		ID: o.ID, ScriptType: jobType, Script: script, CallerID: o.CallerID, ContextID: o.ContextID,
		Timeout: secondsOf(o.Timeout), KeepResult: secondsOf(o.KeepResult), Delay: events.SecondsOf(o.Delay), Env: o.Env,
		Priority: o.Priority, StartBy: events.SecondsOf(o.StartWithin),
	}
	if o.Retries != nil {
		c.Retries = new(*o.Retries) // not shared: JSON may be read into it
	}
	if !o.StartBy.IsZero() {
		c.StartBy = events.SecondsOf(max(time.Until(o.StartBy), time.Millisecond))
	}
	if list := writePrerequisites(o.Prerequisites); list != "" {
		c.Prereqs = strings.Split(list, ",")
	}
	return c
}

// FromCreate writes a job given as JSON as what goes into the log: there is one
// mapping from a submission to a job (parse), and this is its input: what is wrong is
// refused in one place.
func FromCreate(c events.JobCreate) (jobType string, header nats.Header, script []byte) {
	h := Options{ID: c.ID, CallerID: c.CallerID, ContextID: c.ContextID, Env: c.Env}.Header()
	set := func(name, value string, given bool) {
		if given {
			h[name] = []string{value}
		}
	}
	if c.Timeout != nil {
		set(HeaderTimeout, decimal(float64(*c.Timeout)), true)
	}
	if c.KeepResult != nil {
		set(HeaderKeepResult, decimal(float64(*c.KeepResult)), true)
	}
	if c.Retries != nil {
		set(HeaderRetries, strconv.Itoa(*c.Retries), true)
	}
	set(HeaderDelay, decimal(float64(c.Delay)), c.Delay != 0)
	set(HeaderPriority, strconv.Itoa(c.Priority), c.Priority != 0)
	var needs []Prerequisite
	for _, text := range c.Prereqs {
		needs = append(needs, Prerequisite{ID: text}) // with its rule
	}
	set(HeaderPrerequisites, writePrerequisites(needs), len(needs) > 0)
	set(HeaderStartBy, decimal(float64(c.StartBy)), c.StartBy != 0)
	set(HeaderAdopted, "1", c.AdoptedRedis)
	return c.ScriptType, h, []byte(c.Script)
}
