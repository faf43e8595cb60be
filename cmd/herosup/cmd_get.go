package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"herosup/events"
	"herosup/monitor"
)

func (a *app) getCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "get pools|actors|jobs|schedules", Short: "List pools, actors, jobs or schedules",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.getPools(), a.getActors(), a.getJobs(), a.getSchedules())
	return c
}

func (d *remote) pools(ctx context.Context) ([]monitor.Pool, error) {
	list := []monitor.Pool{}
	return list, d.ask(ctx, events.PoolList{}, &list)
}

func (a *app) getPools() *cobra.Command {
	c := &cobra.Command{
		Use: "pools", Short: "List the pools", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.list(cmd, func(d *remote, asJSON bool) error {
				pools, err := d.pools(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), pools)
				}
				return printPoolTable(cmd, pools)
			})
		},
	}
	a.outputFlag(c)
	return c
}

func (a *app) getActors() *cobra.Command {
	var pool string
	c := &cobra.Command{
		Use: "actors", Short: "List the actors and what they do", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.list(cmd, func(d *remote, asJSON bool) error {
				actors, err := d.actors(cmd.Context(), pool)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), actors)
				}
				t := newTable(cmd.OutOrStdout(), "ACTOR", "STATE", "SINCE", "PID", "JOB", "DONE", "RESTARTS", "REASON")
				for _, x := range actors {
					pid := ""
					if x.PID > 0 {
						pid = fmt.Sprint(x.PID)
					}
					t.row(x.Name, x.State, since(x.Since), pid, inHand(x), fmt.Sprint(x.JobsDone), fmt.Sprint(x.Restarts), why(x))
				}
				return t.flush()
			})
		},
	}
	a.outputFlag(c)
	c.Flags().StringVar(&pool, "pool", "", "only those of this `pool`")
	return c
}

// why an actor is as it is: what its start waits for, or why it is still as it was before
// a restart, goes before how it came to that.
func why(x monitor.Actor) string {
	switch {
	case x.Blocked != "":
		return "blocked: " + x.Blocked
	case x.NotRestarted != "":
		return "not restarted, works on as it was: " + x.NotRestarted
	}
	return x.Reason
}

// inHand names the job that an actor has held longest, and how many more it holds.
func inHand(x monitor.Actor) string {
	if x.Holds > 1 {
		return fmt.Sprintf("%s +%d", x.Job, x.Holds-1)
	}
	return x.Job
}

// list connects, runs one listing and disconnects.
func (a *app) list(cmd *cobra.Command, f func(d *remote, asJSON bool) error) error {
	asJSON, err := a.json()
	if err != nil {
		return err
	}
	d, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer d.close()
	return f(d, asJSON)
}
