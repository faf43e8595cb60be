package runner

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"herosup/events"
)

// signalGroup may only be called while the leader is not reaped: until then nobody else can have the number.
func signalGroup(pgid int, signals ...unix.Signal) {
	for _, s := range signals {
		_ = unix.Kill(-pgid, s) // ESRCH: nobody is left, which is what we want
		if in, err := unix.Getpgid(pgid); err == nil && in != pgid {
			_ = unix.Kill(pgid, s) // the leader itself went into another group
		}
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

// waitEmpty waits until no process of the group runs: true, or false after the time. The kernel counts zombies as
// members, so a PID 1 that collects late would make an empty group look alive for seconds; GroupRuns does not.
func waitEmpty(pgid int, within time.Duration) bool {
	const first, longest = 100 * time.Microsecond, 10 * time.Millisecond
	until := time.Now().Add(within)
	for pause := first; ; pause = min(2*pause, longest) {
		if !events.GroupRuns(pgid) {
			return true
		}
		if time.Now().After(until) {
			return false
		}
		<-time.After(pause) // no event tells of the last process of a group
	}
}
