package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// Children die with the thread that started them (the parent-death signal is about
// threads): they are started by main alone, and main stays on the first thread.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 2 && os.Args[1] == "as" {
		runtime.UnlockOSThread() // a role starts nothing, and a thread of its own costs it time
		err = runRole(ctx, os.Args[2], os.Args[3:])
	} else {
		err = run(ctx, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// options are what the command line says.
type options struct {
	rounds int
	scale  float64
	only   string
	peers  string
	redis  string
	tsv    string
	kills  int
	cache  string
	list   bool
}

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds of each measure")
	f.Float64Var(&o.scale, "scale", 1, "how many jobs, as a part of what the README's figures took")
	f.StringVar(&o.only, "only", "", "measures to run, by comma (see -list); all if empty")
	f.StringVar(&o.peers, "peers", "asynq,bullmq,raw", "peers to run, by comma")
	f.StringVar(&o.redis, "redis", "everysec", "persistence of Redis: everysec, always or none")
	f.StringVar(&o.tsv, "tsv", "", "also write every single value to this `file`, one a line")
	f.IntVar(&o.kills, "peers-kills", 3, "kills of a worker of each peer: each takes a minute or two")
	f.StringVar(&o.cache, "cache", "", "`folder` for BullMQ's packages (default: the user's cache folder)")
	f.BoolVar(&o.list, "list", false, "print the measures and end")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("argument %q: only flags are known (see -h)", f.Arg(0))
	}
	if o.rounds < 1 || o.rounds > 100 || o.scale <= 0 || o.scale > 10 {
		return fmt.Errorf("rounds %d, scale %g: want 1 to 100 rounds, and a scale above 0 and at most 10", o.rounds, o.scale)
	}
	all := measures()
	if o.list {
		for _, m := range all {
			fmt.Fprintf(os.Stdout, "%-12s %s\n", m.name, m.title)
		}
		return nil
	}
	chosen, err := choose(all, o.only)
	if err != nil {
		return err
	}
	e, err := newEnv(ctx, o)
	if err != nil {
		return err
	}
	defer e.close()
	return e.measure(ctx, chosen)
}

// choose picks measures by name, in the order of the list.
func choose(all []measure, only string) ([]measure, error) {
	if only == "" {
		return all, nil
	}
	want := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		want[strings.TrimSpace(name)] = true
	}
	var out []measure
	for _, m := range all {
		if want[m.name] {
			out = append(out, m)
			delete(want, m.name)
		}
	}
	for name := range want {
		return nil, fmt.Errorf("measure %q is not known (see -list)", name)
	}
	return out, nil
}
