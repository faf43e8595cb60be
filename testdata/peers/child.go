package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// message is a line that a role writes to us, or we to it.
type message struct {
	// Do, from us: go, report, release.
	Do string `json:"do,omitempty"`
	// Event, from a role: ready, began, done, report, failed.
	Event string `json:"event,omitempty"`
	// began: the job's id and when its handler was called.
	Job string `json:"job,omitempty"`
	At  int64  `json:"at,omitempty"`
	PID int    `json:"pid,omitempty"`
	// report and done.
	Jobs  int     `json:"jobs,omitempty"`
	First int64   `json:"first,omitempty"` // first handler call, or first submission; ns since 1970
	Last  int64   `json:"last,omitempty"`  // last acknowledgement
	CPU   float64 `json:"cpu,omitempty"`   // us since go
	// Late are microseconds from a submission to its handler.
	Late []float64 `json:"late,omitempty"`
	Text string    `json:"text,omitempty"`
}

// process is a child of ours.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	gone chan struct{}
}

// start starts a program that ends with the scope.
func (e *env) start(ctx context.Context, name, program string, args []string, pipes func(*exec.Cmd) error) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{name: name, cmd: cmd, log: filepath.Join(e.dir, name+".log"), gone: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if pipes != nil {
		if err := pipes(cmd); err != nil {
			return nil, err
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { _ = cmd.Wait(); close(p.gone) }()
	e.after(p.kill)
	return p, nil
}

// kill ends it and returns when it is gone.
func (p *process) kill() error {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may be gone already
	<-p.gone
	return nil
}

// lastWords are the end of what a process said.
func (p *process) lastWords() string {
	s := strings.TrimSpace(readFile(p.log))
	return s[max(0, len(s)-2000):]
}

// role is a conversation with a process that measures: a child of ours, or an actor
// that the daemon's zinit started and that called us.
type role struct {
	*process // nil for an actor
	name     string
	pid      int
	lines    chan message
	w        io.Writer
}

// as starts this program in a role.
func (e *env) as(ctx context.Context, name string, args ...string) (*role, error) {
	return e.role(ctx, name, e.self, append([]string{"as"}, args...))
}

func (e *env) role(ctx context.Context, name, program string, args []string) (*role, error) {
	r := &role{name: name, lines: make(chan message, 1024)}
	// Pipes of our own: those of exec are closed by Wait, under the reader's feet.
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inR.Close(), inW.Close())
	}
	r.process, err = e.start(ctx, name, program, args, func(cmd *exec.Cmd) error {
		cmd.Stdin, cmd.Stdout = inR, outW
		return nil
	})
	_ = inR.Close()
	_ = outW.Close()
	if err != nil {
		return nil, errors.Join(err, inW.Close(), outR.Close())
	}
	r.w, r.pid = inW, r.process.cmd.Process.Pid
	e.after(inW.Close)
	go r.read(outR)
	return r, nil
}

// read passes on the lines until the role is gone.
func (r *role) read(from io.ReadCloser) {
	defer close(r.lines)
	defer from.Close()
	sc := bufio.NewScanner(from)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var m message
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			m = message{Event: "failed", Text: "said " + sc.Text()}
		}
		r.lines <- m
	}
}

func (r *role) tell(do string) error {
	b, err := json.Marshal(message{Do: do})
	if err != nil {
		return err
	}
	if _, err := r.w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("%s: %s: %w", r.name, do, err)
	}
	return nil
}

// hear waits for an event of that name; others before it are lost.
func (r *role) hear(ctx context.Context, event string) (message, error) {
	for {
		select {
		case m, ok := <-r.lines:
			switch {
			case !ok:
				return m, fmt.Errorf("%s ended before it was %s%s", r.name, event, r.words())
			case m.Event == event:
				return m, nil
			case m.Event == "failed":
				return m, fmt.Errorf("%s: %s", r.name, m.Text)
			}
		case <-ctx.Done():
			return message{}, fmt.Errorf("%s: wait for %s: %w", r.name, event, context.Cause(ctx))
		}
	}
}

func (r *role) words() string {
	if r.process == nil {
		return ""
	}
	return ":\n" + r.lastWords()
}

// ask tells and hears.
func (r *role) ask(ctx context.Context, do, event string) (message, error) {
	if err := r.tell(do); err != nil {
		return message{}, err
	}
	return r.hear(ctx, event)
}

// eventually polls another process' state until it is so.
func eventually(ctx context.Context, within time.Duration, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	beat := time.NewTicker(2 * time.Millisecond)
	defer beat.Stop()
	for {
		ok, err := so()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return fmt.Errorf("waited %s for: %s", within, what)
		}
	}
}
