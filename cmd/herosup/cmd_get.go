package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"herosup/dispatch"
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
					t.row(x.Name, x.State, since(x.Since), pid, x.Job, fmt.Sprint(x.JobsDone), fmt.Sprint(x.Restarts), x.Reason)
				}
				return t.flush()
			})
		},
	}
	a.outputFlag(c)
	c.Flags().StringVar(&pool, "pool", "", "only those of this `pool`")
	return c
}

func (a *app) getJobs() *cobra.Command {
	var ask events.JobList
	c := &cobra.Command{
		Use: "jobs [JOB]", Short: "List jobs, or show one with its script and result", Args: cobra.MaximumNArgs(1),
		Example: "  herosup get jobs --state dead\n  herosup get jobs 01K9XQ4T6ZB3M8Q0V5S7R2D1AE",
		RunE: func(cmd *cobra.Command, args []string) error {
			if ask.State != "" && !slices.Contains(dispatch.States(), ask.State) {
				return usagef("state %q is unknown: want %s", ask.State, strings.Join(dispatch.States(), ", "))
			}
			return a.list(cmd, func(d *remote, asJSON bool) error {
				if len(args) == 1 {
					return d.showJob(cmd, args[0], asJSON)
				}
				jobs := []dispatch.JobView{}
				if err := d.ask(cmd.Context(), ask, &jobs); err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), jobs)
				}
				t := newTable(cmd.OutOrStdout(), "JOB", "TYPE", "STATE", "ATTEMPTS", "ACTOR", "AGE", "REASON")
				for _, j := range jobs {
					t.row(j.ID, j.Type, j.State, fmt.Sprint(j.Attempts), j.Actor, since(j.QueuedAt), j.Reason)
				}
				return t.flush()
			})
		},
	}
	a.outputFlag(c)
	c.Flags().StringVar(&ask.Type, "type", "", "only this script `type`")
	c.Flags().StringVar(&ask.State, "state", "", "only this `state`: "+strings.Join(dispatch.States(), ", "))
	c.Flags().IntVar(&ask.Limit, "limit", 0, "at most so many (default 100, at most 1000)")
	return c
}

func (d *remote) showJob(cmd *cobra.Command, id string, asJSON bool) error {
	var j dispatch.JobView
	if err := d.ask(cmd.Context(), events.JobShow{Job: id}, &j); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if asJSON {
		return printJSON(out, j)
	}
	line := func(name, value string) {
		if value != "" && value != "0" {
			fmt.Fprintf(out, "%-9s %s\n", name, oneLine(value))
		}
	}
	line("job", j.ID)
	line("type", j.Type)
	line("state", j.State)
	line("reason", j.Reason)
	line("actor", j.Actor)
	line("attempts", fmt.Sprint(j.Attempts))
	line("crashes", fmt.Sprint(j.Crashes))
	line("queued", stampText(j.QueuedAt))
	line("started", stampText(j.StartedAt))
	line("ended", stampText(j.FinishedAt))
	for _, part := range []struct{ name, text string }{{"script", j.Script}, {"output", j.Output}, {"error", j.Error}} {
		if part.text != "" {
			fmt.Fprintf(out, "%s:\n", part.name)
			for _, l := range strings.Split(strings.TrimRight(part.text, "\n"), "\n") {
				fmt.Fprintln(out, "  "+oneLine(l))
			}
		}
	}
	return nil
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cancel JOB", Short: "Take a job out that does not run yet", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			if err := d.ask(cmd.Context(), events.JobCancel{Job: args[0]}, nil); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), args[0], "cancelled")
			return nil
		},
	}
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
