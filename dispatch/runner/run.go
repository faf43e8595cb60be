package runner

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"herosup/dispatch/scratch"
	"herosup/events"
)

// Run runs a script and returns when it has ended and its process group is empty. When ctx ends the script
// does: TERM at once, KILL after the grace.
func Run(ctx context.Context, spec Spec) Result {
	if err := spec.check(); err != nil {
		return notRun(err)
	}
	if ctx.Err() != nil {
		return cut(ctx, notRun(nil))
	}
	runtime.LockOSThread() // the parent-death signal follows this thread
	defer runtime.UnlockOSThread()
	c, err := start(spec)
	if err != nil {
		return notRun(notStarted(spec, err))
	}
	res := c.release(ctx, spec)
	if res.Ran {
		res = c.watch(ctx, spec, res)
	} else {
		signalGroup(c.pgid, unix.SIGKILL)
	}
	return c.end(res)
}

func notRun(err error) Result { return Result{ExitCode: -1, Err: err} }

// cut says that ctx ended the run, or kept it from beginning.
func cut(ctx context.Context, res Result) Result {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		res.TimedOut = true
		if res.Ran {
			return res
		}
	}
	res.Err = context.Cause(ctx)
	return res
}

// child is an interpreter and all that has to be waited for.
type child struct {
	cmd     *exec.Cmd
	script  string       // as the interpreter gets it
	place   *scratch.Dir // of the script's file; nil when it is the standard input
	file    string       // that file
	silent  bool         // see dialect
	pgid    int          // the leader's PID
	pipes   pipes
	out     ends
	errors  ends
	copy    *copier       // of an output that is too long; nil: none is wanted
	exited  chan struct{} // closed when the leader has ended and is a zombie
	readers sync.WaitGroup
}

func start(spec Spec) (_ *child, err error) {
	limit := spec.OutputLimit
	if limit <= 0 {
		limit = DefaultOutput
	}
	d := dialectOf(spec.Interpreter)
	c := &child{
		script: d.text(spec), silent: d.silent,
		out:    ends{maxFirst: limit - limit/2, maxLast: limit / 2},
		errors: ends{maxLast: ErrorTail},
		exited: make(chan struct{}),
	}
	if spec.Log != nil {
		c.copy = &copier{to: spec.Log, prefix: spec.LogPrefix}
		c.out.over = c.copy.take
	}
	argv, err := c.commandLine(spec)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = c.place.Remove()
		}
	}()
	p, err := newPipes(max(len(c.given()), 1))
	if err != nil {
		return nil, err
	}
	c.pipes = p
	c.cmd = exec.Command(argv[0], argv[1:]...)
	c.cmd.Env, c.cmd.Dir = environ(spec.Env), spec.Dir
	// Files, not writers: exec.Cmd then starts no goroutines and Wait waits for the process alone.
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = p.childIn, p.childOut, p.childErr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		p.close()
		return nil, err
	}
	p.closeChild()
	c.pgid = c.cmd.Process.Pid
	c.readers.Go(func() { drain(p.out, &c.out) })
	c.readers.Go(func() { drain(p.errors, &c.errors) })
	c.readers.Go(func() { waitExit(c.pgid); close(c.exited) })
	return c, nil
}

// commandLine is the interpreter, with a place for the script's file if it wants one.
func (c *child) commandLine(spec Spec) ([]string, error) {
	at, name := ScriptFile(spec.Interpreter)
	if err := present(spec.Interpreter[0], spec.Dir); err != nil {
		return nil, err
	}
	if at < 0 {
		return spec.Interpreter, nil
	}
	argv := heldBy(spec.Interpreter)
	var err error
	if c.place, err = scratch.New("scripts"); err != nil {
		return nil, err
	}
	c.file = filepath.Join(c.place.Path(), name)
	argv[len(argv)-len(spec.Interpreter)+at] = c.file
	return argv, nil
}

// given is what goes through the pipe: the script, or the line that lets the interpreter begin with its file.
func (c *child) given() string {
	if c.place != nil {
		return "\n"
	}
	return c.script
}

// release records the group and then gives the script to the interpreter.
func (c *child) release(ctx context.Context, spec Spec) Result {
	defer c.pipes.script.Close()
	leader, err := events.IncarnationOf(c.pgid)
	switch {
	case errors.Is(err, events.ErrNoProcess):
		return Result{Ran: true} // it did not want a script; its exit code says more than we could
	case err != nil:
		return notRun(fmt.Errorf("identify the interpreter: %w", err))
	}
	if spec.Record != nil {
		if err := spec.Record(c.pgid, leader); err != nil && ctx.Err() == nil {
			return notRun(fmt.Errorf("record process group: %w", err))
		}
	}
	if ctx.Err() != nil {
		return cut(ctx, notRun(nil))
	}
	if c.place != nil {
		if err := writeScript(c.file, c.script); err != nil {
			return notRun(fmt.Errorf("write the script's file: %w", err))
		}
	}
	// EPIPE: it ended or closed its input; its exit code tells.
	if _, err := c.pipes.script.WriteString(c.given()); err != nil && !errors.Is(err, unix.EPIPE) {
		return notRun(fmt.Errorf("give the script: %w", err))
	}
	return Result{Ran: true}
}

// watch waits for the leader's end and brings it about when the time is up.
func (c *child) watch(ctx context.Context, spec Spec, res Result) Result {
	var timeout, kill <-chan time.Time
	if spec.Timeout > 0 {
		timeout = time.After(spec.Timeout)
	}
	grace := spec.Grace
	if grace == 0 {
		grace = DefaultGrace
	}
	stop := ctx.Done()
	for {
		select {
		case <-c.exited:
			return res
		case <-kill:
			signalGroup(c.pgid, unix.SIGKILL)
			kill = nil
			continue
		case <-timeout:
		case <-stop:
		}
		select {
		case <-c.exited: // just before: nothing was cut short
			return res
		default:
		}
		if stop != nil && ctx.Err() != nil {
			res = cut(ctx, res)
		} else {
			res.TimedOut = true
		}
		timeout, stop = nil, nil // one of the two is enough
		// CONT: a stopped process does not see TERM.
		signalGroup(c.pgid, unix.SIGTERM, unix.SIGCONT)
		kill = time.After(grace)
	}
}

// end leaves nobody in the group and fills the result.
func (c *child) end(res Result) Result {
	<-c.exited
	signalGroup(c.pgid, unix.SIGKILL)
	_ = c.cmd.Wait() // the state says it
	res.Left = !waitEmpty(c.pgid, emptyWait)
	_ = c.place.Remove() // what is left the next run removes
	deadline := time.Now().Add(pipeWait)
	_ = c.pipes.out.SetReadDeadline(deadline)
	_ = c.pipes.errors.SetReadDeadline(deadline)
	c.readers.Wait()
	if c.copy != nil && c.copy.end() {
		c.out.where = ", all of it went to the actor's log"
	}
	res.Output, res.Truncated = c.out.text()
	res.ErrorText, _ = c.errors.text()
	if state := c.cmd.ProcessState; state != nil {
		res.ExitCode = state.ExitCode()
		if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			res.Signal = unix.SignalName(ws.Signal())
		}
	}
	if c.silent && res.ExitCode == 0 && c.errors.total > 0 {
		res.ExitCode = 1
	}
	if !res.Ran { // our KILL is not the script's
		res.ExitCode, res.Signal = -1, ""
	}
	return res
}
