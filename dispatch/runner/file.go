package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ScriptFile finds the argument that stands for the script's file: "{script}" or "{script.EXT}", whole. at is -1 if
// there is none: the script then is the interpreter's standard input. name is the file's.
func ScriptFile(argv []string) (at int, name string) {
	for i, word := range argv {
		if i == 0 || !strings.HasPrefix(word, "{script") || !strings.HasSuffix(word, "}") {
			continue
		}
		if name := word[1 : len(word)-1]; fileName(name) {
			return i, name
		}
	}
	return -1, ""
}

// fileName: "script", or that with an extension.
func fileName(name string) bool {
	ext := strings.TrimPrefix(name, "script")
	if ext == "" {
		return true
	}
	return len(ext) > 1 && ext[0] == '.' && strings.IndexFunc(ext[1:], func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) < 0
}

// hold is what runs in the interpreter's place until the script's file is there: it waits for a line and then becomes
// the interpreter, the same process. Without the line (its sender died) it ends.
const hold = `read -r go && exec "$0" "$@" </dev/null`

// heldBy is the command line that does so. Whether the interpreter is there is asked before: behind the exec nobody could tell
// that from a script that ends with 127.
func heldBy(argv []string, dir string) ([]string, error) {
	program := argv[0]
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		program = filepath.Join(dir, program)
	}
	if _, err := exec.LookPath(program); err != nil {
		return nil, err
	}
	return append([]string{"/bin/sh", "-c", hold}, argv...), nil
}

// place is a folder for one script, ours alone. A lock on it says that its run lives: the kernel gives a lock back with
// the process that held it, however that ended, so what a killed one left is told from what is in use, and the next
// place that is made removes it.
type place struct {
	dir  string
	lock *os.File
}

const (
	// maxSwept bounds what one place looks at, chosen by chance; the next ones see the others.
	maxSwept = 100
	// maxPlaceTries bounds the race of a new place with those who sweep.
	maxPlaceTries = 100
)

// newPlace makes a folder below the user's own in the temporary directory.
func newPlace() (*place, error) {
	root := filepath.Join(os.TempDir(), "herosup-scripts-"+strconv.Itoa(os.Getuid()))
	if err := ownDir(root); err != nil {
		return nil, fmt.Errorf("make a file for the script: %w", err)
	}
	sweep(root)
	for range maxPlaceTries {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			return nil, fmt.Errorf("make a file for the script: %w", err)
		}
		lock, err := lockDir(dir)
		if err == nil && lock != nil {
			return &place{dir, lock}, nil
		}
		// Somebody swept it between the two calls.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("make a file for the script: %w", err)
		}
	}
	return nil, fmt.Errorf("make a file for the script: %s is swept faster than it is filled", root)
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

// sweep removes the places whose run is gone. What can not be removed is left: it is no reason not to run a script.
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
			(&place{filepath.Join(root, name), lock}).remove()
		}
	}
}

// write puts the script there.
func (p *place) write(name, script string) error {
	f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(script)
	return errors.Join(err, f.Close())
}

// remove takes the place away, with what the interpreter put beside the script; the lock goes last. No place is fine.
func (p *place) remove() {
	if p == nil {
		return
	}
	_ = os.RemoveAll(p.dir)
	_ = p.lock.Close()
}
