package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// HeldError says that another daemon runs on the folder.
type HeldError struct {
	Dir string
	// PID is the holder's, 0 when it has not written it yet.
	PID int
}

func (e *HeldError) Error() string {
	who := "another daemon"
	if e.PID > 0 {
		who = "the daemon with PID " + strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("state folder %s is held by %s (end it with `herosup down`, or choose another folder with --state)", e.Dir, who)
}

// Lock is the right to be the daemon of a folder. It ends with the process,
// however that ends.
type Lock struct{ f *flock.Flock }

// Lock takes the folder. The error is a *HeldError when somebody has it; for a holder that was killed it waits.
func (f *Folder) Lock() (*Lock, error) {
	path := f.Path("lock")
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	until := time.Now().Add(dyingTime)
	for alive := 0; err == nil && !ok && alive < 2 && time.Now().Before(until); alive++ { // twice: for a moment it does not show
		if dying(f.holder()) {
			alive = -1
		}
		<-time.After(5 * time.Millisecond)
		ok, err = l.TryLock()
	}
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	if !ok {
		return nil, &HeldError{Dir: f.Dir, PID: f.holder()}
	}
	// In place, not by rename: the lock is on this very file.
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("lock state folder: %w", err), l.Unlock())
	}
	return &Lock{f: l}, nil
}

// dyingTime bounds the wait for a process that was killed: it has the folder until the last of its threads is gone.
const dyingTime = 5 * time.Second

// dying reports whether a process is on its way out: killed, giving back what it has, or a zombie. Where it stands changes while we
// look, from the first to the last.
func dying(pid int) bool {
	if pid == 0 {
		return false // it has not said who it is
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return errors.Is(err, os.ErrNotExist) // gone since we tried
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name == "SigPnd" || name == "ShdPnd" {
			set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			if err == nil && set&(1<<(syscall.SIGKILL-1)) != 0 {
				return true
			}
		}
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	const exiting = 0x4 // PF_EXITING of the kernel's sched.h, which proc(5) gives as "flags"; a zombie has it too
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 7 {
		return false
	}
	flags, _ := strconv.ParseUint(f[6], 10, 64)
	return flags&exiting != 0
}

// Release gives the folder free.
func (l *Lock) Release() error { return l.f.Unlock() }

// Holder is the PID of the running daemon; ok is false when there is none, or only one that was killed and is not gone yet.
func (f *Folder) Holder() (pid int, ok bool) {
	l := flock.New(f.Path("lock"), flock.SetFlag(os.O_RDONLY))
	free, err := l.TryRLock()
	if err != nil {
		return 0, false // no lock file: no daemon yet
	}
	if free {
		_ = l.Unlock()
		return 0, false
	}
	pid = f.holder()
	return pid, !dying(pid)
}

func (f *Folder) holder() int {
	b, _ := os.ReadFile(f.Path("lock"))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}
