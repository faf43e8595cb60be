package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/redisd"
	"herosup/cmd/internal/state"
	"herosup/dispatch/store"
	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/wire"
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
	// moved are the services that the zinit at from had, which another daemon used.
	moved []string
	from  string
	// startedZinit: this start brought it up.
	startedZinit bool
	// found are the services of ours that a zinit which ran before had.
	found []string
	redis redisd.Choice
	store *store.Store
	poll  time.Duration
	nats  server
	parts []*part
	ended chan *part // those that ended unasked; as large as there are parts
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
// before, and what it had, is left as it was found; and so is what ours has
// adopted, from one that was killed, with the one that has adopted it.
func (d *Daemon) undo(ctx context.Context) error {
	if d.zinit == nil {
		return nil
	}
	ctx, cancel := d.timeToStop(ctx)
	defer cancel()
	names, adopted, err := d.begun(ctx)
	if err != nil {
		return err
	}
	err = endServices(ctx, d.folder, d.zinit, names, func(n string) bool { return slices.Contains(names, n) })
	if err != nil || len(adopted) > 0 || !d.startedZinit {
		return err
	}
	return endZinit(ctx, d.folder, d.zinit)
}

// begun are the services that this start has brought up, and those whose process is
// older than the process manager that it has started.
func (d *Daemon) begun(ctx context.Context) (names, adopted []string, err error) {
	all, err := services(ctx, d.folder, d.zinit)
	if err != nil {
		return nil, nil, err
	}
	if !d.startedZinit {
		return slices.DeleteFunc(all, func(n string) bool { return slices.Contains(d.found, n) }), nil, nil
	}
	pid, err := wire.PeerPID(d.socket)
	if err != nil {
		return nil, nil, err
	}
	manager, err := events.IncarnationOf(pid)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range all {
		st, err := d.zinit.Status(ctx, n)
		if errors.Is(err, zinit.ServiceNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		life, err := events.IncarnationOf(st.PID)
		if err == nil && life.Start < manager.Start {
			adopted = append(adopted, n)
			continue
		}
		names = append(names, n)
	}
	return names, adopted, nil
}

// timeToStop bounds the end of all services: a minute beyond what the slowest pool may take.
func (d *Daemon) timeToStop(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), d.longestStop())
}

func (d *Daemon) longestStop() time.Duration {
	most := time.Minute
	for _, p := range d.cfg.Pools {
		most = max(most, time.Minute+p.StopTimeout)
	}
	return most
}

// start goes from the ground up.
func (d *Daemon) start(ctx context.Context, o Options) (err error) {
	if d.self, err = d.folder.KeepBinary(); err != nil {
		return err
	}
	z, socket, own, err := d.findZinit(ctx)
	if err != nil {
		return err
	}
	if !d.startedZinit {
		if d.found, err = services(ctx, d.folder, z); err != nil {
			return err // without d.zinit: undo can not tell what was there before
		}
	}
	d.zinit, d.socket, d.ownZinit = z, socket, own
	speaks, err := d.zinit.Dialect(ctx)
	if err != nil {
		return err
	}
	if err := d.prove(ctx); err != nil {
		return err
	}
	if err := d.startBus(ctx); err != nil {
		return err
	}
	if err := d.leaveFormer(ctx); err != nil {
		return err
	}
	if err := d.startRedis(ctx); err != nil {
		return err
	}
	d.say(fmt.Sprintf("redis: %s (%s)", redisd.Public(d.redis.URL), d.redis.Means))
	d.say(fmt.Sprintf("zinit: %s (%s%s); bus: %s", d.socket, map[bool]string{true: "ours, "}[d.ownZinit], speaks, d.nats.URL()))
	return d.startParts(ctx)
}

// prove refuses what can be refused before anything is stopped or started for it: no actor is to end for a
// configuration that can not be.
func (d *Daemon) prove(ctx context.Context) (err error) {
	if d.redis, err = d.chooseRedis(ctx); err != nil {
		return err
	}
	templates, err := d.templates(ctx)
	if err != nil {
		return err
	}
	_, err = zinit.NewExecutor(d.executorConfig(templates), nil, nil)
	return err
}

// serve is the time between start and end.
func (d *Daemon) serve(ctx context.Context, o Options) error {
	bus, err := d.nats.Connect("daemon")
	if err != nil {
		return err
	}
	defer d.nats.Stop()
	defer bus.Close() // before the server, which has to hear the rest
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
	if err := bus.Publish(events.SystemStarted{PID: run.PID, Version: o.Version, State: d.folder.Dir, Moved: d.moved, From: d.from}); err != nil {
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
			return d.shutdown(ctx, bus, svc, e.Deadline.Duration())
		}
	}
}

// shutdown ends everything we started, jobs first.
func (d *Daemon) shutdown(ctx context.Context, bus *events.Bus, svc *events.Service, deadline time.Duration) error {
	again := make(chan time.Duration)
	over := make(chan struct{})
	defer close(over)
	go d.answerAgain(svc, again, over)
	// First those who would start what we stop, and make work meanwhile.
	d.stopPart("schedule")
	d.stopPart("scaler")
	drained := d.drain(ctx, bus, deadline, again)
	d.stopParts()
	ctx, cancel := d.timeToStop(ctx)
	defer cancel()
	if err := errors.Join(drained, StopServices(ctx, d.folder, d.zinit, d.ownZinit)); err != nil {
		return err
	}
	d.say("actors, Redis and zinit have ended; data stay")
	return nil
}

// answerAgain answers those who ask for a shutdown during one, until over: they wait for its end, too. A deadline that one of
// them gives is passed on.
func (d *Daemon) answerAgain(svc *events.Service, again chan<- time.Duration, over <-chan struct{}) {
	var deadline time.Duration
	var pass chan<- time.Duration // nil: there is none
	for {
		select {
		case <-over:
			return
		case pass <- deadline:
			pass = nil
		case m := <-svc.C:
			e, ok := m.Event.(events.SystemShutdown)
			if !ok {
				continue
			}
			if err := m.Respond(map[string]any{"pid": os.Getpid()}); err != nil {
				d.log.Warn("answer shutdown", "err", err)
			}
			if e.StopActors && e.Deadline > 0 {
				deadline, pass = e.Deadline.Duration(), again
			}
		}
	}
}
