package runner

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// signalGroup may only be called while the leader is not reaped: until then nobody else can have the number.
func signalGroup(pgid int, signals ...unix.Signal) {
	for _, s := range signals {
		_ = unix.Kill(-pgid, s) // ESRCH: nobody is left, which is what we want
	}
}

// waitExit returns when the child has ended, without reaping it.
func waitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return // ended, or (ECHILD) somebody else reaped it
		}
	}
}

// waitEmpty waits until no process of the group runs: true, or false after the time.
func waitEmpty(pgid int, within time.Duration) bool {
	const first, longest = 100 * time.Microsecond, 10 * time.Millisecond
	until := time.Now().Add(within)
	for pause := first; ; pause = min(2*pause, longest) {
		if groupEmpty(pgid) {
			return true
		}
		if time.Now().After(until) {
			return false
		}
		<-time.After(pause) // no event tells of the last process of a group
	}
}

// groupEmpty reports whether nothing runs in a group. The kernel counts zombies as members, so a PID 1 that
// collects late would make an empty group look alive for seconds; only then /proc is read.
func groupEmpty(pgid int) bool {
	if errors.Is(unix.Kill(-pgid, 0), unix.ESRCH) {
		return true
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return false
	}
	for _, name := range names {
		if name[0] >= '1' && name[0] <= '9' && runsIn(name, pgid) {
			return false
		}
	}
	return true
}

// runsIn reports whether the process is in the group and no zombie: proc(5), stat, fields 3 (state) and 5 (pgrp).
func runsIn(pid string, pgid int) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	return len(f) > 2 && string(f[2]) == strconv.Itoa(pgid) && f[0][0] != 'Z' && f[0][0] != 'X'
}
