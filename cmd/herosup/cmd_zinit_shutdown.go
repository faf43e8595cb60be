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
				if err := end(ctx); err != nil && !errors.Is(err, zinit.ErrUnanswered) {
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
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if err := z.Probe(ctx); errors.Is(err, zinit.ErrNoServer) {
			return nil
		}
		select {
		case <-ctx.Done():
			return hinted(exitTimedOut, fmt.Errorf("zinit at %s still answers after %s: %w", z.Socket(), patience, ctx.Err()),
				"`herosup zinit list` shows what it waits for")
		case <-time.After(wait):
		}
	}
}
