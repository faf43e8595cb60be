package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"herosup/dispatch/schedule"
	"herosup/events"
)

func (a *app) scheduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "schedule add|rm|pause|resume", Short: "Periodic jobs: add, remove, pause, resume (see `get schedules`)",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(
		a.scheduleAdd(),
		a.scheduleVerb("rm", "Forget a schedule; jobs that it made go on", "removed", func(n string) events.Event { return events.ScheduleRemove{Schedule: n} }),
		a.scheduleVerb("pause", "Let a schedule's times pass until it is resumed", "paused", func(n string) events.Event { return events.SchedulePause{Schedule: n} }),
		a.scheduleVerb("resume", "Let a paused schedule fire again", "resumed", func(n string) events.Event { return events.ScheduleResume{Schedule: n} }),
	)
	return c
}

func (a *app) scheduleAdd() *cobra.Command {
	var j jobFlags
	e := events.ScheduleAdd{}
	c := &cobra.Command{
		Use:   "add NAME CRON TYPE [FILE|-]",
		Short: "Submit a script at each time of a cron line, or every so often",
		Long: `Submit a script at each time of a cron line, or every so often.

CRON is five fields (minute, hour, day of month, month, day of week), @hourly,
@daily, @weekly, @monthly or @yearly, or "@every 90s". Its times are those of
--timezone, UTC if it is not given. The job of a due time has the id
NAME-<unix seconds>; the same due time never makes two.`,
		Example: `  herosup schedule add nightly '0 3 * * *' bash backup.sh --timezone Europe/Berlin
  herosup schedule add beat '@every 10s' python -e 'print(1)' --missed skip`,
		Args: cobra.RangeArgs(3, 4),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("id") {
				return usagef("--id: each job of a schedule has an id of its own, %s", schedule.JobID(args[0], time.Now()))
			}
			script, o, err := j.read(cmd, args[2:])
			if err != nil {
				return err
			}
			e.Schedule, e.Cron, e.Type, e.Script, e.Headers = args[0], args[1], args[2], script, schedule.Headers(o.Header())
			d := schedule.FromAdd(e)
			if err := d.CheckNew(); err != nil {
				return &exitError{status: exitUsage, err: err, hint: hintOf(err)}
			}
			r, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer r.close()
			var v schedule.View
			if err := r.ask(cmd.Context(), e, &v); err != nil {
				return err
			}
			switch {
			case asJSON:
				err = printJSON(cmd.OutOrStdout(), v)
			case v.Paused:
				fmt.Fprintln(cmd.OutOrStdout(), v.Name, "paused")
			default:
				fmt.Fprintln(cmd.OutOrStdout(), v.Name, "next", v.Next.Format(time.RFC3339))
			}
			a.warnUnserved(cmd, r, v.Type)
			return err
		},
	}
	j.add(c)
	j.addInline(c)
	a.outputFlag(c)
	_ = c.Flags().MarkHidden("id") // it is refused; the flag says why
	_ = c.Flags().MarkHidden("after")
	f := c.Flags()
	f.StringVar(&e.Timezone, "timezone", "", "`zone` of the IANA database, such as Europe/Berlin (default UTC)")
	f.StringVar(&e.Missed, "missed", "", "times that passed with no daemon there: `once` makes one job for them, skip none (default once)")
	f.BoolVar(&e.Paused, "paused", false, "add it paused")
	f.BoolVar(&e.Replace, "replace", false, "take the place of a schedule of this name")
	return c
}

func (a *app) scheduleVerb(use, short, done string, of func(string) events.Event) *cobra.Command {
	c := &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			var v schedule.View
			if err := d.ask(cmd.Context(), of(args[0]), &v); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			fmt.Fprintln(cmd.OutOrStdout(), args[0], done)
			return nil
		},
	}
	a.outputFlag(c)
	return c
}

func (a *app) getSchedules() *cobra.Command {
	c := &cobra.Command{
		Use: "schedules", Short: "List the schedules and when each fires next", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.list(cmd, func(d *remote, asJSON bool) error {
				list := []schedule.View{}
				if err := d.ask(cmd.Context(), events.ScheduleList{}, &list); err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), list)
				}
				return printSchedules(cmd.OutOrStdout(), list, time.Now())
			})
		},
	}
	a.outputFlag(c)
	return c
}

func printSchedules(w io.Writer, list []schedule.View, now time.Time) error {
	t := newTable(w, "SCHEDULE", "CRON", "TIMEZONE", "TYPE", "NEXT", "IN", "LAST JOB", "FIRED", "MISSED", "STATE")
	for _, v := range list {
		next, in, state := "", "", "active"
		switch {
		case v.Fault != "":
			state = v.Fault
		case v.Paused:
			state = "paused"
		default:
			next, in = v.Next.Format("2006-01-02 15:04:05"), age(max(0, v.Next.Sub(now)))
		}
		t.row(v.Name, v.Cron, v.Timezone, v.Type, next, in, v.LastJob, fmt.Sprint(v.Fired), fmt.Sprint(v.MissedCount), state)
	}
	return t.flush()
}
