package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// daemon is herosup up on a state folder of its own and the run's Redis: the log,
// the events, the scaler and zinit, all as a user has them.
type daemon struct {
	*server
	process *process
	nats    string
	keys    string
	actors  chan *role // those that called, each once
}

// pool is one pool of a daemon: actors that are this program.
type pool struct {
	name        string
	actors      int
	concurrency int
	jobs        int // of the worker's -jobs
}

// daemonUp starts Redis and a daemon and returns when its pools are there. sync is
// nats.sync; "" leaves the default.
func (e *env) daemonUp(ctx context.Context, sync string, pools ...pool) (*daemon, error) {
	s, err := e.redisServer(ctx)
	if err != nil {
		return nil, err
	}
	d := &daemon{server: s, actors: make(chan *role, 1024)}
	socket := filepath.Join(e.dir, "c.sock")
	if err := e.listen(ctx, socket, d.actors); err != nil {
		return nil, err
	}
	file := filepath.Join(e.dir, "herosup.yaml")
	if err := os.WriteFile(file, []byte(d.config(e, sync, socket, pools)), 0o600); err != nil {
		return nil, err
	}
	state := filepath.Join(e.dir, "s")
	environ := append(os.Environ(), "HEROSUP_STATE="+state, "HEROSUP_REDIS_URL=")
	if d.process, err = e.start(ctx, "daemon", e.herosup, []string{"up", "-f", file}, func(cmd *exec.Cmd) error {
		cmd.Env = environ
		return nil
	}); err != nil {
		return nil, err
	}
	e.after(func() error { return e.down(environ) })
	if err := d.await(ctx, state); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *daemon) config(e *env, sync, control string, pools []pool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "redis: {url: %q}\nzinit: {socket: own}\nlog: {level: warn, format: text}\n", d.url)
	if sync != "" {
		fmt.Fprintf(&b, "nats: {sync: %s}\n", sync)
	}
	b.WriteString("pools:\n")
	for _, p := range pools {
		args := []string{
			"as", "worker", "--system", "herosup", "--redis", "{redis}", "--name", "{actor}", "--type", "{type}",
			"--concurrency", strconv.Itoa(max(1, p.concurrency)), "--jobs", strconv.Itoa(p.jobs), "--control", control,
		}
		list, _ := json.Marshal(args) // texts; JSON is YAML
		fmt.Fprintf(&b, "  %s: {command: %q, args: %s, min: %d, max: %d, idle_timeout: 1h, restart: {backoff: [1ms, 10ms], crash_loop: {exits: 1000, within: 1s}}}\n",
			p.name, e.self, list, p.actors, p.actors)
	}
	return b.String()
}

// await waits for the file that says how to reach the daemon.
func (d *daemon) await(ctx context.Context, state string) error {
	return eventually(ctx, 30*time.Second, "the daemon is up", func() (bool, error) {
		select {
		case <-d.process.gone:
			return false, errors.New("it ended at once:\n" + d.process.lastWords())
		default:
		}
		b, err := os.ReadFile(filepath.Join(state, "daemon.json"))
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		var run struct {
			PID  int
			NATS string
		}
		if err := json.Unmarshal(b, &run); err != nil || run.PID != d.process.cmd.Process.Pid {
			return false, err
		}
		d.nats, d.keys = run.NATS, filepath.Join(state, "nats")
		return true, nil
	})
}

// down ends the daemon with its actors and its zinit.
func (e *env) down(environ []string) error {
	cmd := exec.Command(e.herosup, "down", "--stop-actors", "--deadline", "1ms")
	cmd.Env = environ
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("herosup down: %w: %s", err, lastLine(string(out)))
	}
	return nil
}

// listen takes calls of actors.
func (e *env) listen(ctx context.Context, socket string, to chan<- *role) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	e.after(func() error { return l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			r := &role{name: "actor", lines: make(chan message, 1024), w: conn}
			go r.read(conn)
			select {
			case to <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// crew waits for n actors and lets them go.
func (d *daemon) crew(ctx context.Context, n int) (crew, error) {
	var c crew
	for len(c) < n {
		select {
		case r := <-d.actors:
			m, err := r.hear(ctx, "ready")
			if err != nil {
				return nil, err
			}
			r.pid = m.PID
			c = append(c, r)
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d actors called: %w", len(c), n, context.Cause(ctx))
		}
	}
	return c, c.tell("go")
}

// idle waits until n actors of a type stand idle.
func (d *daemon) idle(ctx context.Context, jobType string, n int) error {
	return eventually(ctx, 30*time.Second, fmt.Sprintf("%d idle actors", n), func() (bool, error) {
		have, err := d.ZCard(ctx, "hero:idle:"+jobType).Result()
		return int(have) == n, err
	})
}

// submitter starts a client of the daemon.
func (d *daemon) submitter(ctx context.Context, e *env, name string, args ...string) (*role, error) {
	r, err := e.as(ctx, name, append([]string{"submitter", "--system", "herosup", "--nats", d.nats, "--keys", d.keys}, args...)...)
	if err != nil {
		return nil, err
	}
	_, err = r.hear(ctx, "ready")
	return r, err
}

// cpuOf is another process' CPU so far, in microseconds, by the clock's ticks.
func cpuOf(pid int) (float64, error) {
	stat := readFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // the name may hold anything
	if len(f) < 13 {
		return 0, fmt.Errorf("process %d is gone", pid)
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	sys, err2 := strconv.ParseFloat(f[12], 64)
	return (user + sys) * 1e4, errors.Join(err1, err2) // a tick is 10 ms on Linux
}

// position is the log sequence up to which Redis has been filled.
func (d *daemon) position(ctx context.Context) (uint64, error) {
	n, err := d.Get(ctx, "hero:position").Uint64()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return n, err
}
