package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"herosup/cmd/internal/daemon"
	"herosup/cmd/internal/state"
	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/server"
)

func (a *app) downCommand() *cobra.Command {
	var stopActors bool
	var deadline time.Duration
	c := &cobra.Command{
		Use:   "down",
		Short: "End the daemon; actors go on unless --stop-actors",
		Long: `Ends the daemon. Actors and the work they do go on; the next up finds them.

With --stop-actors each actor is stopped once it holds no job (or is killed after
--deadline), then the Redis and the zinit that up started. Data stay.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("deadline") && (deadline < 0 || !stopActors) {
				return usagef("--deadline %s: want a time, beside --stop-actors", deadline)
			}
			f, run, err := a.running()
			var e *exitError
			if errors.As(err, &e) && e.status == exitNoDaemon && f != nil && stopActors {
				return a.cleanUp(cmd, f)
			}
			if err != nil {
				return err
			}
			d, err := dial(cmd.Context(), f, run)
			if err != nil {
				return err
			}
			defer d.close()
			sub, err := d.bus.Subscribe(events.FactsOf("actor"))
			if err != nil {
				return err
			}
			if err := d.ask(cmd.Context(), events.SystemShutdown{StopActors: stopActors, Deadline: events.SecondsOf(deadline)}, nil); err != nil {
				return err
			}
			beat := time.NewTicker(20 * time.Millisecond)
			defer beat.Stop()
			for {
				select {
				case raw := <-sub.C:
					if m, err := sub.Open(raw); err == nil {
						if ch, ok := m.Event.(events.ActorStateChanged); ok && ch.To == "draining" {
							a.note(cmd, "stopping %s; a job it holds ends first", ch.Actor)
						}
					}
				case <-cmd.Context().Done():
					return hinted(exitInterrupted, cmd.Context().Err(), "the daemon goes on stopping")
				case <-beat.C:
					if pid, held := f.Holder(); !held || pid != run.PID {
						fmt.Fprintln(cmd.OutOrStdout(), "herosup is down")
						if stopActors && !held {
							return leftBehind(cmd.Context(), f, run)
						}
						return nil
					}
				}
			}
		},
	}
	c.Flags().BoolVar(&stopActors, "stop-actors", false, "also stop the actors, and the Redis and zinit that up started")
	c.Flags().DurationVar(&deadline, "deadline", 0, "with --stop-actors: kill actors whose job takes longer; 0 waits")
	return c
}

// cleanUp ends what a daemon that is gone left running.
func (a *app) cleanUp(cmd *cobra.Command, f *state.Folder) error {
	lock, err := f.Lock()
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the process ends now
	run, err := f.ReadRuntime()
	if err != nil {
		return errNoDaemon(f.Dir)
	}
	z, err := zinit.Dial(cmd.Context(), run.Zinit, zinit.Options{})
	if errors.Is(err, zinit.ErrNoServer) && run.OwnZinit {
		left, err := server.Survivors(f.Path("zinit"))
		if err != nil {
			return err
		}
		if len(left) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "nothing runs")
			return nil
		}
		self, err := f.KeepBinary()
		if err != nil {
			return err
		}
		if z, err = daemon.StartZinit(cmd.Context(), f, self); err != nil { // it adopts them
			return err
		}
	} else if err != nil {
		return err
	}
	defer z.Close()
	a.note(cmd, "no daemon runs; stopping what it left")
	if err := stopServices(cmd.Context(), f, z, run.OwnZinit); err != nil {
		return err
	}
	if err := f.RemoveSockets(); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "herosup is down")
	return nil
}

// leftBehind says what the daemon could not end: it has tried, and can not tell any
// more. So that is tried again; the error is nil when nothing of ours is there.
func leftBehind(ctx context.Context, f *state.Folder, run state.Runtime) error {
	z, err := zinit.Dial(ctx, run.Zinit, zinit.Options{})
	if errors.Is(err, zinit.ErrNoServer) && run.OwnZinit {
		return nil
	}
	if err != nil {
		return err
	}
	defer z.Close()
	return stopServices(ctx, f, z, run.OwnZinit)
}

// stopServices is the daemon's, with what to do about what stays.
func stopServices(ctx context.Context, f *state.Folder, z *zinit.Client, ours bool) error {
	err := daemon.StopServices(ctx, f, z, ours)
	if errors.Is(err, zinit.ProcessError) || errors.Is(err, zinit.DependencyError) {
		return hinted(exitFailed, err, "when that is settled: `herosup down --stop-actors` again")
	}
	return err
}
