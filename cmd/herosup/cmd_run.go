package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/spf13/cobra"

	"herosup/dispatch"
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
			script, err := j.read(cmd, args)
			if err != nil {
				return err
			}
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			if err := d.publish(cmd.Context(), args[0], script, j.opt); err != nil {
				return err
			}
			a.warnUnserved(cmd, d, args[0])
			ctx := cmd.Context()
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, limit)
				defer cancel()
			}
			answer, err := d.await(ctx, j.opt.ID)
			if err != nil {
				var r *events.Refusal
				if errors.As(err, &r) {
					return err
				}
				return hinted(statusOf(cmd.Context(), err), fmt.Errorf("wait for job %s: %w", j.opt.ID, err), "the job goes on; its result: herosup get jobs "+j.opt.ID)
			}
			return d.printResult(cmd, answer)
		},
	}
	j.add(c)
	c.Flags().DurationVar(&limit, "wait", 0, "give up waiting after this long (the job goes on); 0 waits for ever")
	return c
}

// await asks for the job's result until it has one. While the daemon is away
// it asks again: the job's id is the job.
func (d *remote) await(ctx context.Context, id string) (*nats.Msg, error) {
	const again = 200 * time.Millisecond
	// One question may stay open for this long; then it is asked anew, in case
	// the daemon that had it is gone.
	const patience = 30 * time.Second
	subject, err := d.bus.Subject(events.JobAwait{Job: id})
	if err != nil {
		return nil, err
	}
	for unknown := 0; ; {
		one, cancel := context.WithTimeout(ctx, patience)
		m, err := d.bus.Conn().RequestWithContext(one, subject, nil)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && m.Header.Get(micro.ErrorCodeHeader) == "":
			return m, nil
		case err == nil:
			// Accepted and not yet read from the log is unknown for a moment.
			if unknown++; m.Header.Get(micro.ErrorCodeHeader) != "404" || unknown > 50 {
				return nil, events.RefusalOf(m)
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(again):
		}
	}
}

// printResult puts the output on stdout and what went wrong on stderr.
func (d *remote) printResult(cmd *cobra.Command, m *nats.Msg) error {
	id, reason := m.Header.Get("Hero-Job-Id"), m.Header.Get("Hero-Reason")
	if m.Header.Get("Hero-Status") == events.Finished {
		_, err := cmd.OutOrStdout().Write(withNewline(m.Data))
		return err
	}
	// The answer to an error is its text; the output before it is in the record.
	var job dispatch.JobView
	if err := d.ask(cmd.Context(), events.JobShow{Job: id}, &job); err == nil {
		if _, err := cmd.OutOrStdout().Write(withNewline([]byte(job.Output))); err != nil {
			return err
		}
	}
	if _, err := cmd.ErrOrStderr().Write(withNewline(m.Data)); err != nil {
		return err
	}
	code, err := strconv.Atoi(m.Header.Get("Hero-Exit-Code"))
	switch {
	case reason == "timeout":
		return &exitError{status: exitTimedOut, err: fmt.Errorf("job %s timed out", id)}
	case err == nil && code > 0 && code < 256 && strings.HasPrefix(reason, "exit"):
		return &exitError{status: code}
	}
	return fmt.Errorf("job %s ended in error: %s", id, reason)
}

func withNewline(b []byte) []byte {
	if len(b) > 0 && b[len(b)-1] != '\n' {
		return append(b, '\n')
	}
	return b
}
