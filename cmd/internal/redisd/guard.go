package redisd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Guard becomes the Redis that argv runs, if it is the only one over the folder. A zinit
// that was killed and adopts nothing starts a second one beside the one that lives on:
// that would take the socket from it, and write into the same file. The lock is the
// process' own for its life, whatever program it becomes.
func Guard(dir string, argv []string) error {
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	f, err := os.OpenFile(lockOf(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	defer f.Close() // not reached when all is well
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("start redis: %s is served already, by PID %d", dir, holder(dir))
	}
	if err := os.WriteFile(lockOf(dir), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("start redis: keep the lock: %w", err)
	}
	return fmt.Errorf("start redis: %w", unix.Exec(program, argv, os.Environ()))
}

// End ends the Redis over a folder that no zinit has in its hand any more, and waits for
// it, with KILL when it takes longer than patience.
func End(ctx context.Context, dir string, patience time.Duration) error {
	f, err := os.Open(lockOf(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil // none of ours was ever there
	}
	if err != nil {
		return fmt.Errorf("end redis: %w", err)
	}
	defer f.Close()
	kill := time.After(patience)
	for signal, wait := unix.SIGTERM, time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
			return nil // f's end gives it back
		}
		if pid := holder(dir); pid > 0 && signal != 0 {
			_ = unix.Kill(pid, signal) // the lock says that it lives
			signal = 0
		}
		select {
		case <-kill:
			signal = unix.SIGKILL
		case <-ctx.Done():
			return fmt.Errorf("end redis, PID %d: %w", holder(dir), context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

func lockOf(dir string) string { return filepath.Join(dir, "lock") }

// holder is the PID of who holds the lock; 0 if it has not written it yet, which shows
// in that the one of before works elsewhere.
func holder(dir string) int {
	b, _ := os.ReadFile(lockOf(dir))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	want, err := os.Stat(dir)
	works, errProc := os.Stat("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil || errProc != nil || !os.SameFile(want, works) {
		return 0
	}
	return pid
}
