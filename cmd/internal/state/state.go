// Package state is the state folder: where it lies, who holds it, and the names
// of what is in it.
//
//	id           eight hex digits, made once; part of service names
//	lock         held by the daemon while it runs; its PID inside
//	daemon.json  how to reach the running daemon (Runtime)
//	bin/         the copy of our binary that services name
//	nats/        keys, port and streams of the embedded server
//	zinit/       service files of our own process manager, and its log
//	redis/       what the Redis that we started keeps
//
// Sockets lie in the folder too, unless its path is too long for one: then they
// lie in a short folder of their own, named after the id.
package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

// Folder is one state folder that exists.
type Folder struct {
	Dir string
	// ID is eight hex digits.
	ID      string
	sockets string
}

// Default is the folder used when none is named: /var/lib/herosup for root,
// else the XDG state folder.
func Default() (string, error) {
	if d := os.Getenv("HEROSUP_STATE"); d != "" {
		return d, nil
	}
	if d := os.Getenv("STATE_DIRECTORY"); d != "" { // set by systemd
		return d, nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/herosup", nil
	}
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "herosup"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("state folder: %w (name one with --state or HEROSUP_STATE)", err)
	}
	return filepath.Join(home, ".local", "state", "herosup"), nil
}

// ErrNone says that there is no state folder there yet.
var ErrNone = errors.New("no state folder")

// Open returns an existing folder, or an error that wraps ErrNone.
func Open(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "id"))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%w at %s", ErrNone, dir)
	case err != nil:
		return nil, fmt.Errorf("state folder: %w", err)
	}
	id := strings.TrimSpace(string(b))
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 4 {
		return nil, fmt.Errorf("state folder %s: id %q is not eight hex digits (restore the file, or start with another folder)", dir, id)
	}
	f := &Folder{Dir: dir, ID: id}
	if f.sockets, err = socketDir(dir, id); err != nil {
		return nil, err
	}
	return f, nil
}

// Make opens the folder and makes it when it is not there.
func Make(dir string) (*Folder, error) {
	f, err := Open(dir)
	if !errors.Is(err, ErrNone) {
		return f, err
	}
	hint := "(choose another with --state or HEROSUP_STATE)"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder can not be made: %w %s", err, hint)
	}
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	// Exclusive: two first starts at once must agree on one id.
	tmp, err := os.CreateTemp(dir, ".id-*")
	if err != nil {
		return nil, fmt.Errorf("state folder can not be written: %w %s", err, hint)
	}
	defer os.Remove(tmp.Name())
	_, err = fmt.Fprintln(tmp, hex.EncodeToString(id[:]))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, fmt.Errorf("state folder can not be written: %w %s", err, hint)
	}
	if err := os.Link(tmp.Name(), filepath.Join(dir, "id")); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("state folder can not be written: %w %s", err, hint)
	}
	return Open(dir)
}

// Path joins names below the folder.
func (f *Folder) Path(names ...string) string {
	return filepath.Join(append([]string{f.Dir}, names...)...)
}

// Socket is the path of a unix socket, short enough for the kernel.
func (f *Folder) Socket(name string) string { return filepath.Join(f.sockets, name+".sock") }

// Service is the name of one of our services in a zinit that others may use too.
func (f *Folder) Service(name string) string { return f.ServicePrefix() + name }

// ServicePrefix begins the names of all our services.
func (f *Folder) ServicePrefix() string { return "herosup-" + f.ID + "-" }

// Remove deletes the folder's short socket folder, if there is one.
func (f *Folder) RemoveSockets() error {
	if f.sockets == f.Dir {
		return nil
	}
	return os.RemoveAll(f.sockets)
}

// maxSocket is what fits sun_path with its final zero, less the longest name we
// use and the suffixes that servers add beside their socket.
const maxSocket = 107 - len("/redis.sock.lock")

func socketDir(dir, id string) (string, error) {
	if len(dir) <= maxSocket {
		return dir, nil
	}
	base := os.Getenv("XDG_RUNTIME_DIR")
	if !filepath.IsAbs(base) || len(base) > maxSocket-len("/herosup-00000000") {
		base = os.TempDir()
		if len(base) > maxSocket-len("/herosup-00000000") {
			base = "/tmp"
		}
	}
	short := filepath.Join(base, "herosup-"+id)
	if err := os.Mkdir(short, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("socket folder: %w", err)
	}
	// In a shared folder somebody else may have been first.
	st, err := os.Lstat(short)
	if err != nil {
		return "", fmt.Errorf("socket folder: %w", err)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); !st.IsDir() || st.Mode().Perm() != 0o700 || !ok || int(sys.Uid) != os.Geteuid() {
		return "", fmt.Errorf("socket folder %s: not a folder of ours with mode 0700 (remove it, or choose a shorter --state)", short)
	}
	return short, nil
}

func writeFile(path string, b []byte) error { return renameio.WriteFile(path, b, 0o600) }
