package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"herosup/dispatch"
	"herosup/dispatch/client"
)

// filterFlags say which jobs are meant, in `get jobs` and in bulk.
type filterFlags struct{ client.Filter }

func (f *filterFlags) add(a *app, c *cobra.Command) {
	c.Flags().Var(stateFlag{&f.State, &a.stateDir}, "state", "only this `state`: "+strings.Join(dispatch.States(), ", ")+
		"; with a / in it the state folder, as everywhere")
	c.Flags().StringVar(&f.Type, "type", "", "only this script `type`")
	c.Flags().DurationVar(&f.OlderThan, "older-than", 0, "first queued at least so long ago")
	c.Flags().DurationVar(&f.NewerThan, "newer-than", 0, "first queued less than that ago")
	c.Flags().StringVar(&f.Text, "text", "", "only with this `part` in id, script, error or reason")
}

// stateFlag is --state of commands about jobs, where it hides the one that every command has. No state of a job
// has a slash in it.
type stateFlag struct{ job, folder *string }

func (s stateFlag) Set(v string) error {
	switch {
	case v == "":
		return errors.New("it is empty")
	case strings.Contains(v, "/"):
		*s.folder = v
	default:
		*s.job = v
	}
	return nil
}

func (s stateFlag) String() string { return "" } // no default
func (s stateFlag) Type() string   { return "string" }

// check refuses what no job can be before anybody is asked. A text that is empty is a variable of a shell that is
// not set, and would mean all jobs.
func (f *filterFlags) check(cmd *cobra.Command) error {
	for name, value := range map[string]string{"type": f.Type, "text": f.Text} {
		if value == "" && cmd.Flags().Changed(name) {
			return usagef("--%s is empty", name)
		}
	}
	if f.State == "waiting_for_prerequisites" { // the record's word for it
		f.State = dispatch.StateBlocked
	}
	switch {
	case f.State != "" && !slices.Contains(dispatch.States(), f.State):
		return usagef("state %q is unknown: want %s", f.State, strings.Join(dispatch.States(), ", "))
	case f.OlderThan < 0 || f.NewerThan < 0:
		return usagef("an age can not be negative")
	case f.NewerThan != 0 && f.OlderThan >= f.NewerThan:
		return usagef("no job is older than %s and newer than %s", f.OlderThan, f.NewerThan)
	}
	return nil
}

// given reports whether anything narrows the jobs.
func (f *filterFlags) given() bool { return f.Filter != client.Filter{} }

// words says the filter as part of a sentence: "dead jobs of type bash".
func (f *filterFlags) words(n int) string {
	text := "job"
	if n != 1 {
		text = "jobs"
	}
	if f.State != "" {
		text = f.State + " " + text
	}
	if f.Type != "" {
		text += " of type " + f.Type
	}
	if f.OlderThan > 0 {
		text += " older than " + age(f.OlderThan)
	}
	if f.NewerThan > 0 {
		text += " newer than " + age(f.NewerThan)
	}
	if f.Text != "" {
		text += fmt.Sprintf(" with %q", f.Text)
	}
	return text
}
