package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/redisd"
	"herosup/cmd/internal/state"
	"herosup/dispatch/store"
	"herosup/events"
	"herosup/zinit"
)

// Options say which daemon to run.
type Options struct {
	Config  config.Config
	Folder  *state.Folder
	Version string
	Log     *slog.Logger
	// Say gets one line for the person at the terminal, now and then.
	Say func(string)
	// Poll, if set, is the pace of every poll; nothing depends on one for being
	// right, which tests show with an hour.
	Poll time.Duration
	// Ready, if set, is called once when every component is ready.
	Ready func(state.Runtime)
}

const (
	// readyTimeout bounds the wait for one component at the start.
	readyTimeout = 15 * time.Second
	// stopTimeout bounds the wait for one component at the end.
	stopTimeout = 10 * time.Second
)

// Daemon is one running daemon.
type Daemon struct {
	cfg    config.Config
	folder *state.Folder
	log    *slog.Logger
	say    func(string)
	self   string // the kept copy of our program

	zinit    *zinit.Client
	socket   string
	ownZinit bool
	// startedZinit: this start brought it up.
	startedZinit bool
	redis        redisd.Choice
	store        *store.Store
	poll         time.Duration
	nats         server
	parts        []*part
	ended        chan *part // those that ended unasked; as large as there are parts
}

// Run is the whole life of a daemon: it returns when ctx ends, a shutdown was
// asked for, or a component failed. The error is a *state.HeldError when the
// folder has a daemon already.
func Run(ctx context.Context, o Options) error {
	d := &Daemon{cfg: o.Config, folder: o.Folder, log: o.Log, say: o.Say, poll: o.Poll, ended: make(chan *part, 8)}
	if d.say == nil {
		d.say = func(string) {}
	}
	lock, err := o.Folder.Lock()
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the lock ends with the process at the latest
	if err := d.start(ctx, o); err != nil {
		d.stopParts()
		if d.nats != nil {
			d.nats.Stop()
		}
		return errors.Join(err, d.undo(ctx))
	}
	return d.serve(ctx, o)
}

// undo ends what a start that failed has started. A process manager that ran
// before, and what it keeps, is left as it was found.
func (d *Daemon) undo(ctx context.Context) error {
	if !d.startedZinit {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return StopServices(ctx, d.folder, d.zinit, true)
}

// start goes from the ground up.
func (d *Daemon) start(ctx context.Context, o Options) (err error) {
	if d.self, err = d.folder.KeepBinary(); err != nil {
		return err
	}
	if d.zinit, d.socket, d.ownZinit, err = d.findZinit(ctx); err != nil {
		return err
	}
	if d.redis, err = d.startRedis(ctx, d.zinit); err != nil {
		return err
	}
	d.say(fmt.Sprintf("redis: %s (%s)", redisd.Public(d.redis.URL), d.redis.Means))
	if err := d.startBus(ctx); err != nil {
		return err
	}
	speaks, err := d.zinit.Dialect(ctx)
	if err != nil {
		return err
	}
	d.say(fmt.Sprintf("zinit: %s (%s%s); bus: %s", d.socket, map[bool]string{true: "ours, "}[d.ownZinit], speaks, d.nats.URL()))
	return d.startParts(ctx)
}

// serve is the time between start and end.
func (d *Daemon) serve(ctx context.Context, o Options) error {
	bus, err := d.nats.Connect("daemon")
	if err != nil {
		return err
	}
	defer bus.Close()
	defer d.nats.Stop()
	defer d.stopParts()
	svc, err := bus.Serve(events.ServiceConfig{
		Name: "daemon", Description: "ends the daemon", Patterns: []events.Pattern{events.Of(events.SystemShutdown{})},
	})
	if err != nil {
		return err
	}
	run := state.Runtime{
		PID: os.Getpid(), Started: time.Now().UTC(), Version: o.Version, NATS: d.nats.URL(), External: d.external(), Prefix: bus.Prefix(),
		Zinit: d.socket, OwnZinit: d.ownZinit, Redis: redisd.Public(d.redis.URL), RedisKind: string(d.redis.Kind),
	}
	if err := d.folder.WriteRuntime(run); err != nil {
		return err
	}
	if err := bus.Publish(events.SystemStarted{PID: run.PID, Version: o.Version, State: d.folder.Dir}); err != nil {
		return err
	}
	d.say(fmt.Sprintf("up: PID %d, state %s, pools %s", run.PID, d.folder.Dir, d.poolNames()))
	if o.Ready != nil {
		o.Ready(run)
	}
	for {
		select {
		case <-ctx.Done():
			d.say("going down; actors go on (herosup down --stop-actors ends them)")
			return bus.Publish(events.SystemStopping{Reason: "signal"})
		case p := <-d.ended:
			return fmt.Errorf("%s ended: %w", p.name, p.err)
		case m := <-svc.C:
			e, ok := m.Event.(events.SystemShutdown)
			if !ok {
				continue
			}
			if err := m.Respond(map[string]any{"pid": run.PID}); err != nil {
				d.log.Warn("answer shutdown", "err", err)
			}
			if err := bus.Publish(events.SystemStopping{StopActors: e.StopActors, Reason: "asked for by command"}, events.CausedBy(m)); err != nil {
				return err
			}
			if !e.StopActors {
				d.say("going down; actors go on")
				return nil
			}
			return d.shutdown(ctx, bus, e.Deadline.Duration())
		}
	}
}

// shutdown ends everything we started, jobs first.
func (d *Daemon) shutdown(ctx context.Context, bus *events.Bus, deadline time.Duration) error {
	// First those who would start what we stop, and make work meanwhile.
	d.stopPart("schedule")
	d.stopPart("scaler")
	drained := d.drain(ctx, bus, deadline)
	d.stopParts()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := errors.Join(drained, StopServices(ctx, d.folder, d.zinit, d.ownZinit)); err != nil {
		return err
	}
	d.say("actors, Redis and zinit have ended; data stay")
	return nil
}
