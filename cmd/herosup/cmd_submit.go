package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"herosup/dispatch"
	"herosup/events"
)

// lookAfter is how long submit waits to hear what became of its job: what is
// wrong with a submission is often found only when it is read.
const lookAfter = time.Second

func (a *app) submitCommand() *cobra.Command {
	var j jobFlags
	var noWait bool
	c := &cobra.Command{
		Use:   "submit TYPE [FILE|-]",
		Short: "Submit a script; its job id is the only line on stdout",
		Example: `  herosup submit bash backup.sh
  echo 'print(6*7)' | herosup submit python
  herosup submit bash -e 'echo later' --delay 10m`,
		Args: cobra.RangeArgs(1, 2),
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
			sub, err := d.bus.Subscribe(events.FactsOf("job"), events.Of(events.CommandRejected{}))
			if err != nil {
				return err
			}
			if err := d.publish(cmd.Context(), args[0], script, j.opt); err != nil {
				return err
			}
			if !noWait {
				if err := accepted(cmd.Context(), sub, j.opt.ID); err != nil {
					return err
				}
			}
			fmt.Fprintln(cmd.OutOrStdout(), j.opt.ID)
			a.warnUnserved(cmd, d, args[0])
			return nil
		},
	}
	j.add(c)
	c.Flags().BoolVar(&noWait, "no-wait", false, "return at the receipt, without looking whether it is refused after all")
	return c
}

// publish puts the job in the log; when it returns nil the job is accepted.
func (d *remote) publish(ctx context.Context, scriptType, script string, opt dispatch.Options) error {
	js, err := jetstream.New(d.bus.Conn())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, _, _, err = dispatch.Submit(ctx, js, d.run.Prefix, scriptType, []byte(script), opt)
	return err
}

// accepted waits a moment for the job's first fact: queued, or refused.
func accepted(ctx context.Context, sub *events.Subscription, id string) error {
	ctx, cancel := context.WithTimeout(ctx, lookAfter)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil // it is in the log: Redis may be away for now
			}
			return ctx.Err()
		case raw := <-sub.C:
			m, err := sub.Open(raw)
			if err != nil {
				continue
			}
			switch e := m.Event.(type) {
			case events.CommandRejected:
				if e.Job == id {
					return &exitError{status: exitUsage, err: errors.New(e.Reason), hint: e.Hint}
				}
			case events.JobQueued:
				if e.Job == id {
					return nil
				}
			case events.JobStarted:
				if e.Job == id {
					return nil
				}
			}
		}
	}
}
