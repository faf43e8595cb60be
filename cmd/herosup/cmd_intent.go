package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"herosup/events"
	"herosup/monitor"
)

// intent is a command to actors: one by name, those of a pool, or all.
type intent struct {
	use, short string
	of         func(actor string, deadline events.Seconds) events.Event
	// done is the state that ends the wait; "" waits for nothing.
	done []string
	// replaced: the wait is for another process in the place of the one that there is.
	replaced bool
	// deadline adds --deadline.
	deadline bool
}

// works are the states of an actor that takes jobs.
var works = []string{"idle", "running", "pinging"}

func (a *app) startCommand() *cobra.Command {
	return a.intentCommand(intent{
		use: "start", short: "Start an actor", done: works,
		of: func(n string, _ events.Seconds) events.Event { return events.ActorStart{Actor: n} },
	})
}

func (a *app) stopCommand() *cobra.Command {
	return a.intentCommand(intent{
		use: "stop", short: "Stop an actor once it holds no job", done: []string{"stopped"}, deadline: true,
		of: func(n string, d events.Seconds) events.Event {
			return events.ActorStop{Actor: n, Deadline: d, Reason: "asked for by command"}
		},
	})
}

func (a *app) restartCommand() *cobra.Command {
	return a.intentCommand(intent{
		use: "restart", short: "Replace an actor's process, as it is configured now, once it holds no job",
		done: works, replaced: true, deadline: true,
		of: func(n string, d events.Seconds) events.Event {
			return events.ActorRestart{Actor: n, Deadline: d, Reason: "asked for by command"}
		},
	})
}

func (a *app) pingCommand() *cobra.Command {
	return a.intentCommand(intent{
		use: "ping", short: "Ask an idle actor for a sign of life",
		of: func(n string, _ events.Seconds) events.Event { return events.ActorPing{Actor: n} },
	})
}

func (a *app) resetCommand() *cobra.Command {
	return a.intentCommand(intent{
		use: "reset", short: "Let a quarantined actor start again",
		of: func(n string, _ events.Seconds) events.Event { return events.ActorReset{Actor: n} },
	})
}

// intended is what became of it for one actor, also as -o json has it.
type intended struct {
	Actor string `json:"actor"`
	State string `json:"state,omitempty"`
	// Already: it was so.
	Already bool       `json:"already,omitempty"`
	Error   *lineError `json:"error,omitempty"`
}

func (x intended) print(out io.Writer) {
	word := x.State
	if x.Already {
		word = "already " + word
	}
	fmt.Fprintln(out, x.Actor, word)
}

func (a *app) intentCommand(i intent) *cobra.Command {
	var pool string
	var all, wait bool
	var deadline, timeout time.Duration
	c := &cobra.Command{
		Use: i.use + " ACTOR...", Short: i.short,
		Example: fmt.Sprintf("  herosup %s bash_1\n  herosup %s --pool bash\n  herosup %s --all", i.use, i.use, i.use),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			if deadline < 0 {
				return usagef("--deadline %s: want a time, or 0", deadline)
			}
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			names, err := d.targets(cmd.Context(), args, pool, all)
			if err != nil {
				return err
			}
			if len(names) == 0 {
				a.note(cmd, "there is no such actor; nothing to do")
			}
			waiting, answered, refused := func(context.Context) error { return nil }, func(string, string, time.Time) {}, func(string) {}
			switch {
			case wait && i.replaced:
				w, err := d.expectOthers(cmd.Context(), names)
				if err != nil {
					return err
				}
				defer w.close()
				waiting, answered, refused = w.wait, w.answered, w.refused
			case wait && i.done != nil:
				w, err := d.expectStates(i.done)
				if err != nil {
					return err
				}
				defer w.close()
				waiting, answered = w.wait, w.answered
			}
			list, faults := []intended{}, []error(nil)
			for _, n := range names {
				taken := struct {
					*intended
					At time.Time `json:"at"`
				}{intended: &intended{Actor: n}}
				err := d.ask(cmd.Context(), i.of(n, events.SecondsOf(deadline)), &taken)
				x := *taken.intended
				var refusal *events.Refusal
				switch {
				case errors.As(err, &refusal):
					x = intended{Actor: n, Error: &lineError{Code: refusal.Code, Reason: refusal.Reason, Hint: refusal.Hint}}
				case err != nil:
					return err
				case !asJSON:
					x.print(cmd.OutOrStdout())
				}
				if err != nil {
					faults = append(faults, err)
					refused(n)
				} else {
					answered(n, x.State, taken.At)
				}
				list = append(list, x)
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), list); err != nil {
					return err
				}
			}
			if wait { // for those that were taken
				ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
				defer cancel()
				if err := waiting(ctx); err != nil {
					faults = append(faults, err)
				}
			}
			return errors.Join(faults...)
		},
	}
	a.outputFlag(c)
	c.Flags().StringVar(&pool, "pool", "", "all actors of this `pool`")
	c.Flags().BoolVar(&all, "all", false, "all actors")
	if i.deadline {
		c.Flags().DurationVar(&deadline, "deadline", 0, "kill it if its job takes longer than this; 0 waits for the job")
	}
	if i.done != nil {
		c.Flags().BoolVar(&wait, "wait", false, "wait until it is so")
		c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait with --wait")
	}
	return c
}

// targets are the actors meant: by name, by pool, or all that exist.
func (d *remote) targets(ctx context.Context, args []string, pool string, all bool) ([]string, error) {
	given := 0
	for _, g := range []bool{len(args) > 0, pool != "", all} {
		if g {
			given++
		}
	}
	if given != 1 {
		return nil, usagef("name actors, or give --pool or --all")
	}
	if len(args) > 0 {
		return args, nil
	}
	list, err := d.actors(ctx, pool)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, x := range list {
		names = append(names, x.Name)
	}
	return names, nil
}

func (d *remote) actors(ctx context.Context, pool string) ([]monitor.Actor, error) {
	var list []monitor.Actor
	return list, d.ask(ctx, events.ActorList{Pool: pool}, &list)
}
