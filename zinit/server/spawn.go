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
	env   []map[string]string // what is behind wins; nil is nothing
	mark  string
	dir   string
	log   zinit.Log
	ext   zinit.Extension
	again bool // a test that has failed, which needs no banner
}

// spawner starts processes. It is for concurrent use.
type spawner struct {
	null    *os.File // stdin of all, and the output of those that log nowhere
	outputs outputs
	logs    *logs
	cgroups *cgroups
}

// launched is a process that runs.
type launched struct {
	pid int
	// unmet says what was asked for and could not be done; "" for nothing.
	unmet string
}

// start is fork and exec: when it returns without an error, the program has
// begun. The process leads a group of its own. Nothing here waits for it: the
// loop reaps.
func (s *spawner) start(p plan) (launched, error) {
	who, err := identify(p.ext)
	if err != nil {
		return launched{}, err
	}
	env := environ(p.mark, p.env[0], who.env, p.env[1])
	path, err := lookPath(p.argv[0], env)
	if err != nil {
		return launched{}, err
	}
	prog, err := openProgram(path, p.ext.SHA256)
	if err != nil {
		return launched{}, err
	}
	defer prog.close()
	sys := &syscall.SysProcAttr{Setpgid: true, Credential: who.credential}
	var did launched
	place, err := s.cgroups.place(serviceOf(p.label), p.ext)
	if err != nil {
		did.unmet = "memory_max and cpu_max do not hold: " + err.Error()
	} else if place != nil {
		defer func() { _ = place.Close() }()
		sys.UseCgroupFD, sys.CgroupFD = true, int(place.Fd())
	}
	out, err := s.output(p, who)
	if err != nil {
		return launched{}, err
	}
	dir := p.dir
	if dir == "" {
		dir = "/"
	}
	attr := &syscall.ProcAttr{Dir: dir, Env: env, Files: []uintptr{s.null.Fd(), out.stdout, out.stderr}, Sys: sys}
	if prog.inherited {
		attr.Files = append(attr.Files, prog.file.Fd())
	}
	did.pid, err = forkExec(prog.path, p.argv, attr, p.ext)
	out.done(err == nil)
	if _, noDir := os.Stat(dir); err != nil && noDir != nil {
		return launched{}, fmt.Errorf("start %s: working directory: %w", path, noDir)
	}
	if err != nil {
		return launched{}, fmt.Errorf("start %s: %w", path, err)
	}
	return did, nil
}

// output is where a child writes.
type output struct {
	stdout, stderr uintptr
	// done gives up our copies of the child's ends, and reads ours if the child
	// was started.
	done func(started bool)
}

func (s *spawner) output(p plan, who identity) (output, error) {
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
	if c := who.credential; c != nil { // who opens /dev/stderr opens this by its name
		_ = os.Chown(out.path, int(c.Uid), int(c.Gid))
		_ = os.Chown(errs.path, int(c.Uid), int(c.Gid))
	}
	return output{uintptr(out.w), uintptr(errs.w), func(started bool) {
		if !p.again {
			s.logs.banner(p.label)
		}
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
