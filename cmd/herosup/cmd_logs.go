package main

import (
	"errors"

	"github.com/spf13/cobra"

	"herosup/cmd/internal/state"
	"herosup/events"
	"herosup/zinit"
)

// logsCommand asks the process manager itself, so it works while the daemon is
// down: that is when one wants to read them.
func (a *app) logsCommand() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use: "logs ACTOR", Short: "What an actor wrote to its output", Args: cobra.ExactArgs(1),
		Example: "  herosup logs bash_1\n  herosup logs -f bash_1",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := events.CheckToken("actor", args[0]); err != nil {
				return usagef("%w", err)
			}
			dir, err := a.folder()
			if err != nil {
				return err
			}
			f, err := state.Open(dir)
			if err != nil {
				return errNoDaemon(dir)
			}
			run, err := f.ReadRuntime()
			if err != nil {
				return errNoDaemon(dir)
			}
			z, err := zinit.Dial(cmd.Context(), run.Zinit, zinit.Options{})
			if errors.Is(err, zinit.ErrNoServer) {
				return hinted(exitNoDaemon, err, "what actors wrote is the zinit's to tell: start it with `herosup up`")
			}
			if err != nil {
				return err
			}
			defer z.Close()
			lines := 0
			err = printLogs(cmd, z, f.Service(args[0]), follow, func(cmd *cobra.Command, line string) error {
				lines++
				return lineAsText(cmd, line)
			})
			if err == nil && lines == 0 {
				a.note(cmd, "nothing is there of %s; `herosup get actors` has the names", args[0])
			}
			return err
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on as it writes")
	return c
}
