package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
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
				if _, starting := f.Holder(); !starting {
					return a.cleanUp(cmd, f)
				}
			}
			if err != nil {
				return err
			}
			d, err := dial(cmd.Context(), f, run)
			if err != nil && run.External != nil {
				// It hears commands by that server alone. A signal it hears as well.
				return hinted(exitFailed, err, fmt.Sprintf("start that server, or `kill %d`: the daemon ends, actors go on; "+
					"`herosup down --stop-actors` behind it ends them as well, without waiting for their jobs", run.PID))
			}
			if err != nil {
				return err
			}
			defer d.close()
			sub, err := d.bus.Subscribe(events.FactsOf("actor"))
			if err != nil {
				return err
			}
			// One that somebody else has ended meanwhile does not answer, and is down as well.
			asked, answered := make(chan error, 1), false
			var fault error
			var late <-chan time.Time // nil: no end to the wait
			go func() {
				asked <- d.ask(cmd.Context(), events.SystemShutdown{StopActors: stopActors, Deadline: events.SecondsOf(deadline)}, nil)
			}()
			beat := time.NewTicker(20 * time.Millisecond)
			defer beat.Stop()
			for {
				select {
				case fault = <-asked:
					answered = fault == nil
					if errors.Is(fault, events.ErrNobody) { // it has closed its ears, and ends in a moment
						late = time.After(answerTimeout)
					} else if pid, held := f.Holder(); fault != nil && held && pid == run.PID {
						return fault
					}
				case <-late:
					return fault
				case raw := <-sub.C:
					if m, err := sub.Open(raw); err == nil {
						if ch, ok := m.Event.(events.ActorStateChanged); ok && ch.To == "draining" {
							a.note(cmd, "stopping %s; a job it holds ends first", ch.Actor)
						}
					}
				case <-cmd.Context().Done():
					if !answered {
						return cmd.Context().Err()
					}
					return hinted(exitInterrupted, cmd.Context().Err(), "the daemon goes on stopping")
				case <-beat.C:
					if pid, held := f.Holder(); !held || pid != run.PID {
						fmt.Fprintln(cmd.OutOrStdout(), "herosup is down")
						if stopActors && !held {
							return a.leftBehind(cmd, f, run)
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
	first := errors.Is(err, os.ErrNotExist)
	if first { // one that was killed in its first start may have started ours, and Redis
		run = state.Runtime{Zinit: f.Socket("zinit"), OwnZinit: true}
	} else if err != nil {
		return errNoDaemon(f.Dir)
	}
	z, err := dialZinit(cmd.Context(), run.Zinit)
	switch {
	case errors.Is(err, zinit.ErrNoServer) && run.OwnZinit:
		left, err := server.Survivors(f.Path("zinit"))
		if err != nil {
			return err
		}
		if len(left) == 0 && first {
			return errNoDaemon(f.Dir)
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
	case errors.Is(err, zinit.ErrNoServer):
		a.note(cmd, "no daemon runs; ending what it left")
		if err := a.endMarked(cmd, f, run); err != nil {
			return err
		}
		return a.isDown(cmd, f)
	case err != nil:
		return err
	}
	defer z.Close()
	a.note(cmd, "no daemon runs; stopping what it left")
	if err := stopServices(cmd.Context(), f, z, run.OwnZinit); err != nil {
		return err
	}
	return a.isDown(cmd, f)
}

// isDown is the end of a clean-up.
func (a *app) isDown(cmd *cobra.Command, f *state.Folder) error {
	if err := f.RemoveSockets(); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "herosup is down")
	return nil
}

// goneTries bounds how often a zinit is asked again that ends in the middle of the question: one that
// was killed a moment ago still takes connections.
const goneTries = 20

func dialZinit(ctx context.Context, socket string) (*zinit.Client, error) {
	for try := 1; ; try++ {
		z, err := zinit.Dial(ctx, socket, zinit.Options{})
		if !errors.Is(err, zinit.ErrUnanswered) || try == goneTries {
			return z, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// endMarked ends by their marks the actors of a zinit that nobody started here and that does not answer.
func (a *app) endMarked(cmd *cobra.Command, f *state.Folder, run state.Runtime) error {
	ended, err := daemon.EndMarked(cmd.Context(), f)
	seen := map[string][]string{}
	for _, l := range ended {
		seen[l.Service] = append(seen[l.Service], strconv.Itoa(l.Process.PID))
	}
	for _, service := range slices.Sorted(maps.Keys(seen)) {
		fmt.Fprintf(cmd.OutOrStdout(), "ended %s, which carried our mark (PID %s)\n", strings.TrimPrefix(service, f.ServicePrefix()), strings.Join(seen[service], " "))
	}
	a.note(cmd, "no zinit answers at %s: our services stay known to it, and it may start them when it is back; `herosup down --stop-actors` removes them then", run.Zinit)
	return err
}

// leftBehind says what the daemon could not end: it has tried, and can not tell any
// more. So that is tried again; the error is nil when nothing of ours is there. What
// another daemon, which began meanwhile, has there is its own.
func (a *app) leftBehind(cmd *cobra.Command, f *state.Folder, run state.Runtime) error {
	lock, err := f.Lock()
	if held, is := errors.AsType[*state.HeldError](err); is {
		a.note(cmd, "another daemon has begun meanwhile (PID %d): what runs now is left to it", held.PID)
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the process ends now
	z, err := dialZinit(cmd.Context(), run.Zinit)
	switch {
	case errors.Is(err, zinit.ErrNoServer) && run.OwnZinit:
		return nil
	case errors.Is(err, zinit.ErrNoServer):
		return a.endMarked(cmd, f, run)
	case err != nil:
		return err
	}
	defer z.Close()
	return stopServices(cmd.Context(), f, z, run.OwnZinit)
}

// stopServices is the daemon's, with what to do about what stays.
func stopServices(ctx context.Context, f *state.Folder, z *zinit.Client, ours bool) error {
	err := daemon.StopServices(ctx, f, z, ours)
	if errors.Is(err, zinit.ProcessError) || errors.Is(err, zinit.DependencyError) {
		return hinted(exitFailed, err, "when that is settled: `herosup down --stop-actors` again")
	}
	return err
}
