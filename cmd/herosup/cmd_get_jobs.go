package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"herosup/dispatch/client"
)

// listedJobs is how many jobs are shown when nobody says otherwise.
const listedJobs = 100

func (a *app) getJobs() *cobra.Command {
	var f filterFlags
	limit := listedJobs
	c := &cobra.Command{
		Use: "jobs [JOB...]", Short: "List jobs: what runs, what waits, what has ended",
		Long: `Lists what runs, then what waits (the next to be served first), what is delayed (by
its time), what has ended (the latest first), and the rest. A text or an age has to be
searched for: of a million jobs that takes half a minute.`,
		Example: "  herosup get jobs --state dead\n  herosup get jobs --type bash --older-than 1h --limit 0 -o json\n  herosup get jobs 01K9XQ4T6ZB3M8Q0V5S7R2D1AE",
		RunE: func(cmd *cobra.Command, args []string) error {
			wide := a.output == "wide"
			asJSON, err := a.json()
			if err != nil && !wide {
				return usagef("output %q is unknown: want text, wide or json", a.output)
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			if limit < 0 {
				return usagef("limit %d: want 1 or more, or 0 for all", limit)
			}
			if len(args) > 0 && f.given() {
				return usagef("name jobs, or say which by flags, not both")
			}
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			jobs, more, err := a.jobs(cmd, d, args, f.Filter, limit)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), jobs)
			} else {
				err = printJobs(cmd, jobs, wide)
			}
			if more {
				a.note(cmd, "... there are more: --limit 0 shows all")
			}
			return err
		},
	}
	f.add(a, c)
	a.wideFlag(c)
	c.Flags().IntVar(&limit, "limit", listedJobs, "at most so many; 0 for all")
	return c
}

// jobs are the named ones, or at most limit of those that a filter means.
func (a *app) jobs(cmd *cobra.Command, d *remote, names []string, f client.Filter, limit int) (jobs []client.Job, more bool, err error) {
	jobs = []client.Job{}
	for _, id := range names {
		j, err := d.jobs.Show(cmd.Context(), id)
		if err != nil {
			return nil, false, err
		}
		jobs = append(jobs, j)
	}
	if len(names) > 0 {
		return jobs, false, nil
	}
	m := a.meter(cmd)
	defer m.stop()
	for j, err := range d.jobs.List(cmd.Context(), f, m.set) {
		if err != nil {
			return nil, false, err
		}
		if limit > 0 && len(jobs) == limit {
			return jobs, true, nil
		}
		jobs = append(jobs, j)
	}
	return jobs, false, nil
}

func printJobs(cmd *cobra.Command, jobs []client.Job, wide bool) error {
	head := []string{"JOB", "TYPE", "STATE", "ATTEMPTS", "ACTOR", "AGE", "REASON"}
	if wide {
		head = append(head, "QUEUED", "STARTED", "ENDED", "TIMEOUT", "CRASHES", "CALLER", "CONTEXT")
	}
	t := newTable(cmd.OutOrStdout(), head...)
	for _, j := range jobs {
		row := []string{j.ID, j.Type, j.State, fmt.Sprint(j.Attempts), j.Actor, since(j.QueuedAt), j.Reason}
		if wide {
			timeout := ""
			if j.Timeout > 0 {
				timeout = age(j.Timeout.Duration())
			}
			row = append(row, stampText(j.QueuedAt), stampText(j.StartedAt), stampText(j.FinishedAt), timeout, fmt.Sprint(j.Crashes), j.CallerID, j.ContextID)
		}
		t.row(row...)
	}
	return t.flush()
}
