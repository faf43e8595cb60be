package hero

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"herosup/events"
)

// Exit is how the program ended.
type Exit struct {
	// Code is -1 when a signal ended it.
	Code   int
	Signal syscall.Signal
}

func (e Exit) String() string {
	if e.Code < 0 {
		return "signal " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// child is one life of the program, in a process group of its own.
type child struct {
	leader events.Incarnation
	gone   chan struct{} // closed when the leader has ended and its group is empty, or was told to be
	exit   Exit          // then
	told   bool          // that it was told to end; guarded by the Program's lock
}

// begin starts the program and waits until it asks for a job.
func (p *Program) begin(ctx context.Context) error {
	argv := make([]string, len(p.cfg.Command))
	for i, a := range p.cfg.Command {
		argv[i] = strings.ReplaceAll(a, "{redis}", "unix://"+p.redis.Options().Addr)
	}
	select {
	case <-p.pops: // of an earlier life
	default:
	}
	c, err := p.spawn(argv)
	if err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	p.mu.Lock()
	p.child = c
	p.mu.Unlock()
	select {
	case <-p.pops:
		return nil
	case <-c.gone:
		return fmt.Errorf("%s ended (%s) before it asked for a job", argv[0], c.exit)
	case <-ctx.Done():
		return fmt.Errorf("%s did not ask for a job: %w", argv[0], context.Cause(ctx))
	}
}

// spawn starts one life. The goroutine that waits for it keeps its thread, which the parent-death signal is about.
func (p *Program) spawn(argv []string) (*child, error) {
	c := &child{gone: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env, cmd.Stdout, cmd.Stderr = p.cfg.Env, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		var err error
		if c.leader, err = events.IncarnationOf(cmd.Process.Pid); err != nil {
			c.leader = events.Incarnation{PID: cmd.Process.Pid} // it has ended already
		}
		started <- nil
		_ = cmd.Wait()
		c.exit = Exit{Code: cmd.ProcessState.ExitCode()}
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			c.exit.Signal = ws.Signal()
		}
		_ = syscall.Kill(-c.leader.PID, syscall.SIGKILL) // what it left behind
		close(c.gone)
		p.over(c)
	}()
	return c, <-started
}

// over tells of a life that ended by itself.
func (p *Program) over(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.told && !p.closed {
		p.lost <- c.exit // room for one: it is never started again then
	}
}

// end asks the whole group to go, and makes it go after the grace.
func (c *child) end(grace time.Duration) {
	if err := syscall.Kill(-c.leader.PID, syscall.SIGTERM); errors.Is(err, syscall.ESRCH) {
		<-c.gone
		return
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-c.gone:
	case <-late.C:
		_ = syscall.Kill(-c.leader.PID, syscall.SIGKILL)
		<-c.gone
	}
}
