package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"herosup/cmd/internal/state"
	"herosup/dispatch/client"
	"herosup/events"
)

// answerTimeout bounds a question to the daemon: it answers or refuses within
// that, whatever else is broken.
const answerTimeout = 5 * time.Second

// remote is the command line's connection to a running daemon, as operator.
type remote struct {
	folder *state.Folder
	run    state.Runtime
	bus    *events.Bus
	jobs   *client.Client
}

// running finds the folder and what its daemon told about itself; the error is
// errNoDaemon when there is none.
func (a *app) running() (*state.Folder, state.Runtime, error) {
	dir, err := a.folder()
	if err != nil {
		return nil, state.Runtime{}, err
	}
	f, err := state.Open(dir)
	if errors.Is(err, state.ErrNone) {
		return nil, state.Runtime{}, errNoDaemon(dir)
	}
	if err != nil {
		return nil, state.Runtime{}, err
	}
	pid, held := f.Holder()
	if !held {
		return f, state.Runtime{}, errNoDaemon(dir)
	}
	run, err := f.ReadRuntime()
	if err == nil && run.PID != pid { // of the daemon before
		err = fmt.Errorf("PID %d has state folder %s and is not ready", pid, f.Dir)
	}
	if err != nil {
		return f, state.Runtime{}, hinted(exitNoDaemon, err, "the daemon is still starting: try again in a second")
	}
	return f, run, nil
}

// connect opens the bus of the running daemon. The caller closes it.
func (a *app) connect(cmd *cobra.Command) (*remote, error) {
	f, run, err := a.running()
	if err != nil {
		return nil, err
	}
	return dial(cmd.Context(), f, run)
}

func dial(ctx context.Context, f *state.Folder, run state.Runtime) (*remote, error) {
	nc, err := dialBus(ctx, f, run)
	if err != nil {
		return nil, err
	}
	b, err := events.NewBus(nc, events.Config{Prefix: run.Prefix, Source: "herosup/" + f.ID + "/cli"})
	if err != nil {
		nc.Close()
		return nil, err
	}
	jobs, err := client.On(b)
	if err != nil {
		b.Close()
		return nil, err
	}
	return &remote{folder: f, run: run, bus: b, jobs: jobs}, nil
}

// dialBus connects. NATS's client does not hear that ctx ends: it is left behind then, and gives up by itself.
func dialBus(ctx context.Context, f *state.Folder, run state.Runtime) (*nats.Conn, error) {
	type dialed struct {
		nc  *nats.Conn
		err error
	}
	end := make(chan dialed, 1)
	go func() {
		within, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		nc, err := f.Dial(within, run, "herosup command")
		if err == nil && ctx.Err() != nil {
			nc.Close() // nobody waits for it
		}
		end <- dialed{nc, err}
	}()
	select {
	case d := <-end:
		if d.err != nil {
			return nil, hinted(exitFailed, d.err, "see `herosup doctor`, or the daemon's log")
		}
		return d.nc, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask sends a command and decodes its answer. A daemon holds the folder, so where
// nobody answers it is between two connections to a NATS server that was away: then
// nobody got the command either, and it is sent again until there is somebody.
func (d *remote) ask(ctx context.Context, e events.Event, out any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for {
		err := d.bus.Request(ctx, e, out)
		if !errors.Is(err, events.ErrNobody) || d.run.External == nil {
			return err
		}
		select {
		case <-time.After(answerTimeout / 100):
		case <-ctx.Done():
			return err
		}
	}
}

func (d *remote) close() { d.bus.Close() }
