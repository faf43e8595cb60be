package server

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"herosup/zinit"
)

// identity is whom a process is to be.
type identity struct {
	credential *syscall.Credential // nil: as we are
	env        map[string]string   // what belongs to the user
}

// identify finds the user and group that a service names. What can not be had
// is refused: nothing ever runs as somebody else instead.
func identify(e zinit.Extension) (identity, error) {
	if e.User == "" && e.Group == "" {
		return identity{}, nil
	}
	id := identity{env: map[string]string{}}
	cred := syscall.Credential{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid()), NoSetGroups: true}
	if e.User != "" {
		u, err := lookUser(e.User)
		switch {
		case err != nil && e.Group == "":
			return id, fmt.Errorf("user %q: %w; a number without one needs a group", e.User, err)
		case err != nil:
			uid, numErr := number(e.User)
			if numErr != nil {
				return id, fmt.Errorf("user %q: %w", e.User, err)
			}
			cred.Uid, cred.NoSetGroups = uid, false
		default:
			if cred.Uid, cred.Gid, cred.Groups, err = numbers(u); err != nil {
				return id, fmt.Errorf("user %q: %w", e.User, err)
			}
			cred.NoSetGroups = false
			id.env = map[string]string{"HOME": u.HomeDir, "USER": u.Username, "LOGNAME": u.Username}
		}
	}
	if e.Group != "" {
		gid, err := lookGroup(e.Group)
		if err != nil {
			return id, fmt.Errorf("group %q: %w", e.Group, err)
		}
		cred.Gid = gid
	}
	self := cred.Uid == uint32(os.Geteuid()) && cred.Gid == uint32(os.Getegid())
	switch {
	case self && os.Geteuid() != 0:
		return id, nil // as we are, and to set that takes a right that we lack
	case os.Geteuid() != 0:
		return id, fmt.Errorf("user %q, group %q: the server runs as user %d and can become nobody else", e.User, e.Group, os.Geteuid())
	}
	id.credential = &cred
	return id, nil
}

var errNoUser = errors.New("there is none on this machine")

func lookUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return nil, errNoUser
	}
	return u, nil
}

func lookGroup(name string) (uint32, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return number(g.Gid)
	}
	gid, err := number(name)
	if err != nil {
		return 0, errNoUser
	}
	return gid, nil
}

// numbers are the ids of a user, all groups included.
func numbers(u *user.User) (uid, gid uint32, groups []uint32, err error) {
	ids, err := u.GroupIds()
	if err != nil {
		return 0, 0, nil, err
	}
	for _, text := range ids {
		g, err := number(text)
		if err != nil {
			return 0, 0, nil, err
		}
		groups = append(groups, g)
	}
	slices.Sort(groups)
	if uid, err = number(u.Uid); err == nil {
		gid, err = number(u.Gid)
	}
	return uid, gid, groups, err
}

func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}
