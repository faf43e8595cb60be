package dispatch

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"

	"herosup/dispatch/store"
	"herosup/events"
)

// groupAlive reports whether a process of the recorded script group still runs. It
// errs on the side of yes.
//
// kill with signal 0 asks the kernel whether the group has members; none is the
// common answer. It counts zombies, which run nothing and may stay for ever below
// a first process that does not reap, so members are looked at then. A leader of
// another start time is another group: the kernel gives a number away again only
// when neither a process nor a group has it.
func groupAlive(g store.Group) bool {
	if g.PGID <= 1 {
		return false
	}
	if errors.Is(syscall.Kill(-g.PGID, 0), syscall.ESRCH) {
		return false
	}
	if leader, err := events.IncarnationOf(g.PGID); err == nil && g.Start != 0 && leader.Start != g.Start {
		return false
	}
	// Twice: a member that forks while we read the list may be missed once.
	first := groupRuns(g.PGID)
	return first || groupRuns(g.PGID)
}

// groupRuns looks for a member that is no zombie.
func groupRuns(pgid int) bool {
	dir, err := os.Open("/proc")
	if err != nil {
		return true
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return true
	}
	for _, n := range names {
		if n[0] < '0' || n[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + n + "/stat")
		if err != nil {
			continue // gone meanwhile
		}
		if group, state := statGroup(stat); group == pgid && state != 'Z' && state != 'X' {
			return true
		}
	}
	return false
}

// statGroup reads process group and state (proc(5)). The command name may hold
// anything, so fields are counted from its last parenthesis.
func statGroup(stat []byte) (pgid int, state byte) {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 3 {
		return 0, 'X'
	}
	pgid, _ = strconv.Atoi(string(f[2]))
	return pgid, f[0][0]
}

// scriptGroup says a recorded group in the bus' words. The leader is of the boot
// of the actor that started it.
func scriptGroup(g store.Group, actor events.Incarnation) events.ScriptGroup {
	return events.ScriptGroup{PGID: g.PGID, Leader: events.Incarnation{Boot: actor.Boot, PID: g.PGID, Start: g.Start}}
}
