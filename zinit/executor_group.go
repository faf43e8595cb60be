package zinit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
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
		if time.Since(begin) > reapMoment && !anyAlive(pgid) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// reapMoment is how long a parent usually takes to reap.
const reapMoment = 3 * time.Millisecond

// anyAlive looks through /proc for a member of the group that is no zombie.
func anyAlive(pgid int) bool {
	d, err := os.Open("/proc")
	if err != nil {
		return true // not known: not gone
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return true
	}
	want := []byte(strconv.Itoa(pgid))
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		b, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue
		}
		// Behind the last ')': state, parent, group.
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) > 2 && bytes.Equal(f[2], want) && f[0][0] != 'Z' && f[0][0] != 'X' {
			return true
		}
	}
	return false
}
