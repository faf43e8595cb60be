package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"herosup/events"
	"herosup/monitor"
)

func (a *app) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "One page: is all well, and what does each pool do",
		Long:  "One page: is all well, and what does each pool do. Ends with status 3 when not all is well.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			var s monitor.Status
			if err := d.ask(cmd.Context(), events.SystemStatus{}, &s); err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), s)
			} else {
				err = d.printStatus(cmd, s)
			}
			if err == nil && !s.Well {
				return &exitError{status: exitUnwell}
			}
			return err
		},
	}
	a.outputFlag(c)
	return c
}

func (d *remote) printStatus(cmd *cobra.Command, s monitor.Status) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "herosup %s up %s   redis %s (%s)   zinit %s   backlog %d   oldest %s\n\n",
		d.run.Version, since(d.run.Started), s.Redis.State, d.run.RedisKind, s.Zinit.State, s.Backlog, age(s.OldestWait.Duration()))
	if err := printPoolTable(cmd, s.Pools); err != nil {
		return err
	}
	if len(s.Unserved) > 0 {
		fmt.Fprintln(out, "\nwaiting for a pool:")
		for _, u := range s.Unserved {
			fmt.Fprintf(out, "  %s: %d jobs, %s\n", oneLine(u.Type), u.Ready, oneLine(u.Reason))
		}
	}
	if len(s.Findings) > 0 {
		fmt.Fprintln(out, "\nnot well:")
		for _, f := range s.Findings {
			fmt.Fprintln(out, "  "+oneLine(f))
		}
	}
	return nil
}

func printPoolTable(cmd *cobra.Command, pools []monitor.Pool) error {
	t := newTable(cmd.OutOrStdout(), "POOL", "TYPE", "ACTORS", "BUSY", "IDLE", "BACKLOG", "OLDEST", "WHY")
	for _, p := range pools {
		oldest := ""
		if p.Backlog > 0 {
			oldest = age(p.OldestWait.Duration())
		}
		// The reason begins with the pool's name, which stands in the row already.
		why := strings.TrimPrefix(p.Reason, p.Name+" ")
		if p.Degraded != "" {
			why = oneLine(p.Degraded)
		}
		t.row(p.Name, p.Type, fmt.Sprintf("%d/%d (%d-%d)", p.Have, p.Want, p.Min, p.Max), fmt.Sprint(p.Busy), fmt.Sprint(p.Idle),
			fmt.Sprint(p.Backlog), oldest, why)
	}
	return t.flush()
}
