package zinit

import (
	"context"
	"errors"
	"syscall"
	"time"

	"herosup/events"
)

// killGroup ends every process of a group and returns when none is left that
// runs anything; false when some are after buryPatience. leader guards against a
// number that the kernel gave to somebody else: a group's number is not reused
// while the group has a member, so a leader of another life means that ours is
// gone.
func killGroup(ctx context.Context, pgid int, leader events.Incarnation) bool {
	ctx, cancel := context.WithTimeout(ctx, buryPatience)
	defer cancel()
	begin := time.Now()
	for wait := firstPoll / 10; ; wait = min(2*wait, 20*time.Millisecond) {
		if now, err := events.IncarnationOf(pgid); err == nil && now != leader {
			return true
		}
		if err := syscall.Kill(-pgid, syscall.SIGKILL); errors.Is(err, syscall.ESRCH) {
			return true
		}
		// The members may all be zombies that nobody reaps: they hold the number
		// and run nothing. Usually they are reaped in a moment, and a look through
		// /proc costs more than that moment.
		if time.Since(begin) > reapMoment && !events.GroupRuns(pgid) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// killGroups ends them all, at one time rather than one after the other.
func killGroups(ctx context.Context, groups []events.ScriptGroup) bool {
	clear := make(chan bool, len(groups))
	for _, g := range groups {
		go func() { clear <- g.PGID <= 1 || killGroup(ctx, g.PGID, g.Leader) }()
	}
	all := true
	for range groups {
		all = <-clear && all
	}
	return all
}

// reapMoment is how long a parent usually takes to reap.
const reapMoment = 3 * time.Millisecond
