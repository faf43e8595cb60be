package doctor

import (
	"context"
	"fmt"

	"herosup/events"
	"herosup/monitor"
)

// lookDaemon asks the daemon how it is. What it finds itself is told as it says it.
func lookDaemon(ctx context.Context, at scene, w *what) {
	switch {
	case at.pid == 0 && at.folder != nil:
		w.ok("none runs on this folder; its lock is free")
		return
	case at.pid == 0:
		w.ok("none runs")
		return
	case !at.told:
		w.note(fmt.Sprintf("PID %d holds the folder and is not ready", at.pid), "wait for its start to end, or see daemon.log in the state folder")
		return
	}
	bus, err := dial(ctx, at)
	if err != nil {
		w.bad(fmt.Sprintf("PID %d holds the folder and does not answer: %v", at.pid, err), at.hangs())
		return
	}
	defer bus.Close()
	var s monitor.Status
	if err := bus.Request(ctx, events.SystemStatus{}, &s); err != nil {
		w.bad(fmt.Sprintf("PID %d does not say how it is: %v", at.pid, err), at.hangs())
		return
	}
	for _, f := range s.Findings {
		w.bad(f, "see `herosup status`")
	}
	if s.Well {
		w.ok(fmt.Sprintf("PID %d holds the folder, answers and is well", at.pid))
	}
}

// hangs is the hint for a daemon that is there and says nothing: it can not be asked
// to go down, either.
func (at scene) hangs() string {
	return fmt.Sprintf("see daemon.log in the state folder; `kill -9 %d` and `herosup up` start it anew, no job is lost", at.pid)
}
