package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"herosup/dispatch"
	"herosup/events"
)

// jobFlags are the options of submit and run.
type jobFlags struct {
	opt    dispatch.Options
	env    []string
	inline string
}

func (j *jobFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&j.opt.ID, "id", "", "the job's `id`; the same id again is the same job (default: a new ULID)")
	f.DurationVar(&j.opt.Timeout, "timeout", 0, "end the script after this long; 0 for none")
	f.DurationVar(&j.opt.Delay, "delay", 0, "not before this long from now")
	f.StringArrayVar(&j.env, "env", nil, "`NAME=VALUE` for the script's environment; may be repeated")
	f.StringVar(&j.opt.CallerID, "caller", "", "CALLER_ID of the job")
	f.StringVar(&j.opt.ContextID, "context", "", "CONTEXT_ID of the job")
	f.StringVarP(&j.inline, "script", "e", "", "the script itself, instead of a file")
}

// read returns the script and completes the options.
func (j *jobFlags) read(cmd *cobra.Command, args []string) (string, error) {
	if j.opt.ID == "" {
		j.opt.ID = ulid.Make().String()
	}
	j.opt.Env = map[string]string{}
	for _, kv := range j.env {
		k, v, ok := strings.Cut(kv, "=")
		if !ok {
			return "", usagef("--env %q: want NAME=VALUE", kv)
		}
		j.opt.Env[k] = v
	}
	var script string
	switch {
	case j.inline != "" && len(args) > 1:
		return "", usagef("give a file or --script, not both")
	case cmd.Flags().Changed("script"):
		script = j.inline
	default:
		name := "-"
		if len(args) > 1 {
			name = args[1]
		}
		b, err := readScript(cmd.InOrStdin(), name)
		if err != nil {
			return "", err
		}
		script = b
	}
	if r := dispatch.CheckSubmission(args[0], j.opt.Header(), []byte(script)); r != nil {
		return "", &exitError{status: exitUsage, err: r, hint: r.Hint}
	}
	return script, nil
}

func readScript(stdin io.Reader, name string) (string, error) {
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
	b, err := io.ReadAll(io.LimitReader(r, events.MaxScript+1))
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
		if p.Type == scriptType {
			most += p.Max
		}
	}
	if most == 0 {
		a.note(cmd, "warning: no pool runs %s now; the job waits for one (see `herosup status`)", scriptType)
	}
}
