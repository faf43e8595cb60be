package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// runTimeout bounds one run of one contender.
const runTimeout = 15 * time.Minute

// env is what every run needs; a scope of it is one run's.
type env struct {
	o       options
	dir     string // temporary; of a scope: a folder in it
	self    string // this program
	herosup string // ours, built for this run
	repo    string
	bull    string // folder of BullMQ's packages; "" if it can not run
	missing map[string]string
	ends    []func() error // of a scope, last first
	scopes  int
}

// newEnv finds the programs, builds ours and installs BullMQ's packages.
func newEnv(ctx context.Context, o options) (*env, error) {
	e := &env{o: o, missing: map[string]string{}}
	var err error
	if e.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("%w (install redis-server 7)", err)
	}
	if !strings.Contains(" everysec always none ", " "+o.redis+" ") {
		return nil, fmt.Errorf("-redis %q: want everysec, always or none", o.redis)
	}
	if e.dir, err = os.MkdirTemp("", "hp"); err != nil { // short: it holds sockets
		return nil, err
	}
	wanted := map[string]bool{"herosup": true}
	for p := range strings.SplitSeq(o.peers, ",") {
		wanted[strings.TrimSpace(p)] = true
	}
	for _, p := range []string{"asynq", "bullmq", "raw"} {
		if !wanted[p] {
			e.missing[p] = "left out by -peers"
		}
	}
	if err := e.build(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(e.dir))
	}
	if wanted["bullmq"] {
		if e.bull, err = installBull(ctx, o.cache); err != nil {
			e.missing["bullmq"] = err.Error()
			e.say("BullMQ is left out: %v", err)
		}
	}
	return e, nil
}

// build makes our binary from the repository that this module lies in.
func (e *env) build(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "herosup").Output()
	if err != nil {
		return fmt.Errorf("find the module herosup (run this with `go -C testdata/peers run .`): %w", err)
	}
	e.repo = strings.TrimSpace(string(out))
	e.herosup = filepath.Join(e.dir, "herosup")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", e.herosup, "./cmd/herosup")
	cmd.Dir = e.repo
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build herosup: %w\n%s", err, out)
	}
	return nil
}

func (e *env) close() { _ = os.RemoveAll(e.dir) }

// has tells whether a peer can run.
func (e *env) has(peer string) bool { return e.missing[peer] == "" }

// say tells the person at the terminal how far we are.
func (e *env) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// n is a number of jobs, scaled.
func (e *env) n(full int) int { return max(100, int(float64(full)*e.o.scale)) }

// scope is one run's share: a folder, and what it has to end.
func (e *env) scope() (*env, error) {
	e.scopes++
	s := *e
	s.ends = nil
	s.dir = filepath.Join(e.dir, fmt.Sprint("r", e.scopes))
	return &s, os.Mkdir(s.dir, 0o700)
}

// after has something done at the end of the scope.
func (e *env) after(end func() error) { e.ends = append(e.ends, end) }

// end undoes, last first.
func (e *env) end() error {
	var errs []error
	for len(e.ends) > 0 {
		last := e.ends[len(e.ends)-1]
		e.ends = e.ends[:len(e.ends)-1]
		errs = append(errs, last())
	}
	return errors.Join(append(errs, os.RemoveAll(e.dir))...)
}

// machine is one line about what was measured on, and with what.
func (e *env) machine() string {
	said := []string{
		fmt.Sprintf("%d cores (%s)", runtime.NumCPU(), cpuModel()), "Linux " + firstWord(readFile("/proc/sys/kernel/osrelease")), runtime.Version(),
		redisVersion(), "persistence " + map[string]string{
			"everysec": "append-only file, fsync each second", "always": "append-only file, fsync each write", "none": "none",
		}[e.o.redis],
		"go-redis " + moduleVersion("github.com/redis/go-redis/v9"), "asynq " + moduleVersion("github.com/hibiken/asynq"),
		"nats-server " + moduleVersion("github.com/nats-io/nats-server/v2"), e.bullVersion(), "load before " + firstWord(readFile("/proc/loadavg")),
	}
	if e.o.scale != 1 {
		said = append(said, fmt.Sprintf("SCALED: %g of the jobs that are named below", e.o.scale))
	}
	for _, p := range []string{"asynq", "bullmq", "raw"} {
		if why := e.missing[p]; why != "" {
			said = append(said, "without "+p+": "+why)
		}
	}
	return strings.Join(said, "; ") + "."
}
