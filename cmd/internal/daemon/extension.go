package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"herosup/cmd/internal/config"
	"herosup/zinit"
)

// extension is what a pool asks of the process manager beyond what any zinit
// does, or why this one can not: a bound that silently did not hold would be
// worse than none.
func (d *Daemon) extension(ctx context.Context, name string, p config.Pool, program string) (zinit.Extension, error) {
	e, err := p.Extension()
	if err != nil || e.IsZero() {
		return e, err
	}
	if !d.ownZinit && !d.zinit.Extends(ctx) {
		return e, fmt.Errorf("pools.%s: user and limits need our own zinit, and %s is another: leave them out, or set zinit: {socket: %s}",
			name, d.socket, OwnZinit)
	}
	if p.User == "" {
		return e, nil
	}
	u, err := user.Lookup(p.User)
	if err != nil {
		u, err = user.LookupId(p.User)
	}
	if err != nil {
		return e, fmt.Errorf("pools.%s.user: there is no user %q on this machine", name, p.User)
	}
	if err := d.reachable(u, program); err != nil {
		return e, fmt.Errorf("pools.%s.user: %s can not work: %w", name, p.User, err)
	}
	return e, nil
}

// reachable reports whether the actors of a user find what they need: the
// program and, where that is a socket of this machine, Redis.
func (d *Daemon) reachable(u *user.User, program string) error {
	groups, err := u.GroupIds()
	if err != nil {
		return err
	}
	who := rights{uid: u.Uid, groups: groups}
	const execute, write = 1, 2
	if path, err := exec.LookPath(program); err == nil { // one that is not there is the pool's condition
		if err := who.check(path, execute); err != nil {
			return fmt.Errorf("%w: give a command that is outside of the state folder, or let him in", err)
		}
	}
	if at, err := url.Parse(d.redis.URL); err == nil && at.Scheme == "unix" {
		if err := who.check(at.Path, write); err != nil {
			return fmt.Errorf("%w: give a redis.url that he may use", err)
		}
	}
	return nil
}

// rights are those of a user, as far as the modes of files go.
type rights struct {
	uid    string
	groups []string
}

// check says what keeps the user from a file: need is the bit that he must have
// of it, and of each folder above he must be able to enter it.
func (r rights) check(path string, need os.FileMode) error {
	if r.uid == "0" {
		return nil
	}
	for at := path; ; at, need = filepath.Dir(at), 1 {
		fi, err := os.Stat(at)
		if at == path && errors.Is(err, os.ErrNotExist) {
			continue // a socket of what is still to be started: its folder decides
		}
		if err != nil {
			return err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		shift := 0
		switch {
		case strconv.FormatUint(uint64(st.Uid), 10) == r.uid:
			shift = 6
		case slices.Contains(r.groups, strconv.FormatUint(uint64(st.Gid), 10)):
			shift = 3
		}
		if fi.Mode().Perm()>>shift&need == 0 {
			return fmt.Errorf("%s has mode %04o", at, fi.Mode().Perm())
		}
		if at == "/" || at == "." {
			return nil
		}
	}
}
