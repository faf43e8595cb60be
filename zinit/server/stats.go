package server

import (
	"context"
	"os"
	"time"

	"herosup/zinit"
)

const (
	// statsWindow is the time over which CPU use is measured.
	statsWindow = 200 * time.Millisecond
	// ticksPerSecond is the unit of CPU times in /proc: USER_HZ, 100 on every
	// architecture that Go runs on under Linux.
	ticksPerSecond = 100
)

// measure is what the process and its descendants use. ok is false when it is
// gone.
func measure(ctx context.Context, name string, pid int) (s zinit.Stats, ok bool) {
	before := make(map[int]proc)
	for _, p := range family(pid) {
		before[p.pid] = p
	}
	began := time.Now()
	select {
	case <-time.After(statsWindow):
	case <-ctx.Done():
		return s, false
	}
	window := time.Since(began)
	s = zinit.Stats{Name: name, Children: []zinit.Usage{}}
	for _, p := range family(pid) {
		u := zinit.Usage{PID: p.pid, Memory: p.pages * uint64(os.Getpagesize())}
		if b, known := before[p.pid]; known && b.start == p.start {
			used := float64(p.ticks-b.ticks) / ticksPerSecond
			u.CPU = float32(100 * used / window.Seconds())
		}
		if p.pid == pid {
			s.Usage, ok = u, true
		} else {
			s.Children = append(s.Children, u)
		}
	}
	return s, ok
}

// family is a process and all its descendants.
func family(pid int) []proc {
	all, err := allProcs()
	if err != nil {
		return nil
	}
	members := descendants(all, pid)
	for _, p := range all {
		if p.pid == pid {
			members = append(members, p)
		}
	}
	return members
}
