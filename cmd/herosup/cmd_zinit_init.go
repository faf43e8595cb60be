package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"herosup/zinit/server"
)

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
