package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"herosup/cmd/internal/demo"
	"herosup/dispatch/runner"
)

// begun is read when the program's own packages are set up: the demo's measure
// of an actor's first instruction.
var begun = time.Now()

func (a *app) demoCommand() *cobra.Command {
	var redisURL, zinitSocket string
	c := &cobra.Command{
		Use:   "demo",
		Short: "See it work: actors from zero up and back, one killed, nothing lost",
		Long: `Runs a daemon of its own in a temporary folder: three pools, a few hundred jobs,
one actor killed in the middle of a job, one idle actor pinged. Leaves nothing
behind. Ends with status 1 if a job was lost.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			if redisURL == "" {
				redisURL = os.Getenv("REDIS_URL")
			}
			log := slog.New(slog.DiscardHandler)
			if a.logLevel != "" {
				if log, err = a.logger(cmd, a.logLevel, "auto"); err != nil {
					return err
				}
			}
			story := cmd.ErrOrStderr() // with -o json
			if a.quiet {
				story = io.Discard
			}
			out, isFile := fileBehind(cmd.OutOrStdout())
			_, err = demo.Run(cmd.Context(), demo.Options{
				Out: cmd.OutOrStdout(), Err: story, Live: isFile && isatty.IsTerminal(out.Fd()) && !asJSON, JSON: asJSON,
				RedisURL: redisURL, Zinit: zinitSocket, Version: version(), Find: runner.Find, Log: log,
			})
			if errors.Is(err, demo.ErrLost) {
				return hinted(exitFailed, err, "run it again with --log-level debug")
			}
			return err
		},
	}
	a.outputFlag(c)
	c.Flags().StringVar(&redisURL, "redis-url", "", "Redis to use (REDIS_URL; default: the one there is)")
	c.Flags().StringVar(&zinitSocket, "zinit-socket", "", "zinit to use, by its socket's `path` (default: one of its own)")
	return c
}
