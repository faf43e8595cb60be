package events

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"
)

// Alive reports whether a process of this group still runs. It errs on the side of
// yes. A leader of another start time is another group: the kernel gives a number
// away again only when neither a process nor a group has it.
func (g ScriptGroup) Alive() bool {
	if g.PGID <= 1 {
		return false
	}
	if now, err := IncarnationOf(g.PGID); err == nil && g.Leader.Start != 0 && now.Start != g.Leader.Start {
		return false
	}
	return GroupRuns(g.PGID)
}

// GroupRuns reports whether a member of the process group runs. kill with signal 0
// asks the kernel whether the group has members; none is the common answer. It
// counts zombies, which run nothing and may stay for ever below a first process
// that does not reap, so members are looked at then. What can not be read counts as
// running.
func GroupRuns(pgid int) bool {
	if pgid <= 1 || errors.Is(syscall.Kill(-pgid, 0), syscall.ESRCH) {
		return false
	}
	for range 2 { // a member that forks while we read the list may be missed once
		if groupRuns(pgid) {
			return true
		}
	}
	return false
}

// groupRuns looks through /proc for a member that is no zombie.
func groupRuns(pgid int) bool {
	dir, err := os.Open("/proc")
	if err != nil {
		return true
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return true
	}
	// One buffer for all: there are many processes, and a group is looked at often while it ends. What is asked for
	// is in the first 100 bytes.
	var buf [512]byte
	for _, n := range names {
		if n[0] < '0' || n[0] > '9' {
			continue
		}
		fd, err := syscall.Open("/proc/"+n+"/stat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			continue // gone meanwhile
		}
		size, _ := syscall.Read(fd, buf[:])
		_ = syscall.Close(fd)
		if group, runs := statGroup(buf[:max(size, 0)]); group == pgid && runs {
			return true
		}
	}
	return false
}

// statGroup reads process group and whether the process runs anything (proc(5)). The command name may hold
// anything, so fields are counted from its last parenthesis.
func statGroup(stat []byte) (pgid int, runs bool) {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 3 {
		return 0, false
	}
	pgid, _ = strconv.Atoi(string(f[2]))
	return pgid, statRuns(f)
}
