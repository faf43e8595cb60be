package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"herosup/dispatch/client"
	"herosup/events"
)

func (a *app) runCommand() *cobra.Command {
	var j jobFlags
	var limit time.Duration
	c := &cobra.Command{
		Use:   "run TYPE [FILE|-]",
		Short: "Submit a script, wait, print its output and end with its exit status",
		Long: `Submits the script under an id of its own and waits for its end. The wait
survives a restart of the daemon. Interrupting it does not end the job.`,
		Example: "  herosup run bash -e 'echo hi'\n  herosup run python job.py --timeout 1m",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			if limit < 0 {
				return usagef("--wait %s: want a time, or 0 to wait for ever", limit)
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
			a.warnUnserved(cmd, d, args[0])
			ctx := cmd.Context()
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("it has not ended within %s: %w", limit, context.DeadlineExceeded))
				defer cancel()
			}
			result, err := d.jobs.Run(ctx, args[0], script, o)
			if err != nil {
				var r *events.Refusal
				if errors.As(err, &r) {
					return err
				}
				hint := "the job goes on; its result: herosup describe job " + o.ID
				if errors.Is(err, client.ErrUnconfirmed) {
					hint = "submit it again under --id " + o.ID + ": the same job again is the same job"
				}
				return hinted(statusOf(cmd.Context(), err), fmt.Errorf("wait for job %s: %w", o.ID, err), hint)
			}
			return d.printResult(cmd, result, asJSON)
		},
	}
	j.add(c)
	j.addInline(c)
	a.outputFlag(c)
	c.Flags().DurationVar(&limit, "wait", 0, "give up waiting after this long (the job goes on); 0 waits for ever")
	return c
}

// ranJob is what run -o json says.
type ranJob struct {
	Job      string `json:"job"`
	Finished bool   `json:"finished"`
	Reason   string `json:"reason,omitempty"`
	ExitCode *int   `json:"exit_code,omitempty"`
	Output   string `json:"output"`
	Error    string `json:"error,omitempty"`
}

// printResult puts the output on stdout and what went wrong on stderr, or both as JSON on stdout.
func (d *remote) printResult(cmd *cobra.Command, r client.Result, asJSON bool) error {
	last := r.Reason // of the last attempt
	if !r.Finished { // the output before an error is in the record
		if job, err := d.jobs.Show(cmd.Context(), r.Job); err == nil {
			r.Output = job.Output
			last = cmp.Or(job.Cause, last)
		}
	}
	var err error
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), ranJob(r))
	} else {
		_, err = cmd.OutOrStdout().Write(withNewline([]byte(r.Output)))
		if _, told := cmd.ErrOrStderr().Write(withNewline([]byte(r.Error))); err == nil {
			err = told
		}
	}
	if err != nil || r.Finished {
		return err
	}
	switch code := r.ExitCode; {
	case last == "timeout":
		return &exitError{status: exitTimedOut, err: fmt.Errorf("job %s timed out", r.Job)}
	case code != nil && *code > 0 && *code < 256 && strings.HasPrefix(last, "exit"):
		return &exitError{status: *code}
	}
	return fmt.Errorf("job %s ended in error: %s", r.Job, r.Reason)
}

func withNewline(b []byte) []byte {
	if len(b) > 0 && b[len(b)-1] != '\n' {
		return append(b, '\n')
	}
	return b
}
