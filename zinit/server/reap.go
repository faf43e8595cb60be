package server

import (
	"fmt"
	"time"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// reapTurn is how many children are reaped before others get their turn: a
// service that forks without end must not have the loop for itself.
const reapTurn = 256

// reap collects the children that have ended, adopted orphans included. It is
// the only place that does. more says that there may be others.
func (l *loop) reap() (more bool) {
	for range reapTurn {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return false
		}
		if status.Stopped() {
			continue // held for its bounds to be set, see forkExec
		}
		o, ours := l.owners[pid]
		delete(l.owners, pid)
		switch {
		case ours && o.test:
			l.testExited(o.unit, pid, status)
		case ours:
			l.mainExited(o.unit, pid, status)
		case l.starts > 0:
			l.early[pid] = status // an orphan, or one whose start is not told yet
		}
	}
	return true
}

// isChild reports whether a process with this number is ours to reap.
func isChild(pid int) bool {
	return unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) != unix.ECHILD
}

// mainExited says that the main process of u has ended.
func (l *loop) mainExited(u *unit, pid int, status unix.WaitStatus) {
	how := endOf(pid, status)
	l.log.Debug("process ended", "service", u.name, "pid", pid, "state", how.String())
	l.over(u, how, l.left(u))
}

// over says that the main process of u has ended, and whether anything is left.
func (l *loop) over(u *unit, how zinit.State, left bool) {
	acts := u.exited(how, left, time.Now())
	killed := how.Signal == "SIGKILL" || how.Kind == zinit.Unknown // adopted: see foreign.go
	if u.spec.Memory != 0 && killed && l.spawner.cgroups.outOfMemory(u.name) {
		u.last.OutOfMemory = true
		text := fmt.Sprintf("out of memory: the kernel killed it at its memory_max of %d bytes", u.spec.Memory)
		l.log.Warn("service killed", "service", u.name, "reason", text)
		l.spawner.logs.add(line{stderr, u.name, text})
	}
	l.perform(u, acts)
	l.tellGivenUp(u)
}

// tellGivenUp says that the budget of restarts is used up.
func (l *loop) tellGivenUp(u *unit) {
	if r := u.spec.Restart; u.state.Kind == zinit.Failure {
		text := fmt.Sprintf("given up: more than %d ends within %s; start it to try again", r.MaxExits, r.Within)
		l.log.Warn("service given up", "service", u.name, "reason", text)
		l.spawner.logs.add(line{stderr, u.name, text})
	}
}

// testExited says that a run of a test has ended. What it left in its group is
// ended too; its next run has another.
func (l *loop) testExited(u *unit, pid int, status unix.WaitStatus) {
	if groupExists(pid) {
		rest := newRemains(pid, "", false)
		l.workers.Go(func() { ending{killAt: time.Now()}.run(l.work, rest.find) })
	}
	if u.test.pid == pid {
		u.tested(status.Exited() && status.ExitStatus() == 0, time.Now())
	}
}

// left reports whether something of u may be left after its main process:
// somebody is in its group, or an orphan has come to us. It may say yes too
// often, never too seldom: who clears looks closely.
func (l *loop) left(u *unit) bool {
	if l.inherited[u] {
		return true
	}
	if u.group == 0 {
		return false
	}
	if groupExists(u.group) {
		return true
	}
	children, ok := ownChildren()
	if !ok {
		return true
	}
	for _, pid := range children {
		if _, known := l.owners[pid]; !known && !l.keeper.is(pid) {
			return true
		}
	}
	return false
}

// groupExists reports whether any process, zombies included, is in the group.
func groupExists(group int) bool { return unix.Kill(-group, 0) != unix.ESRCH }

// endOf is how a process ended, in zinit's words.
func endOf(pid int, status unix.WaitStatus) zinit.State {
	switch {
	case status.Signaled():
		name := unix.SignalName(status.Signal())
		if name == "" {
			name = status.Signal().String() // a real-time signal
		}
		return zinit.State{Kind: zinit.Signaled, PID: pid, Signal: name, Core: status.CoreDump()}
	case status.ExitStatus() == 0:
		return zinit.State{Kind: zinit.Success}
	default:
		return zinit.State{Kind: zinit.Exited, PID: pid, Code: status.ExitStatus()}
	}
}
