package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"herosup/dispatch"
	"herosup/dispatch/client"
)

// How many jobs are acted on side by side. The daemon takes cancels that come together as one, and removals.
const (
	atOnce         = 16
	togetherAtOnce = 400
)

// treatment is something that is done to jobs: one by one, or to all of a filter.
type treatment struct {
	verb, done, short, long string
	do                      func(c *client.Client, ctx context.Context, id string) error
	atOnce                  int
	// states are those that the jobs may be in; what a filter without a state means.
	states []string
}

func (a *app) cancelCommand() *cobra.Command {
	return a.treatmentCommand(treatment{
		verb: "cancel", done: "cancelled", short: "End jobs that have not ended",
		long:   "A job that waits is taken out, one that runs is ended. One that has ended is left as it is.",
		atOnce: togetherAtOnce,
		// What would take the place of a cancelled one goes first.
		states: []string{dispatch.StateDelayed, dispatch.StateBlocked, dispatch.StateWaiting, dispatch.StateRunning},
		do: func(c *client.Client, ctx context.Context, id string) error {
			_, err := c.Cancel(ctx, id)
			return err
		},
	})
}

func (a *app) retryCommand() *cobra.Command {
	return a.treatmentCommand(treatment{
		verb: "retry", done: "retried", short: "Queue dead or failed jobs again",
		long:   "The job runs again under its id, its retries and crashes counted from zero, its history kept.",
		atOnce: atOnce,
		states: []string{dispatch.StateDead},
		do: func(c *client.Client, ctx context.Context, id string) error {
			_, err := c.Retry(ctx, id)
			return err
		},
	})
}

func (a *app) removeCommand() *cobra.Command {
	return a.treatmentCommand(treatment{
		verb: "rm", done: "removed", short: "Forget ended jobs: record, result, place in the dead list",
		long:   "A job that has not ended is refused: cancel it first.",
		atOnce: togetherAtOnce,
		states: nil, // it must be said
		do:     func(c *client.Client, ctx context.Context, id string) error { return c.Remove(ctx, id) },
	})
}

func (a *app) treatmentCommand(t treatment) *cobra.Command {
	var f filterFlags
	var all, yes bool
	c := &cobra.Command{
		Use: t.verb + " JOB... | --state STATE ...", Short: t.short,
		Long: t.long + `

Jobs are named, or meant by the flags of ` + "`get jobs`" + `: then their number is asked
first (--yes for scripts).`,
		Example: fmt.Sprintf("  herosup %[1]s 01K9XQ4T6ZB3M8Q0V5S7R2D1AE\n  herosup %[1]s --state %[2]s --type bash --older-than 1h", t.verb, exampleState(t)),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			if err := f.check(cmd); err != nil {
				return err
			}
			bulk := f.given() || all
			switch {
			case bulk == (len(args) > 0):
				return usagef("name jobs, or say which by --state, --type, --older-than, --newer-than, --text or --all")
			case bulk && f.State == "" && t.states == nil:
				return hinted(exitUsage, fmt.Errorf("%s: the state of the jobs is not said", t.verb), "for example --state dead")
			}
			d, err := a.connect(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			turns := [][]string{args}
			if bulk {
				if turns, err = a.meant(cmd, d, t, f); err != nil {
					return err
				}
				if n := len(slices.Concat(turns...)); n == 0 {
					a.note(cmd, "there are no such jobs; nothing to do")
				} else if err := a.confirm(cmd, yes, fmt.Sprintf("%s %d %s?", t.verb, n, f.words(n))); err != nil {
					return err
				}
			}
			return a.treat(cmd, d, t, turns, asJSON)
		},
	}
	f.add(a, c)
	a.outputFlag(c)
	c.Flags().BoolVar(&all, "all", false, "all jobs of the state")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

func exampleState(t treatment) string {
	if len(t.states) > 1 {
		return dispatch.StateWaiting
	}
	return dispatch.StateDead
}

// meant are the ids of all jobs of a filter: found first, acted on later, one state after the other.
func (a *app) meant(cmd *cobra.Command, d *remote, t treatment, f filterFlags) (turns [][]string, err error) {
	states := t.states
	if f.State != "" {
		states = []string{f.State}
	}
	m := a.meter(cmd)
	defer m.stop()
	for _, state := range states {
		f.State = state
		var ids []string
		for j, err := range d.jobs.List(cmd.Context(), f.Filter, m.set) {
			if err != nil {
				return nil, err
			}
			ids = append(ids, j.ID)
		}
		turns = append(turns, ids)
	}
	return turns, nil
}

// confirm asks a person; nobody there is a no that says how to say yes.
func (a *app) confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !isatty.IsTerminal(in.Fd()) {
		return hinted(exitUsage, fmt.Errorf("%s Nobody is here to ask", question), "give --yes")
	}
	fmt.Fprint(cmd.ErrOrStderr(), question, " [y/N] ")
	answer := make(chan string, 1)
	go func() { // a read of a terminal can not be interrupted; the process ends soon
		line, _ := bufio.NewReader(in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return &exitError{status: exitFailed, err: errors.New("nothing was done")}
	case <-cmd.Context().Done():
		return context.Cause(cmd.Context())
	}
}

// treated is what -o json says of a job.
type treated struct {
	Job string `json:"job"`
	// Done is "cancelled", "retried" or "removed"; absent when it was refused.
	Done  string     `json:"done,omitempty"`
	Error *lineError `json:"error,omitempty"`
}

// treat acts on each job and tells what became of it. A turn begins when the one before it is over.
func (a *app) treat(cmd *cobra.Command, d *remote, t treatment, turns [][]string, asJSON bool) error {
	ids := slices.Concat(turns...)
	r := &treatmentReport{out: cmd.OutOrStdout(), asJSON: asJSON, done: t.done, one: len(ids) == 1, list: []treated{}}
	r.meter = a.meter(cmd)
	begun := time.Now()
	var err error
	for _, turn := range turns {
		g, ctx := errgroup.WithContext(cmd.Context())
		g.SetLimit(t.atOnce)
		for _, id := range turn {
			if ctx.Err() != nil {
				break
			}
			g.Go(func() error { return r.tell(id, t.do(d.jobs, ctx, id)) })
		}
		if err = g.Wait(); err != nil {
			break
		}
	}
	r.meter.stop()
	if out := r.finish(); err == nil {
		err = out
	}
	counts := fmt.Sprintf("%d %s, %d refused", r.good, t.done, r.bad)
	switch {
	case cmd.Context().Err() != nil:
		return hinted(exitInterrupted, fmt.Errorf("interrupted: %s of %d", counts, len(ids)), "the same command goes on with the rest")
	case err != nil:
		return fmt.Errorf("%w (%s of %d)", err, counts, len(ids))
	case len(ids) == 1 && r.bad == 1:
		return r.first
	case r.bad > 0:
		return &exitError{status: exitFailed, err: errors.New(counts), hint: hintOf(r.first)}
	}
	if len(ids) > 1 {
		a.note(cmd, "%s in %s", counts, age(time.Since(begun)))
	}
	return nil
}

// treatmentReport writes down what became of each job.
type treatmentReport struct {
	out    io.Writer
	asJSON bool
	done   string
	one    bool // job: why it is refused is the command's error
	meter  *meter

	mu        sync.Mutex
	list      []treated
	good, bad int
	first     error // refusal
}

// tell takes one outcome; the error ends the whole command.
func (r *treatmentReport) tell(id string, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var refusal *client.Refusal
	switch {
	case err == nil:
		r.good++
		r.add(treated{Job: id, Done: r.done})
	case errors.As(err, &refusal) && refusal.Status != http.StatusServiceUnavailable:
		r.bad++
		if r.first == nil {
			r.first = err
		}
		r.add(treated{Job: id, Error: &lineError{Code: refusal.Code, Reason: refusal.Reason, Hint: refusal.Hint}})
	default:
		return err
	}
	r.meter.set(r.good + r.bad)
	return nil
}

func (r *treatmentReport) add(t treated) {
	switch {
	case r.asJSON:
		r.list = append(r.list, t)
	case t.Error == nil:
		fmt.Fprintln(r.out, t.Job, t.Done)
	case r.bad <= namedLines && !r.one:
		r.meter.say(oneLine(t.Job + ": " + t.Error.Reason))
	}
}

func (r *treatmentReport) finish() error {
	if !r.asJSON {
		return nil
	}
	enc := json.NewEncoder(r.out)
	enc.SetIndent("", "  ")
	return enc.Encode(r.list)
}
