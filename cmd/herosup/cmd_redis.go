package main

import (
	"github.com/spf13/cobra"

	"herosup/cmd/internal/redisd"
)

func (a *app) redisCommand() *cobra.Command {
	var socket string
	c := &cobra.Command{
		Use: "redis", Short: "Run the embedded Redis (a service of `up`)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if socket == "" {
				return usagef("no --socket given")
			}
			return redisd.Serve(cmd.Context(), socket)
		},
	}
	c.Flags().StringVar(&socket, "socket", "", "`path` of the unix socket")
	return c
}
