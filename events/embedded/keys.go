package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
)

// Role is one of the accounts that outsiders can have.
type Role string

// The roles, with what each may do in the package comment.
const (
	Operator  Role = "operator"
	Submitter Role = "submitter"
	Observer  Role = "observer"
)

// Roles lists them in a fixed order.
func Roles() []Role { return []Role{Operator, Submitter, Observer} }

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles() {
		if string(r) == s {
			return r, nil
		}
	}
	return "", fmt.Errorf("role %q is unknown: want operator, submitter or observer", s)
}

// KeyFile is where the seed of the role lies below the server's folder. The
// stock nats CLI takes it as --nkey.
func KeyFile(dir string, r Role) string { return filepath.Join(dir, "keys", string(r)+".nk") }

// loadOrMakeKey returns the key pair of a role, made at the first start.
func loadOrMakeKey(dir string, r Role) (nkeys.KeyPair, error) {
	file := KeyFile(dir, r)
	seed, err := os.ReadFile(file)
	if err == nil && len(seed) == 0 {
		// A start that was killed, or had no room on the disk, has made it and not written it: it is nobody's yet.
		if err := os.Remove(file); err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		err = fs.ErrNotExist
	}
	switch {
	case err == nil:
		kp, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(seed))))
		if err != nil {
			return nil, fmt.Errorf("key file %s: %w (remove it to get a new key)", file, err)
		}
		return kp, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("key file: %w", err)
	}
	kp, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make key of %s: %w", r, err)
	}
	if seed, err = kp.Seed(); err != nil {
		return nil, fmt.Errorf("make key of %s: %w", r, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("key folder: %w", err)
	}
	// O_EXCL: a key that appeared meanwhile must not be overwritten under those
	// who already use it.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	_, err = f.Write(append(seed, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("key file %s: %w", file, err)
	}
	return kp, nil
}
