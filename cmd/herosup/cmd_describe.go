package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"herosup/dispatch"
	"herosup/dispatch/client"
)

func (a *app) describeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "describe actor|job NAME", Short: "Everything about one actor or job",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	job := &cobra.Command{
		Use: "job JOB", Short: "Everything about one job: its record, attempts, script and result", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.list(cmd, func(d *remote, asJSON bool) error {
				j, err := d.jobs.Show(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), j)
				}
				describe(cmd.OutOrStdout(), j)
				return nil
			})
		},
	}
	a.outputFlag(job)
	c.AddCommand(a.describeActor(), job)
	return c
}

func (a *app) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "explain job JOB", Short: "Why a job is not running",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	job := &cobra.Command{
		Use: "job JOB", Short: "Why a job is not running: the decisive reason first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.list(cmd, func(d *remote, asJSON bool) error {
				x, err := d.jobs.Explain(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if asJSON {
					return printJSON(out, x)
				}
				state := x.State
				if state == dispatch.StateError {
					state = "in error"
				}
				fmt.Fprintf(out, "job %s is %s\n", x.Job, state)
				for _, r := range x.Reasons {
					fmt.Fprintln(out, "  "+oneLine(r.Text))
					if r.Hint != "" {
						fmt.Fprintln(out, "    hint: "+oneLine(r.Hint))
					}
				}
				return nil
			})
		},
	}
	a.outputFlag(job)
	c.AddCommand(job)
	return c
}

// property prints what has a name; nothing for what does not apply.
func property(out io.Writer, name, value string) {
	if value != "" && value != "0" {
		fmt.Fprintf(out, "%-12s %s\n", name, oneLine(value))
	}
}

// describe prints a job; what does not apply is left out.
func describe(out io.Writer, j client.Job) {
	line := func(name, value string) { property(out, name, value) }
	line("job", j.ID)
	line("type", j.Type)
	line("state", j.State)
	line("reason", j.Reason)
	line("cause", j.Cause)
	if j.Cancelling {
		line("cancelled", "it runs still and is being ended")
	}
	for _, w := range j.Waits {
		line("waits for", needText(w))
	}
	line("needed by", dependentsText(j))
	line("priority", fmt.Sprint(j.Priority))
	line("start by", stampText(j.StartBy))
	line("caller", j.CallerID)
	line("context", j.ContextID)
	if j.Timeout > 0 {
		line("timeout", age(j.Timeout.Duration()))
	}
	line("queued", stampText(j.QueuedAt))
	line("ready", stampText(j.ReadyAt))
	line("started", stampText(j.StartedAt))
	line("ended", stampText(j.FinishedAt))
	line("result gone", stampText(j.ResultGoneAt))
	line("dead since", stampText(j.DeadAt))
	line("actor", j.Actor)
	line("incarnation", j.Incarnation)
	line("host", j.Host)
	line("attempts", fmt.Sprint(j.Attempts))
	if j.Retries > 0 {
		line("retries", fmt.Sprintf("%d of %d used", j.Retried, j.Retries))
	}
	line("crashes", fmt.Sprint(j.Crashes))
	if j.ExitCode != nil {
		fmt.Fprintf(out, "%-12s %d\n", "exit code", *j.ExitCode) // 0 is told too
	}
	line("log message", fmt.Sprint(j.Sequence))
	for _, name := range slices.Sorted(maps.Keys(j.Env)) {
		line("env", name+"="+j.Env[name])
	}
	for _, h := range j.History {
		line(fmt.Sprintf("attempt %d", h.Attempt), attemptText(h))
	}
	for _, h := range j.History {
		text(out, fmt.Sprintf("attempt %d said", h.Attempt), h.Error)
	}
	text(out, "script", j.Script)
	text(out, "output", j.Output)
	text(out, "error", j.Error)
}

// needText says what a prerequisite is like, and what it means to the job.
func needText(w dispatch.Need) string {
	status := w.Status
	if status == "" {
		status = "not known any more"
	}
	if w.Reason != "" {
		status += ": " + w.Reason
	}
	return fmt.Sprintf("%s (%s; rule %s)", w.ID, status, w.Rule)
}

// dependentsText names who waits for a job's end, as far as they are named.
func dependentsText(j client.Job) string {
	s := strings.Join(j.Dependents, ", ")
	if more := j.Waiting - len(j.Dependents); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// attemptText says how an attempt went that was not the job's good end.
func attemptText(h dispatch.AttemptView) string {
	s := h.Outcome
	for _, more := range []string{h.Reason, h.Signal} {
		if more != "" && !strings.Contains(s, more) {
			s += ", " + more
		}
	}
	if h.OutOfMemory {
		s += ", out of memory"
	}
	s += " on " + h.Actor
	if h.Host != "" {
		s += " at " + h.Host
	}
	if !h.Began.IsZero() && !h.Ended.IsZero() {
		s += " after " + age(h.Ended.Sub(h.Began))
	}
	return s + " at " + stampText(h.Ended)
}

// text prints what may have many lines.
func text(out io.Writer, name, s string) {
	if s == "" {
		return
	}
	fmt.Fprintf(out, "%s:\n", name)
	for _, l := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
		fmt.Fprintln(out, "  "+oneLine(l))
	}
}
