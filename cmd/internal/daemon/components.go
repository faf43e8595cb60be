package daemon

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/redisd"
	"herosup/dispatch"
	"herosup/dispatch/actor"
	"herosup/dispatch/runner"
	"herosup/dispatch/schedule"
	"herosup/dispatch/store"
	"herosup/events"
	"herosup/fsm"
	"herosup/monitor"
	"herosup/scaler"
	"herosup/zinit"
)

// stopMargin is how much longer the keeper waits for a stop than the process
// manager does between TERM and KILL.
const stopMargin = 5 * time.Second

// startParts starts the components in the order of their needs.
func (d *Daemon) startParts(ctx context.Context) error {
	templates, err := d.templates(ctx)
	if err != nil {
		return err
	}
	s, err := store.Open(d.storeOptions(), d.log.With("component", "store"))
	if err != nil {
		return fmt.Errorf("redis %s: %w", redisd.Public(d.redis.URL), err)
	}
	d.store = s
	if err := d.startPart(ctx, "monitor", func(b *events.Bus) (component, error) {
		return monitor.New(d.monitorConfig(), b, d.log.With("component", "monitor"))
	}); err != nil {
		return err
	}
	if err := d.startPart(ctx, "zinit", func(b *events.Bus) (component, error) {
		return zinit.NewExecutor(d.executorConfig(templates), b, d.log.With("component", "zinit"))
	}); err != nil {
		return err
	}
	if d.ownZinit {
		if err := d.startPart(ctx, "zinit-revival", func(b *events.Bus) (component, error) {
			return newReviver(d.reviveZinit, b, d.log.With("component", "zinit-revival")), nil
		}); err != nil {
			return err
		}
	}
	if d.external() != nil {
		if err := d.startPart(ctx, "log-watch", func(b *events.Bus) (component, error) {
			return newLogWatch(b, d.log.With("component", "log-watch")), nil
		}); err != nil {
			return err
		}
	}
	if d.redis.Kind != redisd.Given {
		if err := d.startPart(ctx, "redis-socket", func(*events.Bus) (component, error) {
			return newSocketWatch(d.folder.Socket("redis"), d.restartRedis, d.log.With("component", "redis-socket")), nil
		}); err != nil {
			return err
		}
	}
	if err := d.startPart(ctx, "fsm", func(b *events.Bus) (component, error) {
		return fsm.New(d.keeperConfig(), b, d.log.With("component", "fsm"))
	}); err != nil {
		return err
	}
	if err := d.observe(ctx); err != nil {
		return err
	}
	if err := d.startPart(ctx, "dispatch", func(b *events.Bus) (component, error) {
		return dispatch.New(d.dispatchConfig(s), b, d.log.With("component", "dispatch"))
	}); err != nil {
		return err
	}
	if err := d.startPart(ctx, "scaler", func(b *events.Bus) (component, error) {
		return scaler.New(d.scalerConfig(), b, d.log.With("component", "scaler"))
	}); err != nil {
		return err
	}
	// Behind the scaler, which must not miss what it says, and before SystemStarted, which lets the scaler decide.
	if err := d.startPart(ctx, "interpreters", func(b *events.Bus) (component, error) {
		return newInterpreters(d.cfg.Pools, d.poll, b, d.log.With("component", "interpreters")), nil
	}); err != nil {
		return err
	}
	// Last: what it fires at once, all others are there for.
	return d.startPart(ctx, "schedule", func(b *events.Bus) (component, error) {
		var defs []schedule.Definition
		for _, s := range d.cfg.Schedules {
			defs = append(defs, s.Definition())
		}
		return schedule.New(schedule.Config{Definitions: defs}, b, d.log.With("component", "schedule"))
	})
}

func (d *Daemon) storeOptions() store.Options {
	j := d.cfg.Jobs
	return store.Options{
		URL: d.redis.URL, Prefix: d.cfg.Redis.Prefix, MaxPriorityWait: j.MaxPriorityWait,
		RetryBase: j.RetryBackoff[0], RetryCap: j.RetryBackoff[1], DeadMost: j.DeadMost, DeadAge: j.DeadAge,
		Done: j.KeepMost, Keep: j.KeepAge, KeepResult: j.KeepResult,
	}
}

// observe has the executor tell all processes before dispatch tells what they
// do: the keeper must know a life before it hears of its hello and its job.
func (d *Daemon) observe(ctx context.Context) error {
	b, err := d.nats.Connect("daemon")
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return b.Request(ctx, events.ObserveProcesses{Node: events.LocalNode, Reason: "start"}, nil)
}

// templates say how each pool's actors are run.
func (d *Daemon) templates(ctx context.Context) (map[string]zinit.Template, error) {
	all := map[string]zinit.Template{}
	for name, p := range d.cfg.Pools {
		argv, env, err := d.command(name, p)
		if err != nil {
			return nil, err
		}
		ext, err := d.extension(ctx, name, p, argv[0])
		if err != nil {
			return nil, err
		}
		all[name] = zinit.Template{
			Exec: argv, Env: env, Dir: p.Dir, After: p.After, StopTimeout: p.StopTimeout, Extension: ext,
		}
	}
	return all, nil
}

// command is the argument list and environment of a pool's actors.
func (d *Daemon) command(name string, p config.Pool) ([]string, map[string]string, error) {
	url, secret := d.redisForActors()
	// The interpreter is looked for where this daemon looks, whatever PATH the process manager has.
	env := map[string]string{"PATH": os.Getenv("PATH")}
	maps.Copy(env, secret)
	maps.Copy(env, p.Env)
	maps.Copy(env, d.actorSettings(p).Env())
	concurrency := strconv.Itoa(p.Concurrency)
	types := actor.WriteTypes(p.Type, p.Types)
	put := strings.NewReplacer("{redis}", url, "{type}", p.Type, "{types}", types, "{concurrency}", concurrency) // {actor} is the executor's
	ours := []string{d.self, "actor", "--actor-id", "{actor}", "--type", types, "--redis-url", url}
	if p.Concurrency > 1 {
		ours = append(ours, "--concurrency", concurrency)
	}
	if p.Command != "" {
		words, err := shellquote.Split(p.Command)
		if err != nil || len(words) == 0 {
			return nil, nil, fmt.Errorf("pools.%s.command: %q can not be split into words: %w", name, p.Command, err)
		}
		if p.Args == nil {
			p.Args = []string{"--redis-url", "{redis}", "--actor-id", "{actor}"}
		}
		if p.Hero() { // {redis} is a private one, which the actor makes
			put = strings.NewReplacer("{type}", p.Type, "{concurrency}", concurrency)
		}
		for _, a := range p.Args {
			words = append(words, put.Replace(a))
		}
		if p.Hero() {
			return slices.Concat(ours, []string{"--hero", "--"}, words), env, nil
		}
		return words, env, nil
	}
	argv := ours
	switch {
	case p.Interpreter != "":
		argv = append(argv, "--interpreter", p.Interpreter)
	default:
		for _, t := range p.Serves() {
			if runner.Name(t) == "" {
				return nil, nil, fmt.Errorf("pools.%s: no interpreter is known for type %q (set interpreter or command; known types: %s)",
					name, t, strings.Join(runner.Types(), " "))
			}
		}
	}
	return argv, env, nil
}

// actorSettings are what stands in the scripts that an actor sends, and how many jobs it may have.
func (d *Daemon) actorSettings(p config.Pool) actor.Settings {
	j := d.cfg.Jobs
	return actor.Settings{
		Type: p.Type, Types: p.Types, Concurrency: p.Concurrency, Prefix: d.cfg.Redis.Prefix,
		RetryBackoff: [2]time.Duration(j.RetryBackoff), DeadMost: j.DeadMost, DeadAge: j.DeadAge,
		KeepMost: j.KeepMost, KeepAge: j.KeepAge, KeepResult: j.KeepResult,
		Pass: passed(p.Env),
	}
}

// passed are the variables of a pool's env that its scripts see: all but the actor's own passwords.
func passed(env map[string]string) []string {
	names := slices.Sorted(maps.Keys(env))
	return slices.DeleteFunc(names, func(n string) bool { return n == actor.PasswordEnv || n == actor.SentinelPasswordEnv })
}

// redisForActors is the URL that may stand in an argument list, which every user
// of the machine can read; a password goes through the environment.
func (d *Daemon) redisForActors() (url string, env map[string]string) {
	return redisd.Split(d.redis.URL)
}

func (d *Daemon) executorConfig(templates map[string]zinit.Template) zinit.ExecutorConfig {
	return zinit.ExecutorConfig{
		Client: d.zinit, Prefix: d.folder.ServicePrefix(), Folder: d.folder.Dir, Pools: templates, PollEvery: d.poll,
	}
}

func (d *Daemon) keeperConfig() fsm.Config {
	c := fsm.Config{Pools: map[string]fsm.PoolConfig{}}
	for name, p := range d.cfg.Pools {
		c.Pools[name] = fsm.PoolConfig{
			Max: *p.Max, StartTimeout: p.StartTimeout, StopTimeout: p.StopTimeout + stopMargin,
			Backoff:   fsm.BackoffConfig{Min: p.Restart.Backoff[0], Max: p.Restart.Backoff[1]},
			CrashLoop: fsm.CrashLimit{Exits: p.Restart.CrashLoop.Exits, Within: p.Restart.CrashLoop.Within},
		}
	}
	return c
}

func (d *Daemon) scalerConfig() scaler.Config {
	var c scaler.Config
	for name, p := range d.cfg.Pools {
		policy := scaler.DefaultPolicy()
		policy.Min, policy.Max, policy.TargetBacklog, policy.Activation = p.Min, *p.Max, p.TargetBacklog, p.Activation
		policy.IdleTimeout, policy.StartTimeout = p.IdleTimeout, p.StartTimeout
		c.Pools = append(c.Pools, scaler.Pool{Name: name, Types: p.Serves(), Policy: policy})
	}
	return c
}

func (d *Daemon) dispatchConfig(s *store.Store) dispatch.Config {
	j := d.cfg.Jobs
	c := dispatch.Config{
		Store: s, State: d.folder.ID, MaxCrashes: j.MaxCrashes, CancelGrace: j.CancelGrace, WatchAfter: j.WatchdogAfter,
		DeadMost: j.DeadMost, DeadAge: j.DeadAge, Defaults: d.cfg.Defaults(),
	}
	if d.poll > 0 {
		c.SweepEvery, c.MeasureEvery, c.LookEvery, c.PingEvery = d.poll, d.poll, d.poll, d.poll
	}
	for name, p := range d.cfg.Pools {
		c.Pools = append(c.Pools, dispatch.Pool{Name: name, Types: p.Serves()})
	}
	return c
}

func (d *Daemon) monitorConfig() monitor.Config {
	var c monitor.Config
	for name, p := range d.cfg.Pools {
		c.Pools = append(c.Pools, monitor.PoolConfig{
			Name: name, Types: p.Serves(), Min: p.Min, Max: *p.Max, Concurrency: p.Concurrency,
			Health: monitor.Health{PingEvery: p.Health.PingEvery, PingTimeout: p.Health.PingTimeout, PingLost: p.Health.PingLost},
		})
	}
	return c
}
