package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) submitCommand() *cobra.Command {
	var j jobFlags
	var noWait bool
	var lines lineFlags
	c := &cobra.Command{
		Use:   "submit TYPE [FILE|-]",
		Short: "Submit a script, or thousands; the job ids are all there is on stdout",
		Long: `Submits a script and prints its job's id when the log has it: from then on it
runs at least once, whoever dies. Within a second more it is known whether the daemon
refuses it after all (--no-wait does not look).

With --each-line every line of FILE is a script of its own, with --json-lines a job as
hero.cmd.job.create takes it (its script_type wins over TYPE). They are sent without
waiting for each. Blank lines are left out. The options are those of every line; --id
is the beginning of the ids, <id>-<line>: a submission that was interrupted can so be
repeated, and nothing runs twice. A line that is refused is named, and does not hold
up the others; the exit status is then 1.`,
		Example: `  herosup submit bash backup.sh
  echo 'print(6*7)' | herosup submit python
  herosup submit bash -e 'echo later' --delay 10m --retries 3
  herosup submit bash report.sh --after 01K9XQ4T6ZB3M8Q0V5S7R2D1AE
  herosup submit bash --each-line commands.txt --id nightly`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if lines.on() {
				return a.submitLines(cmd, args, &j, lines)
			}
			script, o, err := j.read(cmd, args)
			if err != nil {
				return err
			}
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			send := d.jobs.Queued
			if noWait {
				send = d.jobs.Submit
			}
			id, err := send(cmd.Context(), args[0], script, o)
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) { // it may be a job already
				return hinted(statusOf(cmd.Context(), err), err, "submit it again under --id "+id+": the same job again is the same job")
			}
			if err != nil {
				return err
			}
			if asJSON, _ := a.json(); asJSON {
				err = printJSON(cmd.OutOrStdout(), submitted{Job: id})
			} else {
				fmt.Fprintln(cmd.OutOrStdout(), id)
			}
			a.warnUnserved(cmd, d, args[0])
			return err
		},
	}
	j.add(c)
	j.addInline(c)
	lines.add(c)
	a.outputFlag(c)
	c.Flags().BoolVar(&noWait, "no-wait", false, "return at the receipt, without looking whether it is refused after all")
	c.MarkFlagsMutuallyExclusive("each-line", "json-lines", "script")
	c.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmd.ValidateFlagGroups(); err != nil { // cobra's own look would end with the status of a failure
			return hinted(exitUsage, err, "see `herosup submit --help`")
		}
		_, err := a.json()
		return err
	}
	return c
}

// submitted is what submit -o json says of a job.
type submitted struct {
	// Line of the file, from 1; absent without a file of lines.
	Line int    `json:"line,omitempty"`
	Job  string `json:"job,omitempty"`
	// Error says why it is no job.
	Error *lineError `json:"error,omitempty"`
}

type lineError struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
}
