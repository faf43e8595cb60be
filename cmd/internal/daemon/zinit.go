package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"herosup/cmd/internal/state"
	"herosup/zinit"
	"herosup/zinit/wire"
)

// OwnZinit as the setting starts our own without looking for another.
const OwnZinit = "own"

// wellKnown are the sockets of a zinit that runs already, the original's
// defaults over its versions.
var wellKnown = []string{"/var/run/zinit.sock", "/run/zinit.sock", "/tmp/zinit.sock"}

const (
	// zinitStart bounds the wait for our own to answer: it may have a thousand actors to adopt.
	zinitStart = 15 * time.Second
	// zinitEnd bounds the wait for its socket to go.
	zinitEnd = 5 * time.Second
)

// findZinit returns a client of the process manager to use, and whether it is
// ours. Where none is to be found, ours is started.
func (d *Daemon) findZinit(ctx context.Context) (*zinit.Client, string, bool, error) {
	own := d.folder.Socket("zinit")
	z, passed, err := LookForZinit(ctx, d.cfg.Zinit.Socket, own)
	for _, err := range passed {
		d.log.Warn("zinit passed over", "err", err)
	}
	if err != nil {
		return nil, d.cfg.Zinit.Socket, false, err
	}
	if z != nil {
		return z, z.Socket(), z.Socket() == own && keepsFolder(d.folder), nil
	}
	z, err = StartZinit(ctx, d.folder, d.self)
	d.startedZinit = err == nil
	return z, own, true, err
}

// keepsFolder reports whether what listens at our socket is a zinit over our folder. Another one there, or one that is the
// first process of a machine, is not ours to end.
func keepsFolder(f *state.Folder) bool {
	pid, err := wire.PeerPID(f.Socket("zinit"))
	if err != nil || pid == 1 {
		return false
	}
	args, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && slices.Contains(strings.Split(string(args), "\x00"), f.Path("zinit"))
}

// LookForZinit finds a process manager that answers: the one that the setting
// names, which must; else ours at the socket own; else one at a well-known socket,
// unless the setting is OwnZinit. nil without an error: there is none, and ours is to
// be started. passed says of those that were merely found why they are not used.
func LookForZinit(ctx context.Context, setting, own string) (z *zinit.Client, passed []error, err error) {
	if setting != "" && setting != OwnZinit {
		z, err := zinit.Dial(ctx, setting, zinit.Options{})
		return z, nil, err
	}
	if z, err := zinit.Dial(ctx, own, zinit.Options{}); err == nil {
		return z, nil, nil
	}
	if setting == OwnZinit {
		return nil, nil, nil
	}
	for _, s := range wellKnown {
		z, err := zinit.Dial(ctx, s, zinit.Options{})
		if err == nil {
			return z, passed, nil
		}
		if !errors.Is(err, zinit.ErrNoServer) {
			passed = append(passed, err)
		}
	}
	return nil, passed, nil
}

// StartZinit starts our process manager over the state folder, detached: in a
// session of its own, with its words in a file, so that it outlives us and our
// terminal. It adopts what one that was killed has left. self is the program of
// which it is a command. One that does not answer in time is killed, and its
// children are left for the next to adopt.
func StartZinit(ctx context.Context, f *state.Folder, self string) (*zinit.Client, error) {
	dir, socket := f.Path("zinit"), f.Socket("zinit")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start zinit: %w", err)
	}
	logFile := f.Path("zinit.log")
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start zinit: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(self, "zinit", "init", "--config", dir, "--socket", socket, "--log-format", "text")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir, cmd.Env = "/", zinit.Unmarked(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start zinit: %w", err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }() // ends with the process; reaps it if we outlive it
	ctx, cancel := context.WithTimeout(ctx, zinitStart)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		z, err := zinit.Dial(ctx, socket, zinit.Options{})
		if err == nil {
			return z, nil
		}
		select {
		case <-exited:
			return nil, fmt.Errorf("start zinit: it ended at once: %s", lastWords(logFile))
		case <-ctx.Done():
			_ = cmd.Process.Kill() // a TERM would end what it has adopted
			<-exited
			return nil, fmt.Errorf("start zinit: no answer after %s: %w (its log: %s)", zinitStart, err, logFile)
		case <-time.After(wait):
		}
	}
}

// reviveZinit starts our process manager if none answers.
func (d *Daemon) reviveZinit(ctx context.Context) error {
	z, err := zinit.Dial(ctx, d.socket, zinit.Options{})
	if err != nil {
		z, err = StartZinit(ctx, d.folder, d.self)
	}
	if err != nil {
		return err
	}
	z.Close()
	return nil
}

// lastWords are the error lines that a program left in its log file.
func lastWords(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(b))
	if i := strings.LastIndex(text, "error: "); i >= 0 {
		return strings.ReplaceAll(text[i+len("error: "):], "\n", "; ")
	}
	if text == "" {
		return "it said nothing"
	}
	return text[max(0, len(text)-400):]
}
