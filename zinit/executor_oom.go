package zinit

import (
	"os"
	"strconv"
	"strings"

	"herosup/events"
)

// oomWatch tells a process that the kernel killed for want of memory from one that
// somebody killed: both end by SIGKILL. The kernel counts its kills (proc(5), vmstat,
// field oom_kill; those in a cgroup are among them). It does not say whom, so a kill
// that was not seen a moment ago is laid to the process whose end is told now.
type oomWatch struct {
	kills func() uint64
	seen  uint64
}

func newOOMWatch() oomWatch {
	w := oomWatch{kills: oomKills}
	w.look()
	return w
}

// look takes what was counted so far for somebody else's: called often, and not
// while an end is being told.
func (w *oomWatch) look() { w.seen = w.kills() }

// explains reports whether the end of a process was the kernel's doing.
func (w *oomWatch) explains(e events.ProcessExited) bool {
	if e.Signal != "SIGKILL" || e.ByUs || w.kills() <= w.seen {
		return false
	}
	w.seen++ // another's end may be told next
	return true
}

// oomKills reads the count; 0 where there is none.
func oomKills() uint64 {
	b, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	return oomKillsIn(string(b))
}

func oomKillsIn(vmstat string) uint64 {
	for line := range strings.Lines(vmstat) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			kills, _ := strconv.ParseUint(strings.TrimSpace(n), 10, 64)
			return kills
		}
	}
	return 0
}
