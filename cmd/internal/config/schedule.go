package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"herosup/dispatch"
	"herosup/dispatch/schedule"
	"herosup/events"
)

// Schedule is a periodic job.
type Schedule struct {
	Name string `yaml:"name"`
	// Cron is five fields, @daily and its like, or "@every 90s".
	Cron string `yaml:"cron"`
	// Timezone is a name of the IANA database; "" means UTC.
	Timezone string `yaml:"timezone"`
	Type     string `yaml:"type"`
	// Script, or ScriptFile: a path beside the configuration file.
	Script     string `yaml:"script"`
	ScriptFile string `yaml:"script_file"`
	// Missed: "once" (the default) makes one job for the times that nobody looked
	// at, "skip" none.
	Missed string `yaml:"missed"`

	// As a submission has them.
	Timeout    *time.Duration    `yaml:"timeout"`
	Delay      time.Duration     `yaml:"delay"`
	StartBy    time.Duration     `yaml:"start_by"`
	Retries    *int              `yaml:"retries"`
	KeepResult *time.Duration    `yaml:"keep_result"`
	Priority   int               `yaml:"priority"`
	Env        map[string]string `yaml:"env"`
	CallerID   string            `yaml:"caller_id"`
	ContextID  string            `yaml:"context_id"`
}

// options are the keys of a schedule that are options of its jobs, and how to set
// one alone.
var options = []struct {
	key string
	set func(*dispatch.Options, Schedule)
	got func(Schedule) any
}{
	{"timeout", func(o *dispatch.Options, s Schedule) { o.Timeout = s.Timeout }, func(s Schedule) any { return pointed(s.Timeout) }},
	{"delay", func(o *dispatch.Options, s Schedule) { o.Delay = s.Delay }, func(s Schedule) any { return s.Delay }},
	{"start_by", func(o *dispatch.Options, s Schedule) { o.StartWithin = s.StartBy }, func(s Schedule) any { return s.StartBy }},
	{"retries", func(o *dispatch.Options, s Schedule) { o.Retries = s.Retries }, func(s Schedule) any { return pointed(s.Retries) }},
	{"keep_result", func(o *dispatch.Options, s Schedule) { o.KeepResult = s.KeepResult }, func(s Schedule) any { return pointed(s.KeepResult) }},
	{"priority", func(o *dispatch.Options, s Schedule) { o.Priority = s.Priority }, func(s Schedule) any { return s.Priority }},
	{"env", func(o *dispatch.Options, s Schedule) { o.Env = s.Env }, func(s Schedule) any { return sorted(s.Env) }},
	{"caller_id", func(o *dispatch.Options, s Schedule) { o.CallerID = s.CallerID }, func(s Schedule) any { return s.CallerID }},
	{"context_id", func(o *dispatch.Options, s Schedule) { o.ContextID = s.ContextID }, func(s Schedule) any { return s.ContextID }},
}

// pointed is for people.
func pointed[T any](v *T) any {
	if v == nil {
		return "nothing"
	}
	return *v
}

// Definition is the schedule as the daemon keeps it.
func (s Schedule) Definition() schedule.Definition {
	var o dispatch.Options
	for _, opt := range options {
		opt.set(&o, s)
	}
	return s.definition(o)
}

func (s Schedule) definition(o dispatch.Options) schedule.Definition {
	return schedule.Definition{
		Name: s.Name, Cron: s.Cron, Timezone: s.Timezone, Type: s.Type, Script: s.Script, Missed: s.Missed,
		Headers: schedule.Headers(o.Header()), Source: schedule.FromConfig,
	}
}

// readScripts takes the script files in.
func (c *Config) readScripts(k *checker) {
	for i := range c.Schedules {
		s := &c.Schedules[i]
		path := fmt.Sprintf("schedules[%d].script_file", i)
		if s.ScriptFile == "" {
			continue
		}
		k.want(s.Script == "", path, s.ScriptFile, "either script or script_file, not both")
		file := s.ScriptFile
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(c.File), file)
		}
		text, err := readSome(file)
		if err != nil {
			k.want(false, path, s.ScriptFile, "a file that can be read: "+err.Error())
			text = "unread" // what is wrong with it was said
		}
		s.Script = text
	}
}

func readSome(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	// One byte more than allowed tells too long from just right.
	b, err := io.ReadAll(io.LimitReader(f, events.MaxScript+1))
	return string(b), err
}

// validateSchedules checks each as the component will.
func (c *Config) validateSchedules(k *checker) {
	seen := map[string]bool{}
	for i, s := range c.Schedules {
		s.validate(k, fmt.Sprintf("schedules[%d]", i))
		k.want(!seen[s.Name], fmt.Sprintf("schedules[%d].name", i), s.Name, "a name that no other schedule has")
		seen[s.Name] = true
	}
}

func (s Schedule) validate(k *checker, path string) {
	d := s.Definition()
	var e *schedule.FieldError
	if !errors.As(d.Check(), &e) {
		return
	}
	key, got, want := e.Field, any(nil), e.Hint()
	switch e.Field {
	case "name":
		got = s.Name
	case "cron":
		got = s.Cron
	case "timezone":
		got = s.Timezone
	case "type":
		got = s.Type
	case "missed":
		got = s.Missed
	case "script":
		if got = s.Script; s.ScriptFile != "" {
			key, got = "script_file", s.ScriptFile
		}
		want = "a script, as script or script_file"
	default:
		key, got, e = s.badOption(e)
		want = e.Hint()
	}
	if want == "" {
		want = "another"
	}
	if text, isText := got.(string); isText && len(text) > 60 {
		got = text[:60] + "..."
	}
	k.want(false, path+"."+key, got, fmt.Sprintf("%s (%s)", want, e))
}

// badOption finds which of the options it is: the first that is wrong alone.
func (s Schedule) badOption(all *schedule.FieldError) (key string, got any, e *schedule.FieldError) {
	for _, opt := range options {
		var o dispatch.Options
		opt.set(&o, s)
		d := s.definition(o)
		if errors.As(d.Check(), &e) {
			return opt.key, opt.got(s), e
		}
	}
	return "env", sorted(s.Env), all
}
