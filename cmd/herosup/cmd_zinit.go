package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"herosup/cmd/internal/state"
	"herosup/zinit"
	"herosup/zinit/server"
)

// zinitCommand talks to a process manager directly: it works without a daemon.
func (a *app) zinitCommand() *cobra.Command {
	var socket string
	c := &cobra.Command{
		Use: "zinit", Short: "Our process manager, and commands to any zinit",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.PersistentFlags().StringVar(&socket, "socket", "", "`path` of the zinit's socket (default: the one the state folder's daemon uses)")

	dial := func(cmd *cobra.Command) (*zinit.Client, error) {
		path, err := a.zinitSocket(socket)
		if err != nil {
			return nil, err
		}
		return zinit.Dial(cmd.Context(), path, zinit.Options{})
	}
	verb := func(use, short string, f func(ctx context.Context, z *zinit.Client, name string) error) *cobra.Command {
		return &cobra.Command{Use: use + " SERVICE", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			z, err := dial(cmd)
			if err != nil {
				return err
			}
			defer z.Close()
			return f(cmd.Context(), z, args[0])
		}}
	}
	c.AddCommand(a.zinitInitCommand(&socket), a.zinitKeepCommand(), a.zinitListCommand(dial), a.zinitStatusCommand(dial), a.zinitLogCommand(dial),
		verb("start", "Start a service", func(ctx context.Context, z *zinit.Client, n string) error { return z.Start(ctx, n) }),
		verb("stop", "Stop a service", func(ctx context.Context, z *zinit.Client, n string) error { return z.Stop(ctx, n) }),
		verb("monitor", "Take up a service file and start it", func(ctx context.Context, z *zinit.Client, n string) error { return z.Monitor(ctx, n) }),
		verb("forget", "Drop a stopped service", func(ctx context.Context, z *zinit.Client, n string) error { return z.Forget(ctx, n) }),
		&cobra.Command{Use: "kill SERVICE [SIGNAL]", Short: "Send a signal to a service's process group", Args: cobra.RangeArgs(1, 2), RunE: func(cmd *cobra.Command, args []string) error {
			z, err := dial(cmd)
			if err != nil {
				return err
			}
			defer z.Close()
			name := "SIGTERM"
			if len(args) == 2 {
				name = args[1]
			}
			if _, err := zinit.ParseSignal(name); err != nil {
				return usagef("%w", err)
			}
			return z.Kill(cmd.Context(), args[0], name)
		}},
		&cobra.Command{Use: "shutdown", Short: "Stop all services in reverse order, then the zinit", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			z, err := dial(cmd)
			if err != nil {
				return err
			}
			defer z.Close()
			return z.Shutdown(cmd.Context())
		}},
	)
	return c
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
	if err != nil {
		return "", hinted(exitNoDaemon, err, "name the socket with --socket")
	}
	return run.Zinit, nil
}

func (a *app) zinitInitCommand(socket *string) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "init --config DIR --socket PATH", Short: "Run our process manager in the foreground", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" || *socket == "" {
				return usagef("give --config and --socket")
			}
			log, err := a.logger(cmd, "info", "auto")
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if dir, err = filepath.Abs(dir); err != nil { // the keeper runs elsewhere
				return err
			}
			return server.Run(cmd.Context(), server.Config{
				Dir: dir, Socket: *socket, Log: log, Keeper: []string{self, "zinit", "keep", "--config", dir},
			})
		},
	}
	c.Flags().StringVar(&dir, "config", "", "`folder` of the service files")
	return c
}

// zinitKeepCommand is what a zinit of ours starts beside itself (server.Keep).
func (a *app) zinitKeepCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "keep --config DIR", Short: "Read the output of services while no zinit does", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger(cmd, "info", "text")
			if err != nil {
				return err
			}
			return server.Keep(cmd.Context(), dir, log)
		},
	}
	c.Flags().StringVar(&dir, "config", "", "`folder` of the service files")
	return c
}

func (a *app) zinitListCommand(dial func(*cobra.Command) (*zinit.Client, error)) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the services and their states", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			z, err := dial(cmd)
			if err != nil {
				return err
			}
			defer z.Close()
			list, err := z.List(cmd.Context())
			if err != nil {
				return err
			}
			names := make([]string, 0, len(list))
			for n := range list {
				names = append(names, n)
			}
			slices.Sort(names)
			if asJSON {
				type row struct {
					Name  string `json:"name"`
					State string `json:"state"`
				}
				rows := []row{}
				for _, n := range names {
					rows = append(rows, row{n, list[n].String()})
				}
				return printJSON(cmd.OutOrStdout(), rows)
			}
			t := newTable(cmd.OutOrStdout(), "SERVICE", "STATE")
			for _, n := range names {
				t.row(n, list[n].String())
			}
			return t.flush()
		},
	}
	a.outputFlag(c)
	return c
}

func (a *app) zinitStatusCommand(dial func(*cobra.Command) (*zinit.Client, error)) *cobra.Command {
	c := &cobra.Command{
		Use: "status SERVICE", Short: "One service: state, pid, target, dependencies", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			z, err := dial(cmd)
			if err != nil {
				return err
			}
			defer z.Close()
			s, err := z.Status(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), s)
		},
	}
	return c
}

func (a *app) zinitLogCommand(dial func(*cobra.Command) (*zinit.Client, error)) *cobra.Command {
	var snapshot bool
	c := &cobra.Command{
		Use: "log [SERVICE]", Short: "Print what services wrote, and follow", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			z, err := dial(cmd)
			if err != nil {
				return err
			}
			defer z.Close()
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return printLogs(cmd, z, name, !snapshot)
		},
	}
	c.Flags().BoolVarP(&snapshot, "snapshot", "s", false, "do not follow")
	return c
}

// printLogs prints the kept lines of a service ("" for all) and follows if asked.
func printLogs(cmd *cobra.Command, z *zinit.Client, name string, follow bool) error {
	lines, err := z.CurrentLogs(cmd.Context(), name)
	if err != nil {
		return err
	}
	for _, l := range lines {
		fmt.Fprintln(cmd.OutOrStdout(), oneLine(l))
	}
	if !follow {
		return nil
	}
	stream, err := z.SubscribeLogs(cmd.Context(), name)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		line, err := stream.Next(cmd.Context())
		if cmd.Context().Err() != nil {
			return nil // being interrupted is how following ends
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), oneLine(line))
	}
}
