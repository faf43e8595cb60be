package state

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

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

// Lock takes the folder. The error is a *HeldError when somebody has it.
func (f *Folder) Lock() (*Lock, error) {
	path := f.Path("lock")
	l := flock.New(path, flock.SetPermissions(0o600))
	ok, err := l.TryLock()
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

// Release gives the folder free.
func (l *Lock) Release() error { return l.f.Unlock() }

// Holder is the PID of the running daemon; ok is false when there is none.
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
	return f.holder(), true
}

func (f *Folder) holder() int {
	b, _ := os.ReadFile(f.Path("lock"))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}
