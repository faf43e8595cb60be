package dispatch

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// process is a live process that stands for an actor's or a script's.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	inc   events.Incarnation
	once  sync.Once
}

// spawn starts one as the leader of a group of its own.
func (b *bed) spawn() *process {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), leaderEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &process{cmd: cmd, stdin: in}
	if p.inc, err = events.IncarnationOf(cmd.Process.Pid); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.kill)
	return p
}

// spawnDeaf starts one that only KILL ends.
func (b *bed) spawnDeaf() *process {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), leaderEnv+"="+deaf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &process{cmd: cmd, stdin: in}
	b.Cleanup(p.kill)
	if _, err := io.ReadFull(out, make([]byte, len(deaf))); err != nil {
		b.Fatal(err)
	}
	if p.inc, err = events.IncarnationOf(cmd.Process.Pid); err != nil {
		b.Fatal(err)
	}
	return p
}

// over waits until it has ended; the bed reaps it.
func (p *process) over(ctx context.Context) {
	for p.inc.Alive() && pause(ctx, time.Millisecond) {
	}
}

// kill ends it by SIGKILL and reaps it.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		_ = p.stdin.Close()
	})
}

// actor is a stand-in for an actor: a live process that holds the name, and a
// goroutine that does its talking to Redis.
type actor struct {
	b    *bed
	name string
	p    *process
	st   *store.Store
	a    *store.Actor
	// run is the script's run; it returns false to be cut off in the middle.
	run  func(ctx context.Context, j store.Claimed) (store.Outcome, bool)
	halt context.CancelFunc
	done chan struct{}
}

// actor starts one; run nil ends every job well with its script as the output.
func (b *bed) actor(name string, run func(ctx context.Context, j store.Claimed) (store.Outcome, bool)) *actor {
	b.Helper()
	a := &actor{b: b, name: name, p: b.spawn(), st: b.redis.open(b), run: run, done: make(chan struct{})}
	if a.run == nil {
		a.run = func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Output: j.Script, ExitCode: "0"}, true
		}
	}
	var err error
	if a.a, err = a.st.Actor(name, "bash", a.p.inc.String()); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.halt = cancel
	go func() {
		defer close(a.done)
		a.work(ctx)
	}()
	b.Cleanup(func() { cancel(); <-a.done })
	return a
}

// die ends its process and its talking, both in the middle of whatever it is.
func (a *actor) die() {
	a.halt()
	<-a.done
	a.p.kill()
}

func (a *actor) exited(byUs bool) events.ProcessExited {
	return events.ProcessExited{Pool: poolOf(a.name), Actor: a.name, Incarnation: a.p.inc, ExitCode: -1, Signal: "SIGKILL", ByUs: byUs}
}

func (a *actor) work(ctx context.Context) {
	registered := false
	for ctx.Err() == nil {
		if !registered {
			h, err := a.a.Hello(ctx)
			if err != nil || h.Code != store.OK {
				pause(ctx, 5*time.Millisecond)
				continue
			}
			_, code, err := a.a.Assert(ctx, nil) // it drops what it had
			registered = err == nil && code == store.OK
			continue
		}
		c, err := a.a.Claim(ctx)
		switch {
		case errors.Is(err, store.ErrNoEpoch):
			registered = false
		case err != nil:
			pause(ctx, 5*time.Millisecond)
		case c.Code == store.GotJob:
			registered = a.jobs(ctx, c.Job)
		case c.Code == store.Unregistered:
			registered = false
		case c.Code == store.Idle || c.Code == store.Closed:
			w, err := a.a.WaitWake(ctx, time.Minute)
			switch {
			case err != nil:
				pause(ctx, 5*time.Millisecond)
			case w.Kind == store.WakeJob:
				registered = a.jobs(ctx, w.Job)
			case w.Kind == store.WakePing:
				_, _ = a.a.Pong(ctx, w.Nonce)
			}
		}
	}
}

// jobs runs a job and those that its finish brings; false: say hello again.
func (a *actor) jobs(ctx context.Context, j *store.Claimed) bool {
	for j != nil {
		out, ok := a.run(ctx, *j)
		if !ok || ctx.Err() != nil {
			<-ctx.Done()
			return true
		}
		for {
			f, err := a.a.Finish(ctx, *j, out, true)
			if errors.Is(err, store.ErrNoEpoch) {
				return false // its result is stale after the rebuild
			}
			if err == nil {
				if f.Code == store.OK {
					a.b.finished.Store(j.ID, true)
				}
				j = f.Job
				if f.Next == store.Unregistered {
					return false
				}
				break
			}
			if !pause(ctx, 5*time.Millisecond) {
				return true
			}
		}
	}
	return true
}

// script is a live process that stands for a script in its own group, recorded by
// its actor.
func (a *actor) script(ctx context.Context, j store.Claimed) *process {
	p := a.b.spawn()
	if code, err := a.a.RecordGroup(ctx, j, p.cmd.Process.Pid, p.inc.Start); err != nil || code != store.OK {
		a.b.Errorf("record group: %v %v", code, err)
	}
	return p
}
