package scratch

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Dir is a folder, ours alone.
type Dir struct {
	path string
	lock *os.File
}

const (
	// maxSwept bounds what one New looks at, chosen by chance; the next ones see the others.
	maxSwept = 100
	// maxTries bounds the race of a new folder with those who sweep.
	maxTries = 100
)

// New makes a folder of a kind, a token, and removes what dead processes left of that kind.
func New(kind string) (*Dir, error) {
	root := filepath.Join(os.TempDir(), "herosup-"+kind+"-"+strconv.Itoa(os.Getuid()))
	if err := ownDir(root); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	sweep(root)
	for range maxTries {
		path, err := os.MkdirTemp(root, "")
		if err != nil {
			return nil, fmt.Errorf("make a folder: %w", err)
		}
		lock, err := lockDir(path)
		if err == nil && lock != nil {
			return &Dir{path, lock}, nil
		}
		// Somebody swept it between the two calls.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("make a folder: %w", err)
		}
	}
	return nil, fmt.Errorf("make a folder: %s is swept faster than it is filled", root)
}

// Path is where it is.
func (d *Dir) Path() string { return d.path }

// Remove takes it away with all that is in it; the lock goes last. Nil is fine.
func (d *Dir) Remove() error {
	if d == nil {
		return nil
	}
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

// ownDir makes the folder or checks that it is ours alone: the temporary directory is everybody's.
func ownDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("%s is not a folder that only this user can use; remove it, or set TMPDIR", dir)
	}
	return nil
}

// lockDir takes the folder; nil if somebody has it, fs.ErrNotExist if it is gone (also when it went in between).
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, f.Close()
	case err != nil:
		return nil, errors.Join(&fs.PathError{Op: "flock", Path: dir, Err: err}, f.Close())
	}
	if _, err := os.Stat(dir); err != nil { // names are not used twice, so the name says enough
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweep removes the folders whose process is gone. What can not be removed is left: it is no reason to make no other.
func sweep(root string) {
	f, err := os.Open(root)
	if err != nil {
		return
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:min(len(names), maxSwept)] {
		if lock, err := lockDir(filepath.Join(root, name)); err == nil && lock != nil {
			_ = (&Dir{filepath.Join(root, name), lock}).Remove()
		}
	}
}
