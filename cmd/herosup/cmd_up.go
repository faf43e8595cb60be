package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/daemon"
	"herosup/cmd/internal/redisd"
	"herosup/cmd/internal/state"
	"herosup/dispatch/runner"
)

// upTimeout bounds the start of a detached daemon.
const upTimeout = 30 * time.Second

func (a *app) upCommand() *cobra.Command {
	var file, listen, redisURL, natsURL string
	var detach, check bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Start the daemon",
		Long: `Starts the daemon in the foreground, or with --detach in the background.

No configuration is needed: pools are made for the interpreters found, the bus
is embedded, Redis is the one on this machine or an embedded one, and actors live
under a zinit, ours if there is no other. Actors go on when the daemon ends.`,
		Example: "  herosup up\n  herosup up --detach\n  herosup up -f herosup.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			redisURL, natsURL = cmp.Or(handed("redis-url"), redisURL), cmp.Or(handed("nats-url"), natsURL)
			cfg, err := config.Load(file, runner.Find)
			if err != nil {
				return &exitError{status: exitUsage, err: err}
			}
			if listen != "" {
				cfg.NATS.Listen = listen
				if !cfg.NATS.ListenFits() {
					return usagef("--listen %q: want host:port, such as 127.0.0.1:4222", listen)
				}
			}
			if natsURL != "" {
				cfg.NATS.URL = natsURL
			}
			if cfg.NATS.URL != "" {
				if listen != "" {
					return usagef("--listen is for the bus of our own: nats.url names one that listens already")
				}
				if err := cfg.NATS.Access().Check(); err != nil {
					return &exitError{status: exitUsage, err: err}
				}
			}
			if redisURL != "" {
				cfg.Redis.URL = redisURL
			}
			if u := cmp.Or(cfg.Redis.URL, redisd.FromEnv()); u != "" {
				if err := redisd.CheckURL(u); err != nil {
					return &exitError{status: exitUsage, err: err}
				}
			}
			if check {
				return printPools(cmd, cfg)
			}
			if err := unmarked(); err != nil {
				return err
			}
			dir, err := a.folder()
			if err != nil {
				return err
			}
			f, err := state.Make(dir)
			if err != nil {
				return err
			}
			if err := cfg.CheckAfter(f.ServicePrefix()); err != nil {
				return &exitError{status: exitUsage, err: err}
			}
			if detach {
				if err := a.detach(cmd, f); err != nil {
					return err
				}
				a.warnMissing(cmd, cfg)
				return nil
			}
			a.warnMissing(cmd, cfg)
			log, err := a.logger(cmd, cfg.Log.Level, cfg.Log.Format)
			if err != nil {
				return err
			}
			outliveReaders()
			return daemon.Run(cmd.Context(), daemon.Options{
				Config: cfg, Folder: f, Version: version(), Log: log,
				Say: func(line string) { a.note(cmd, "%s", line) },
			})
		},
	}
	c.Flags().StringVarP(&file, "file", "f", os.Getenv("HEROSUP_CONFIG"), "configuration `file` (HEROSUP_CONFIG)")
	c.Flags().StringVar(&listen, "listen", "", "`host:port` of the bus for other programs (default: loopback, a free port that is kept)")
	c.Flags().StringVar(&redisURL, "redis-url", "", "Redis to use (HEROSUP_REDIS_URL)")
	c.Flags().StringVar(&natsURL, "nats-url", "", "NATS server of your own to use, with JetStream (HEROSUP_NATS_URL; default: one of ours)")
	c.Flags().BoolVar(&detach, "detach", false, "start in the background and return when it is ready")
	c.Flags().BoolVar(&check, "check", false, "check the configuration, print the pools and end")
	return c
}

// warnMissing tells the pools that can start no actor; the daemon runs all the same.
func (a *app) warnMissing(cmd *cobra.Command, cfg config.Config) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Pools)) {
		if reason, hint := cfg.Pools[name].Missing(name); reason != "" {
			a.note(cmd, "warning: pool %s can not start actors: %s (hint: %s)", name, reason, hint)
		}
	}
}

func printPools(cmd *cobra.Command, cfg config.Config) error {
	t := newTable(cmd.OutOrStdout(), "POOL", "TYPE", "MIN", "MAX", "RUNS")
	for _, name := range slices.Sorted(maps.Keys(cfg.Pools)) {
		p := cfg.Pools[name]
		runs := p.Runs()
		if reason, hint := p.Missing(name); reason != "" {
			runs = "nothing yet: " + hint
		}
		t.row(name, strings.Join(p.Serves(), ","), fmt.Sprint(p.Min), fmt.Sprint(*p.Max), runs)
	}
	return t.flush()
}

// secrets are the flags whose values may hold a password. A detached daemon gets them by its environment: what a process was called
// with, everybody on the machine may read for as long as it lives.
var secrets = []string{"redis-url", "nats-url"}

func secretEnv(flag string) string {
	return "HEROSUP_UP_" + strings.ReplaceAll(strings.ToUpper(flag), "-", "_")
}

// detachedArgs are the arguments and the environment of the daemon that a command with these arguments starts.
func detachedArgs(given []string) (args, env []string) {
	for i := 0; i < len(given); i++ {
		name, value, joined := strings.Cut(strings.TrimPrefix(given[i], "--"), "=")
		switch {
		case !strings.HasPrefix(given[i], "--"):
		case name == "detach": // with it each would start the next one
			continue
		case slices.Contains(secrets, name) && (joined || i+1 < len(given)):
			if !joined {
				i++
				value = given[i]
			}
			env = append(env, secretEnv(name)+"="+value)
			continue
		}
		args = append(args, given[i])
	}
	return args, env
}

// handed is what the command that started this daemon was given for a flag. No child of ours gets it.
func handed(flag string) string {
	value := os.Getenv(secretEnv(flag))
	_ = os.Unsetenv(secretEnv(flag)) // its name is fit for one
	return value
}

// detach starts the same command again in a session of its own, from the kept
// copy of the program, and returns when that daemon is ready.
func (a *app) detach(cmd *cobra.Command, f *state.Folder) error {
	if pid, held := f.Holder(); held {
		return &state.HeldError{Dir: f.Dir, PID: pid}
	}
	self, err := f.KeepBinary()
	if err != nil {
		return err
	}
	args, secret := detachedArgs(os.Args[1:])
	logFile := f.Path("daemon.log")
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	defer out.Close()
	start, err := out.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	p := exec.Command(self, args...)
	p.Env = append(append(os.Environ(), "HEROSUP_STATE="+f.Dir), secret...)
	p.Stdout, p.Stderr = out, out
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.Start(); err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	exited := make(chan struct{})
	go func() { _ = p.Wait(); close(exited) }() // ends with the daemon, or with this command
	deadline := time.NewTimer(upTimeout)
	defer deadline.Stop()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if run, err := f.ReadRuntime(); err == nil && run.PID == p.Process.Pid {
			fmt.Fprintf(cmd.OutOrStdout(), "herosup is up: PID %d, state %s\n", run.PID, f.Dir)
			a.note(cmd, "redis %s, zinit %s, bus %s, log %s", run.RedisKind, run.Zinit, run.NATS, logFile)
			return nil
		}
		select {
		case <-exited:
			// What it said holds its hint, too.
			return &exitError{status: max(exitFailed, p.ProcessState.ExitCode()), err: errors.New(lastError(logFile, start))}
		case <-deadline.C:
			return hinted(exitTimedOut, fmt.Errorf("the daemon (PID %d) is not ready after %s", p.Process.Pid, upTimeout), "see "+logFile)
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		case <-time.After(wait):
		}
	}
}

// lastError is what a daemon that ended said last, behind the byte at.
func lastError(file string, at int64) string {
	b, err := os.ReadFile(file)
	if err != nil || int64(len(b)) < at {
		return "the daemon ended at once; see " + file
	}
	// At the beginning of a line: what went wrong may hold the word itself ("nats: API error: ...").
	text, begins := "\n"+string(b[at:]), "\nerror: "
	if i := strings.LastIndex(text, begins); i >= 0 {
		return strings.TrimSpace(text[i+len(begins):])
	}
	return "the daemon ended at once; see " + file
}
