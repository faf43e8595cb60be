package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"herosup/zinit"
)

func (d *zinitDoor) shutdownCommand() *cobra.Command {
	var patience time.Duration
	var reboot bool
	c := &cobra.Command{
		Use: "shutdown", Short: "Stop all services in reverse order, then the zinit", Args: cobra.NoArgs,
		Long: "Stop all services, dependents first, then the zinit.\n" +
			"The original zinit, outside of a container, then powers the machine off; ours does as its first process.",
		Example: "  herosup zinit shutdown --socket zinit.sock",
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := d.json()
			if err != nil {
				return err
			}
			return d.with(cmd, patience, func(ctx context.Context, z *zinit.Client) error {
				end := z.Shutdown
				if reboot {
					end = z.Reboot
				}
				err := end(ctx)
				if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
					return notShutDown(z, patience)
				}
				if err != nil && !errors.Is(err, zinit.ErrUnanswered) {
					return zinitFault(err, "", nil)
				}
				if err := awaitEnd(ctx, z, patience); err != nil {
					return err
				}
				return fact{Fact: "zinit at " + z.Socket() + " has shut down"}.show(cmd, asJSON)
			})
		},
	}
	c.Flags().DurationVar(&patience, "timeout", zinit.DefaultStopTimeout, "how long to wait for the end of all")
	c.Flags().BoolVar(&reboot, "reboot", false, "start the machine anew instead of powering it off")
	d.outputFlag(c)
	return c
}

// awaitEnd returns when nobody answers at the socket any more.
func awaitEnd(ctx context.Context, z *zinit.Client, patience time.Duration) error {
	late, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if err := z.Probe(late); errors.Is(err, zinit.ErrNoServer) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.Done():
			return notShutDown(z, patience)
		case <-time.After(wait):
		}
	}
}

// notShutDown says that a shutdown has taken longer than it may. The zinit goes on with it.
func notShutDown(z *zinit.Client, patience time.Duration) error {
	return hinted(exitTimedOut, fmt.Errorf("zinit at %s has not ended after %s", z.Socket(), patience),
		"it goes on; what it waits for shows in `herosup zinit list`")
}
