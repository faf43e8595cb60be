package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"herosup/zinit"
)

func (d *zinitDoor) listCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the services and their states", Args: cobra.NoArgs,
		Example: "  herosup zinit list\n  herosup zinit list -o json --socket /run/zinit.sock",
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := d.json()
			if err != nil {
				return err
			}
			return d.with(cmd, 0, func(ctx context.Context, z *zinit.Client) error {
				list, err := z.List(ctx)
				if err != nil {
					return zinitFault(err, "", nil)
				}
				return d.printList(cmd, list, asJSON)
			})
		},
	}
	d.outputFlag(c)
	return c
}

func (d *zinitDoor) printList(cmd *cobra.Command, list map[string]zinit.State, asJSON bool) error {
	type row struct {
		Name  string `json:"name"`
		State string `json:"state"`
	}
	rows := []row{}
	for _, n := range slices.Sorted(maps.Keys(list)) {
		rows = append(rows, row{n, list[n].String()})
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), rows)
	}
	if len(rows) == 0 {
		d.note(cmd, "this zinit monitors no service")
		return nil
	}
	t := newTable(cmd.OutOrStdout(), "SERVICE", "STATE")
	for _, r := range rows {
		t.row(r.Name, r.State)
	}
	return t.flush()
}

func (d *zinitDoor) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "status SERVICE", Short: "One service: state, pid, target, dependencies", Args: cobra.ExactArgs(1),
		Example: "  herosup zinit status web\n  herosup zinit status web -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := d.json()
			if err != nil {
				return err
			}
			return d.with(cmd, 0, func(ctx context.Context, z *zinit.Client) error {
				s, err := z.Status(ctx, args[0])
				if err != nil {
					return refusedBy(ctx, z, err, args[0])
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), s)
				}
				return printZinitStatus(cmd.OutOrStdout(), s)
			})
		},
	}
	d.outputFlag(c)
	return c
}

func printZinitStatus(w io.Writer, s zinit.Status) error {
	t := newTable(w, "name", s.Name)
	t.row("state", s.State.String())
	pid := ""
	if s.PID != 0 {
		pid = strconv.Itoa(s.PID)
	}
	t.row("pid", pid)
	t.row("target", string(s.Target))
	for _, n := range slices.Sorted(maps.Keys(s.After)) {
		t.row("after", n+": "+s.After[n].String())
	}
	if s.Last != nil {
		end := s.Last.State.String()
		if s.Last.OutOfMemory {
			end += ", out of memory"
		}
		t.row("last end", end)
	}
	if s.Unmet != "" {
		t.row("unmet", s.Unmet)
	}
	return t.flush()
}

func (d *zinitDoor) statsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "stats SERVICE", Short: "What a service and its children use", Args: cobra.ExactArgs(1),
		Long:    "What a service and its children use: memory (resident) and processor time, measured while you wait.",
		Example: "  herosup zinit stats web\n  herosup zinit stats web -o json     memory in bytes, processor in percent of one",
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := d.json()
			if err != nil {
				return err
			}
			return d.with(cmd, 0, func(ctx context.Context, z *zinit.Client) error {
				s, err := z.Stats(ctx, args[0])
				if err != nil {
					return refusedBy(ctx, z, err, args[0])
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), s)
				}
				t := newTable(cmd.OutOrStdout(), "PID", "MEMORY", "CPU", "WHAT")
				for i, u := range append([]zinit.Usage{s.Usage}, s.Children...) {
					what := "child"
					if i == 0 {
						what = s.Name
					}
					t.row(strconv.Itoa(u.PID), fmt.Sprintf("%.1f MiB", float64(u.Memory)/(1<<20)),
						fmt.Sprintf("%.1f %%", u.CPU), what)
				}
				return t.flush()
			})
		},
	}
	d.outputFlag(c)
	return c
}
