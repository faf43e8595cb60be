package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kballard/go-shellquote"
	"github.com/spf13/cobra"

	"herosup/cmd/internal/demo"
	"herosup/cmd/internal/redisd"
	"herosup/dispatch/actor"
	"herosup/dispatch/runner"
	"herosup/dispatch/store"
)

// actorFlags are what every actor of ours is started with.
type actorFlags struct {
	id, jobType, redisURL, prefix string
	types                         map[string]int // several, by weight; nil: jobType alone
	concurrency                   int
	healthCheck                   bool
}

func (f *actorFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.id, "actor-id", "", "the actor's `name`")
	c.Flags().StringVar(&f.redisURL, "redis-url", "redis://127.0.0.1:6379/0", "Redis; a password comes by "+actor.PasswordEnv)
	c.Flags().StringVar(&f.prefix, "prefix", "", "first part of every Redis key (default: "+actor.PrefixEnv+", else hero)")
	c.Flags().IntVar(&f.concurrency, "concurrency", 1, fmt.Sprintf("how many jobs to run at a time, 1 to %d", store.MaxSlots))
	c.Flags().BoolVar(&f.healthCheck, "health-check", false, "end with 0 if an actor could work from here")
}

// open connects to Redis.
func (f *actorFlags) open(cmd *cobra.Command, a *app) (*store.Store, error) {
	if err := redisd.CheckURL(f.redisURL); err != nil {
		return nil, usagef("%w", err)
	}
	log, err := a.logger(cmd, "info", "auto")
	if err != nil {
		return nil, err
	}
	set, err := actor.ReadSettings(os.Getenv)
	if err != nil {
		return nil, usagef("%w", err)
	}
	set.Prefix = cmp.Or(f.prefix, set.Prefix)
	return store.Open(set.Store(f.redisURL, f.id, os.Getenv), log)
}

// run is an actor with the handler and what goes with it in cfg.
func (f *actorFlags) run(cmd *cobra.Command, a *app, cfg actor.Config) error {
	s, err := f.open(cmd, a)
	if err != nil {
		return err
	}
	defer s.Close()
	log, err := a.logger(cmd, "info", "auto")
	if err != nil {
		return err
	}
	cfg.Store, cfg.Name, cfg.Type, cfg.Types, cfg.Concurrency, cfg.Log = s, f.id, f.jobType, f.types, f.concurrency, log.With("actor", f.id)
	return actor.Run(cmd.Context(), cfg)
}

func (a *app) actorCommand() *cobra.Command {
	var f actorFlags
	var interpreter string
	var grace time.Duration
	var original bool
	c := &cobra.Command{
		Use:   "actor --actor-id NAME --type TYPE [--hero -- PROGRAM ARG...]",
		Short: "Be an actor: run each job's script through an interpreter",
		Long: `Takes jobs of one type, or of several in turns, from Redis and gives each script to
an interpreter, on its standard input or, where an argument is {script.EXT}, in a file. The script sees
CALLER_ID, CONTEXT_ID, HERO_JOB_ID and HERO_ATTEMPT (in Rhai the first two, as
constants), and of the actor's environment what ` + actor.PassEnv + ` names: a pool's env. This is what pools run that name no command of their own.

With --hero it gives jobs to a program of the original Hero protocol, which takes them
with BLPOP from a private Redis; {redis} in its arguments stands for the URL of that.`,
		Example: "  herosup actor --actor-id lua_1 --type lua --interpreter 'lua -'\n  herosup actor --actor-id v_1 --type v --interpreter '/opt/v/v run {script.v}'",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case original && len(args) == 0:
				return usagef("--hero needs a program: herosup actor ... --hero -- PROGRAM ARG...")
			case original && interpreter != "":
				return usagef("--interpreter and --hero exclude each other: the program runs the scripts")
			case !original && len(args) > 0:
				return usagef("unknown argument %q (a program goes behind --hero --)", args[0])
			}
			if f.healthCheck {
				s, err := f.open(cmd, a)
				if err != nil {
					return err
				}
				defer s.Close()
				ctx, cancel := context.WithTimeout(cmd.Context(), answerTimeout)
				defer cancel()
				return actor.HealthCheck(ctx, s)
			}
			if f.id == "" || f.jobType == "" {
				return usagef("give --actor-id and --type")
			}
			var err error
			if f.jobType, f.types, err = actor.ReadTypes(f.jobType); err != nil {
				return usagef("--type: %w", err)
			}
			if original && len(f.types) > 1 {
				return usagef("--hero takes one type: its program waits on one list")
			}
			if f.concurrency < 1 || f.concurrency > store.MaxSlots {
				return usagef("--concurrency %d: want 1 to %d", f.concurrency, store.MaxSlots)
			}
			if original {
				return f.runOriginal(cmd, a, args, grace)
			}
			log, err := a.logger(cmd, "info", "auto")
			if err != nil {
				return err
			}
			out := os.Stdout
			if err := runner.CheckLog(out); err != nil {
				out = nil
				log.Warn("of a long output only the first and the last part are kept", "actor", f.id, "err", err)
			}
			h, able, err := f.handler(interpreter, grace, out)
			if err != nil {
				return err
			}
			return f.run(cmd, a, actor.Config{Handler: h, Able: able})
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.jobType, "type", "", "script `type` whose jobs it takes; several, with weights, as python:2,bash:1")
	c.Flags().StringVar(&interpreter, "interpreter", "", "`command` that runs a script, from its standard input or {script.EXT} (default: the one known for the type)")
	c.Flags().BoolVar(&original, "hero", false, "give jobs to the program behind --, which speaks the original protocol")
	c.Flags().DurationVar(&grace, "grace", 0, "time from TERM to KILL of a script (default 5s)")
	return c
}

// handler runs each job with the interpreter given, or with the one known for its type. able looks for them, where they may be by
// now: one that is missing is the pool's condition, and an actor of it waits.
func (f *actorFlags) handler(interpreter string, grace time.Duration, log *os.File) (h actor.Handler, able func() error, err error) {
	set, err := actor.ReadSettings(os.Getenv)
	if err != nil {
		return nil, nil, usagef("%w", err)
	}
	env := set.ScriptEnv(os.Getenv)
	words, err := shellquote.Split(interpreter)
	if err != nil || interpreter != "" && len(words) == 0 {
		return nil, nil, usagef("--interpreter %q can not be split into words", interpreter)
	}
	for t := range f.types {
		if interpreter == "" && runner.Name(t) == "" {
			return nil, nil, hinted(exitUsage, usagef("no interpreter for type %s is known", t), actorHint(t))
		}
	}
	var byType atomic.Pointer[map[string]actor.Handler]
	able = func() error {
		found := map[string]actor.Handler{}
		for t := range f.types {
			argv := words
			if interpreter == "" {
				if argv, err = runner.FindOn(os.Getenv("PATH"), t); err != nil {
					return fmt.Errorf("%w; %s", err, actorHint(t))
				}
			}
			h, err := actor.ScriptHandler(actor.ScriptConfig{Interpreter: argv, Env: env, Grace: grace, Log: log})
			if err != nil {
				return err
			}
			found[t] = h
		}
		byType.Store(&found)
		return nil
	}
	return func(ctx context.Context, j actor.Job) actor.Outcome { return (*byType.Load())[j.Type](ctx, j) }, able, nil
}

func actorHint(jobType string) string {
	if get := runner.Hint(jobType); get != "" {
		return get + ", or give one with --interpreter"
	}
	return "give one with --interpreter; known types: " + strings.Join(runner.Types(), " ")
}

// demoActorCommand is the demonstration's Go program.
func (a *app) demoActorCommand() *cobra.Command {
	f := actorFlags{jobType: demo.GoType}
	c := &cobra.Command{
		Use: "demo-actor", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, a, actor.Config{Handler: demo.Handle(begun)})
		},
	}
	f.add(c)
	return c
}
