package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"herosup/cmd/internal/state"
	"herosup/zinit"
)

// zinitDoor is what the commands to a process manager share: they talk to its
// socket themselves and so work without a daemon, and with any zinit.
type zinitDoor struct {
	*app
	socket string
}

// zinitCommand talks to a process manager directly.
func (a *app) zinitCommand() *cobra.Command {
	d := &zinitDoor{app: a}
	c := &cobra.Command{
		Use: "zinit", Short: "Our process manager, and commands to any zinit",
		Example: `  herosup zinit list                              the one that the daemon uses
  herosup zinit status web --socket /run/zinit.sock
  herosup zinit init --config services --socket zinit.sock   run ours`,
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.PersistentFlags().StringVar(&d.socket, "socket", "",
		"`path` of the zinit's socket (default: the one the state folder's daemon uses)")
	c.AddCommand(a.zinitInitCommand(&d.socket), a.zinitKeepCommand(),
		d.listCommand(), d.statusCommand(), d.statsCommand(), d.logCommand(), d.shutdownCommand())
	for _, v := range zinitVerbs() {
		c.AddCommand(d.verbCommand(v))
	}
	return c
}

// with runs f with a client, and puts a hint to what it fails with. patience
// bounds a stop or a shutdown; 0 is the client's default.
func (d *zinitDoor) with(cmd *cobra.Command, patience time.Duration, f func(context.Context, *zinit.Client) error) error {
	path, err := d.zinitSocket(d.socket)
	if err != nil {
		return err
	}
	z, err := zinit.Dial(cmd.Context(), path, zinit.Options{StopTimeout: patience})
	if err != nil {
		return zinitFault(err, "", nil)
	}
	defer z.Close()
	return f(cmd.Context(), z)
}

// zinitSocket is the socket meant: the one given, else the daemon's.
func (a *app) zinitSocket(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	dir, err := a.folder()
	if err != nil {
		return "", err
	}
	f, err := state.Open(dir)
	if err != nil {
		return "", hinted(exitNoDaemon, err, "name the socket with --socket")
	}
	run, err := f.ReadRuntime()
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("no daemon has run on state folder %s, whose zinit would be meant", f.Dir)
	}
	if err != nil {
		return "", hinted(exitNoDaemon, err, "name the socket with --socket")
	}
	return run.Zinit, nil
}
