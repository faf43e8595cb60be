package actor

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"herosup/dispatch/store"
)

// Serve is Run for a program that is a pool's command: it takes what cfg leaves empty from the program's arguments
// (args, without its name) and its environment, opens Redis, and works until ctx ends or TERM or an interrupt comes.
// So main is
//
//	err := actor.Serve(context.Background(), os.Args[1:], actor.Config{Handler: handle})
//
// and os.Exit(1) with a line on standard error if that is not nil. Arguments are those that a pool gives when its
// configuration names none, --redis-url and --actor-id; --type if it is not to be the pool's; and --health-check,
// which only looks whether an actor could work from here. Arguments of the program's own are for it to take out.
// cfg.Store has to be nil; cfg.Log nil is slog.Default. It reads the environment: Settings.
func Serve(ctx context.Context, args []string, cfg Config) error {
	set, err := ReadSettings(os.Getenv)
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("actor", flag.ContinueOnError)
	url := flags.String("redis-url", "", "Redis; a password comes by "+PasswordEnv)
	flags.StringVar(&cfg.Name, "actor-id", cfg.Name, "the actor's `name`")
	flags.Func("type", "script `type` whose jobs it takes; several, with weights, as python:2,bash:1", set.readTypes)
	check := flags.Bool("health-check", false, "end with 0 if an actor could work from here")
	flags.SetOutput(io.Discard) // the error says it
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	case *url == "":
		return errors.New("give --redis-url (a pool's {redis})")
	case cfg.Store != nil:
		return errors.New("serve: the store is opened here, leave Config.Store nil")
	}
	if cfg.Type == "" && cfg.Types == nil {
		cfg.Type, cfg.Types = set.Type, set.Types
	}
	cfg.Concurrency = cmp.Or(cfg.Concurrency, set.Concurrency)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	if cfg.Store, err = store.Open(set.Store(*url, cfg.Name, os.Getenv), cfg.Log); err != nil {
		return err
	}
	defer cfg.Store.Close()
	if *check {
		return HealthCheck(ctx, cfg.Store)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	return Run(ctx, cfg)
}
