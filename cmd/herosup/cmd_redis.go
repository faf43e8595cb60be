package main

import (
	"github.com/spf13/cobra"

	"herosup/cmd/internal/redisd"
)

func (a *app) redisCommand() *cobra.Command {
	var socket, guard string
	c := &cobra.Command{
		Use: "redis", Short: "Run the embedded Redis, or one as the only one of its folder (a service of `up`)", Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case guard != "" && len(args) > 0:
				return redisd.Guard(guard, args)
			case socket == "" || len(args) > 0:
				return usagef("give --socket, or --guard and a command")
			}
			return redisd.Serve(cmd.Context(), socket)
		},
	}
	c.Flags().StringVar(&socket, "socket", "", "`path` of the unix socket")
	c.Flags().StringVar(&guard, "guard", "", "`folder` that the Redis of the command has to have for itself")
	return c
}
