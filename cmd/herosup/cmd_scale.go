package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"herosup/events"
)

func (a *app) scaleCommand() *cobra.Command {
	var during time.Duration
	c := &cobra.Command{
		Use:   "scale POOL N|auto",
		Short: "Fix a pool's size, or let the scaler decide again",
		Example: `  herosup scale bash 3             for one hour
  herosup scale bash 3 --for 10m
  herosup scale bash auto`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if during < 0 {
				return usagef("--for %s: want a time, or 0 for the default", during)
			}
			e := events.PoolScale{Pool: args[0], Count: -1, For: events.SecondsOf(during)}
			if args[1] != "auto" {
				n, err := strconv.Atoi(args[1])
				if err != nil || n < 0 {
					return usagef("size %q: want a number of 0 or more, or auto", args[1])
				}
				e.Count = n
			}
			return a.tellPool(cmd, e)
		},
	}
	a.outputFlag(c)
	c.Flags().DurationVar(&during, "for", 0, "how long the size stays fixed (default 1h)")
	return c
}

func (a *app) pauseCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "pause POOL", Short: "Neither grow nor shrink a pool until it is resumed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.tellPool(cmd, events.PoolPause{Pool: args[0]}) },
	}
	a.outputFlag(c)
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "resume POOL", Short: "Let a paused pool scale again", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.tellPool(cmd, events.PoolResume{Pool: args[0]})
		},
	}
	a.outputFlag(c)
	return c
}

// tellPool prints the answer as JSON, or what was asked for in words.
func (a *app) tellPool(cmd *cobra.Command, e events.Event) error {
	asJSON, err := a.json()
	if err != nil {
		return err
	}
	d, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer d.close()
	var answer json.RawMessage
	if err := d.ask(cmd.Context(), e, &answer); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), answer)
	}
	switch e := e.(type) {
	case events.PoolScale:
		if e.Count < 0 {
			fmt.Fprintln(cmd.OutOrStdout(), e.Pool, "auto")
		} else {
			fmt.Fprintln(cmd.OutOrStdout(), e.Pool, e.Count)
		}
	case events.PoolPause:
		fmt.Fprintln(cmd.OutOrStdout(), e.Pool, "paused")
	case events.PoolResume:
		fmt.Fprintln(cmd.OutOrStdout(), e.Pool, "resumed")
	}
	return nil
}
