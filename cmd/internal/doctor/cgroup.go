package doctor

import (
	"context"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"herosup/zinit/server"
)

// lookCgroup is about our own zinit, which alone sets bounds: the group that counts
// is that of its process, or ours when it has yet to be started.
func lookCgroup(_ context.Context, at scene, w *what) {
	pid := 0
	if at.folder != nil {
		// The holder of the lock beside the socket; a stale number is of no process.
		b, _ := os.ReadFile(at.folder.Socket("zinit") + ".lock")
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && procExists(n) {
			pid = n
		}
	}
	var bounded []string
	for _, name := range slices.Sorted(maps.Keys(at.Config.Pools)) {
		if l := at.Config.Pools[name].Limits; l.Memory != "" || l.CPU != 0 {
			bounded = append(bounded, name)
		}
	}
	judgeCgroup(w, server.Bounds(pid), bounded)
}

// judgeCgroup: bounds that can not be set are bad only where a pool has some.
func judgeCgroup(w *what, err error, bounded []string) {
	const hint = "run as root, or under a systemd unit with Delegate=yes"
	switch {
	case err == nil:
		w.ok("cgroup v2 can be written: limits of memory and cpu hold")
	case len(bounded) > 0:
		w.bad(err.Error()+": limits of memory and cpu do not hold (pools: "+strings.Join(bounded, " ")+")", hint)
	default:
		w.note(err.Error()+": limits of memory and cpu would not hold; no pool has any", hint)
	}
}

func procExists(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return pid > 0 && err == nil
}
