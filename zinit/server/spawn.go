package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// plan is a process to be started.
type plan struct {
	label string // in the log
	argv  []string
	env   []string
	dir   string
	log   zinit.Log
}

// spawner starts processes. It is for concurrent use.
type spawner struct {
	null    *os.File // stdin of all, and the output of those that log nowhere
	outputs outputs
	logs    *logs
}

// start is fork and exec: when it returns without an error, the program has
// begun. The process leads a group of its own. Nothing here waits for it: the
// loop reaps.
func (s *spawner) start(p plan) (pid int, err error) {
	path, err := lookPath(p.argv[0], p.env)
	if err != nil {
		return 0, err
	}
	out, err := s.output(p)
	if err != nil {
		return 0, err
	}
	dir := p.dir
	if dir == "" {
		dir = "/"
	}
	pid, err = syscall.ForkExec(path, p.argv, &syscall.ProcAttr{
		Dir:   dir,
		Env:   p.env,
		Files: []uintptr{s.null.Fd(), out.stdout, out.stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	out.done(err == nil)
	if _, noDir := os.Stat(dir); err != nil && noDir != nil {
		return 0, fmt.Errorf("start %s: working directory: %w", path, noDir)
	}
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", path, err)
	}
	return pid, nil
}

// output is where a child writes.
type output struct {
	stdout, stderr uintptr
	// done gives up our copies of the child's ends, and reads ours if the child
	// was started.
	done func(started bool)
}

func (s *spawner) output(p plan) (output, error) {
	switch p.log {
	case zinit.LogNone:
		return output{s.null.Fd(), s.null.Fd(), func(bool) {}}, nil
	case zinit.LogStdout:
		return output{1, 2, func(bool) {}}, nil
	}
	out, err := s.outputs.newPipe(source{from: stdout, label: p.label})
	if err != nil {
		return output{}, err
	}
	errs, err := s.outputs.newPipe(source{from: stderr, label: p.label})
	if err != nil {
		out.abandon()
		return output{}, err
	}
	s.logs.banner(p.label)
	return output{uintptr(out.w), uintptr(errs.w), func(started bool) {
		if !started {
			out.abandon()
			errs.abandon()
			return
		}
		s.logs.pump(out.keepReader(), out.source)
		s.logs.pump(errs.keepReader(), errs.source)
	}}, nil
}

// transient reports whether an error of start may go away by itself: the
// machine was out of processes, memory or descriptors.
func transient(err error) bool {
	for _, e := range []error{syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// lookPath finds a program as a shell would with the PATH of env: the service's
// own, which may differ from ours.
func lookPath(program string, env []string) (string, error) {
	if strings.Contains(program, "/") {
		return program, nil
	}
	var path string
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			continue // the working directory, which differs; nobody means it here
		}
		file := filepath.Join(dir, program)
		if fi, err := os.Stat(file); err == nil && fi.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("start %s: not found in PATH (%s)", program, path)
}
