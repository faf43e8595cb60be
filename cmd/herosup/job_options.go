package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"herosup/dispatch"
	"herosup/dispatch/client"
	"herosup/events"
)

// jobFlags are the options of submit and run.
type jobFlags struct {
	opt     client.Options
	timeout time.Duration
	retries int
	result  time.Duration
	env     []string
	after   []string
	startBy string
	inline  string
}

func (j *jobFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&j.opt.ID, "id", "", "the job's `id`; the same id again is the same job (default: a new ULID)")
	f.DurationVar(&j.timeout, "timeout", 0, "end the script after this long; 0 for none (default: as the pool or jobs has it, else none)")
	f.DurationVar(&j.opt.Delay, "delay", 0, "not before this long from now")
	f.IntVar(&j.retries, "retries", 0, "how often a failed attempt is made anew (default: as the pool or jobs has it, else 0)")
	f.DurationVar(&j.result, "keep-result", 0, "how long its result may be asked for; 0 for none but to who waits (default: as jobs has it)")
	f.IntVar(&j.opt.Priority, "priority", 0, "-10 to 10; a higher one goes first")
	f.StringVar(&j.startBy, "start-by", "", "end it unrun if it has not begun by `then`: 10m, or 2026-01-02T15:04:05Z")
	f.StringArrayVar(&j.after, "after", nil, "`JOB` that must have finished before; JOB:run to run however it ends, JOB:hold to wait until it is mended; may be repeated")
	f.StringArrayVar(&j.env, "env", nil, "`NAME=VALUE` for the script's environment; may be repeated")
	f.StringVar(&j.opt.CallerID, "caller-id", "", "CALLER_ID of the job")
	f.StringVar(&j.opt.ContextID, "context-id", "", "CONTEXT_ID of the job")
}

func (j *jobFlags) addInline(c *cobra.Command) {
	c.Flags().StringVarP(&j.inline, "script", "e", "", "the script itself, instead of a file")
}

// options are what the flags say.
func (j *jobFlags) options(cmd *cobra.Command) (client.Options, error) {
	o := j.opt
	if cmd.Flags().Changed("timeout") {
		o.Timeout = &j.timeout
	}
	if cmd.Flags().Changed("retries") {
		o.Retries = &j.retries
	}
	if cmd.Flags().Changed("keep-result") {
		o.KeepResult = &j.result
	}
	for _, kv := range j.env {
		k, v, ok := strings.Cut(kv, "=")
		if !ok {
			return o, usagef("--env %q: want NAME=VALUE", kv)
		}
		if o.Env == nil {
			o.Env = map[string]string{}
		}
		o.Env[k] = v
	}
	for _, text := range j.after {
		id, rule, _ := strings.Cut(text, ":")
		o.Prerequisites = append(o.Prerequisites, dispatch.Prerequisite{ID: id, Rule: dispatch.Rule(rule)})
	}
	if j.startBy != "" {
		if within, err := time.ParseDuration(j.startBy); err == nil {
			if o.StartWithin = within; within == 0 { // none, where it is an option
				return o, usagef("--start-by %s: that leaves no time to begin", j.startBy)
			}
		} else if o.StartBy, err = time.Parse(time.RFC3339, j.startBy); err != nil {
			return o, usagef("--start-by %q: want a duration as 10m or a time as 2026-01-02T15:04:05Z", j.startBy)
		}
	}
	return o, nil
}

// read returns the script and the options of one job, well formed.
func (j *jobFlags) read(cmd *cobra.Command, args []string) (string, client.Options, error) {
	o, err := j.options(cmd)
	if err != nil {
		return "", o, err
	}
	if o.ID == "" {
		o.ID = ulid.Make().String()
	}
	var script string
	switch {
	case cmd.Flags().Changed("script") && len(args) > 1:
		return "", o, usagef("give a file or --script, not both")
	case cmd.Flags().Changed("script"):
		script = j.inline
	default:
		if script, err = readScript(cmd.Context(), cmd.InOrStdin(), fileOf(args)); err != nil {
			return "", o, err
		}
	}
	return script, o, refusedOptions(args[0], o, script)
}

// refusedOptions says what is wrong with a job before a daemon is asked.
func refusedOptions(jobType string, o client.Options, script string) error {
	if r := dispatch.CheckSubmission(jobType, o.Header(), []byte(script)); r != nil {
		return &exitError{status: exitUsage, err: r, hint: r.Hint}
	}
	return nil
}

// fileOf is the FILE of "TYPE [FILE|-]".
func fileOf(args []string) string {
	if len(args) > 1 {
		return args[1]
	}
	return "-"
}

func readScript(ctx context.Context, stdin io.Reader, name string) (string, error) {
	r := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", &exitError{status: exitUsage, err: fmt.Errorf("read script: %w", err)}
		}
		defer f.Close()
		r = f
	}
	// One byte more than allowed tells too long from just right.
	b, err := io.ReadAll(io.LimitReader(newInterruptible(ctx, r), events.MaxScript+1))
	if errors.Is(err, syscall.EISDIR) {
		return "", usagef("read script: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("read script: %w", err)
	}
	return string(b), nil
}

// warnUnserved says when nobody will run the job for now.
func (a *app) warnUnserved(cmd *cobra.Command, d *remote, scriptType string) {
	pools, err := d.pools(cmd.Context())
	if err != nil {
		return // the job is accepted all the same
	}
	most := 0
	for _, p := range pools {
		if slices.Contains(p.Types, strings.ToLower(scriptType)) {
			most += p.Max
		}
	}
	if most == 0 {
		a.note(cmd, "warning: no pool runs %s now; the job waits for one (see `herosup status`)", scriptType)
	}
}
