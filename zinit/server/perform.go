package server

import (
	"errors"
	"syscall"
	"time"

	"herosup/events"

	"golang.org/x/sys/unix"
)

// perform does what a unit wants done.
func (l *loop) perform(u *unit, acts []action) {
	for _, a := range acts {
		switch a.do {
		case doSpawn:
			l.begin(u, false)
		case doTest:
			l.begin(u, true)
		case doSignal:
			l.signal(u, a.pid, a.signal)
		case doClear:
			l.clear(u, a)
		}
	}
}

// signal sends to the group that pid leads: the main process of u or a run of
// its test. pid is ours and not reaped, so the number is still that group's, or
// adopted, and then we hold more than a number.
func (l *loop) signal(u *unit, pid int, sig syscall.Signal) {
	var err error
	if pid == u.pid {
		err = l.signalMain(u, sig)
	} else {
		err = unix.Kill(-pid, sig)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		l.log.Warn("signal not sent", "pid", pid, "signal", unix.SignalName(sig), "err", err)
	}
}

// begin starts the main process of u, or a run of its test. Fork and exec can
// take long (a slow disk under the program), so they have a goroutine.
func (l *loop) begin(u *unit, test bool) {
	mark := l.records.mark(u.name)
	p := plan{
		label: u.name, argv: u.spec.Exec, dir: u.spec.Dir, log: u.spec.Log, ext: u.spec.Extension,
		env: []map[string]string{l.env, u.spec.Env}, mark: mark,
	}
	if test {
		p.label, p.argv, p.mark = u.name+testLabel, u.spec.Test, testMark(mark)
		p.again = u.test.failed > 0
		p.ext.SHA256 = "" // which is the service's program
	}
	life := u.life
	l.starts++
	l.workers.Go(func() {
		did, err := l.spawner.start(p)
		if err == nil && !test {
			l.record(u.name, did.pid)
		}
		l.post(func() { l.begun(u, test, life, did, err) })
	})
}

// record has the next server find the process.
func (l *loop) record(service string, pid int) {
	life, err := events.IncarnationOf(pid)
	if errors.Is(err, events.ErrNoProcess) {
		return // over already
	}
	if err == nil {
		err = l.records.write(service, life)
	}
	if err != nil {
		l.log.Warn("process not noted", "service", service, "err", err)
	}
}

// begun is what became of a start.
func (l *loop) begun(u *unit, test bool, life int, did launched, err error) {
	l.starts--
	pid := did.pid
	if !test {
		l.tellUnmet(u, did.unmet)
	}
	now := time.Now()
	over, isOver := l.early[pid]
	isOver = isOver && !isChild(pid) // or it was an orphan's, who had the number before
	delete(l.early, pid)
	if l.starts == 0 {
		clear(l.early) // orphans that came to us to be reaped
	}
	if err != nil {
		l.tellNotStarted(u, test, err)
	} else if !isOver {
		l.owners[pid] = owner{u, test}
	}
	switch {
	case !test && err != nil:
		u.spawnFailed(transient(err), now)
	case !test:
		acts := u.spawned(pid, now)
		if isOver {
			l.mainExited(u, pid, over)
			return
		}
		l.perform(u, acts)
	case u.life != life || u.phase != alive:
		if err == nil && !isOver { // the test of a life that is over
			l.signal(u, pid, syscall.SIGKILL)
		}
	case err != nil:
		u.testStarted(0, now)
	default:
		u.testStarted(pid, now)
		if isOver {
			l.testExited(u, pid, over)
		}
	}
}

// tellNotStarted says why there is no process; of a test, which is tried again for as long as its
// service lives, whenever that changes.
func (l *loop) tellNotStarted(u *unit, test bool, err error) {
	text := "cannot start: " + err.Error()
	if test {
		if text = "cannot start its test: " + err.Error(); u.test.told == text {
			return
		}
		u.test.told = text
	}
	l.log.Warn("process not started", "service", u.name, "test", test, "err", err)
	l.spawner.logs.add(line{stderr, u.name, text})
}

// tellUnmet says what is asked for and does not hold, whenever that changes.
func (l *loop) tellUnmet(u *unit, unmet string) {
	if unmet != "" && unmet != u.unmet {
		l.log.Warn("service runs without a bound", "service", u.name, "reason", unmet)
		l.spawner.logs.add(line{stderr, u.name, unmet})
	}
	u.unmet = unmet
}

// clear ends what is left of u after its main process, in a goroutine.
func (l *loop) clear(u *unit, a action) {
	rest := newRemains(u.group, l.records.mark(u.name), l.inherited[u])
	end := ending{polite: u.stopSignal(), killAt: a.killAt, told: a.pid, closes: l.closes, closing: u.spec.Grace()}
	l.workers.Go(func() {
		left := end.run(l.work, rest.find)
		l.post(func() {
			for _, p := range left {
				l.log.Warn("process can not be ended", "service", u.name, "pid", p.pid)
			}
			if len(left) == 0 {
				delete(l.inherited, u)
			}
			l.spawner.cgroups.remove(u.name)
			// Zombies run nothing but are still in the group for who asks the kernel.
			l.reap()
			u.cleared()
		})
	})
}
