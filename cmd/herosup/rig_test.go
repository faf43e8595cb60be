package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/daemon"
	"herosup/cmd/internal/state"
	"herosup/dispatch"
	"herosup/dispatch/client"
	"herosup/dispatch/runner"
	"herosup/events"
)

// rig is a real daemon in a process of its own, on a state folder of its own,
// and a client of it.
type rig struct {
	t      testing.TB
	dir    string
	config string
	env    []string
	cmd    *exec.Cmd
	d      *remote
	sub    *events.Subscription
	// seen folds what came, so that a wait never misses what came before it.
	starts  map[string][]events.JobStarted
	ends    map[string][]events.JobEnded
	states  map[string]string
	lives   map[string]events.Incarnation
	retried map[string]int
	queued  map[string]int
	// measured counts the measures told.
	measured int
}

// kinds of Redis that a rig can run on.
type redisKind string

const (
	withServer   redisKind = "server"
	withEmbedded redisKind = "embedded"
)

// newRig starts a daemon. The rig's own zinit is always used, never a found one.
func newRig(t testing.TB, redis redisKind, pools string) *rig {
	t.Helper()
	r := prepare(t, redis, pools)
	r.up()
	return r
}

// newRigPolling starts a daemon in this process with every poll set to a pace.
func newRigPolling(t testing.TB, pools string, pace time.Duration) *rig {
	t.Helper()
	r := prepare(t, withServer, pools)
	cfg, err := config.Load(r.config, runner.Find)
	if err != nil {
		t.Fatal(err)
	}
	f, err := state.Make(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan state.Runtime, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- daemon.Run(context.WithoutCancel(t.Context()), daemon.Options{
			Config: cfg, Folder: f, Version: "test", Log: slog.New(slog.DiscardHandler), Poll: pace,
			Ready: func(run state.Runtime) { up <- run },
		})
	}()
	select {
	case run := <-up:
		if r.d, err = dial(t.Context(), f, run); err != nil {
			t.Fatal(err)
		}
	case err := <-ended:
		t.Fatal(err)
	}
	r.listen()
	return r
}

// prepare makes the folder and the configuration of a rig.
func prepare(t testing.TB, redis redisKind, pools string) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "hr")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		t: t, dir: filepath.Join(dir, "s"), config: filepath.Join(dir, "herosup.yaml"),
		starts: map[string][]events.JobStarted{}, ends: map[string][]events.JobEnded{}, states: map[string]string{},
		lives: map[string]events.Incarnation{}, retried: map[string]int{}, queued: map[string]int{},
	}
	if err := os.WriteFile(r.config, []byte("zinit: {socket: own}\nlog: {level: debug, format: text}\npools:\n"+pools), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = append(os.Environ(), "HEROSUP_STATE="+r.dir, "HEROSUP_CONFIG="+r.config)
	if redis == withEmbedded {
		r.env = append(r.env, "PATH="+pathWithout(t, filepath.Join(dir, "bin")))
	} else if _, err := exec.LookPath("redis-server"); err != nil {
		needs(t, "redis", "redis-server")
	}
	t.Cleanup(func() { r.cleanUp(dir) })
	return r
}

// needs ends a test that can not run here: by name, and as a failure where the
// program was said to be required.
func needs(t testing.TB, word, program string) {
	t.Helper()
	if strings.Contains(","+os.Getenv("HEROSUP_REQUIRE")+",", ","+word+",") {
		t.Fatalf("%s is required and not here", program)
	}
	t.Skipf("MISSING here: %s; this test did not run", program)
}

// lookPython finds python3 itself, not a shim that looks for it on PATH.
func lookPython() (path string, ok bool) {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(out)), err == nil
}

// pathWithout makes a folder that holds what scripts need, and no Redis.
func pathWithout(t testing.TB, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bash", "sh", "sleep", "cat", "mv", "python3"} {
		path, err := exec.LookPath(name)
		if python, ok := lookPython(); ok && name == "python3" {
			path = python
		}
		if err == nil {
			if err := os.Symlink(path, filepath.Join(dir, name)); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func (r *rig) command(args ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Args[0] = "herosup-test" // see TestMain
	cmd.Env = r.env
	return cmd
}

// up starts the daemon and connects to it.
func (r *rig) up() {
	r.t.Helper()
	r.cmd = r.command("up")
	out, err := os.OpenFile(filepath.Join(filepath.Dir(r.dir), "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	r.cmd.Stdout, r.cmd.Stderr = out, out
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	pid := r.cmd.Process.Pid
	ended := make(chan struct{})
	go func(c *exec.Cmd) { _ = c.Wait(); close(ended) }(r.cmd)
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	for {
		f, err := state.Open(r.dir)
		if err == nil {
			if run, err := f.ReadRuntime(); err == nil && run.PID == pid {
				if r.d, err = dial(ctx, f, run); err != nil {
					r.t.Fatal(err)
				}
				break
			}
		}
		select {
		case <-ended:
			r.t.Fatalf("the daemon ended at once:\n%s", r.log())
		case <-ctx.Done():
			r.t.Fatalf("the daemon is not up after 30 s:\n%s", r.log())
		case <-time.After(5 * time.Millisecond): // it is another process
		}
	}
	r.listen()
}

// listen reads all facts from now on.
func (r *rig) listen() {
	r.t.Helper()
	var err error
	if r.sub, err = r.d.bus.Subscribe(events.Facts); err != nil {
		r.t.Fatal(err)
	}
	// What happened before is in the list; what the list has as well comes again.
	list, err := r.d.actors(r.t.Context(), "")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range list {
		r.states[a.Name], r.lives[a.Name] = a.State, a.Incarnation
	}
}

func (r *rig) log() string {
	b, _ := os.ReadFile(filepath.Join(filepath.Dir(r.dir), "log"))
	return string(b[max(0, len(b)-8000):])
}

// kill ends the daemon without a word, as a crash would.
func (r *rig) kill() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	f := r.d.folder
	r.d.close()
	for end := time.Now().Add(5 * time.Second); ; {
		if _, held := f.Holder(); !held {
			return
		}
		if time.Now().After(end) {
			r.t.Fatal("the killed daemon still holds its folder")
		}
		<-time.After(time.Millisecond) // it is another process
	}
}

func (r *rig) cleanUp(dir string) {
	if r.t.Failed() {
		r.t.Logf("the daemon's log:\n%s", r.log())
	}
	if r.d != nil {
		r.d.close()
	}
	out, err := r.command("down", "--stop-actors", "--deadline", "1ms").CombinedOutput()
	if err != nil {
		r.t.Errorf("down: %v\n%s\nthe daemon's log:\n%s", err, out, r.log())
	}
	if err := os.RemoveAll(dir); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) submit(jobType, id, script string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	if _, err := r.d.jobs.Submit(ctx, jobType, script, client.Options{ID: id}); err != nil {
		r.t.Fatalf("submit %s: %v", id, err)
	}
}

// until reads facts until done says so.
func (r *rig) until(what string, done func() bool) {
	r.t.Helper()
	r.within(30*time.Second, what, done)
}

func (r *rig) within(limit time.Duration, what string, done func() bool) {
	r.t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	for !done() {
		select {
		case raw := <-r.sub.C:
			m, err := r.sub.Open(raw)
			if err != nil {
				r.t.Fatal(err)
			}
			r.fold(m)
		case <-end.C:
			says, err := r.command("get", "actors").CombinedOutput()
			r.t.Fatalf("waited %v for: %s\nstates %v\n%d jobs ended\nthe daemon says (%v):\n%s", limit, what, r.states, len(r.ends), err, says)
		}
	}
}

func (r *rig) fold(m events.Message) {
	switch e := m.Event.(type) {
	case events.JobStarted:
		for _, s := range r.starts[e.Job] {
			if s.Attempt == e.Attempt {
				return // told again after a restart
			}
		}
		r.starts[e.Job] = append(r.starts[e.Job], e)
	case events.JobQueued:
		r.queued[e.Job]++
	case events.JobEnded:
		r.ends[e.Job] = append(r.ends[e.Job], e)
	case events.JobRetried:
		r.retried[e.Job]++
	case events.QueueMeasured:
		r.measured++
	case events.ActorRegistered:
		r.lives[e.Actor] = e.Incarnation
	case events.ActorStateChanged:
		r.states[e.Actor] = e.To
	}
}

func (r *rig) count(state string) int {
	n := 0
	for _, s := range r.states {
		if s == state {
			n++
		}
	}
	return n
}

// record asks for what is kept of a job.
func (r *rig) record(id string) dispatch.JobView {
	r.t.Helper()
	var v dispatch.JobView
	if err := r.d.ask(r.t.Context(), events.JobShow{Job: id}, &v); err != nil {
		r.t.Fatalf("show %s: %v", id, err)
	}
	return v
}

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("job-%d", i)
	}
	return list
}
