package server

import (
	"sync"
	"syscall"
	"time"
)

// sweepGrace is what processes that belong to no service any more (left by something
// forgotten) get between TERM and KILL.
const sweepGrace = 500 * time.Millisecond

// shutdown is the end of everything.
type shutdown struct {
	sweeping bool
	swept    bool
	clean    bool // nothing is left
	reboot   bool // somebody asked for one
	then     []func()
}

// shutdown begins the end, or joins one that has begun. then is called when
// nothing of ours lives any more.
func (l *loop) shutdown(then func()) {
	if l.closing == nil {
		l.log.Info("shutting down", "services", len(l.units))
		l.closing = &shutdown{}
		close(l.closes)
		for _, u := range l.units {
			u.close(time.Now())
		}
	}
	if then != nil {
		l.closing.then = append(l.closing.then, then)
	}
}

// proceedClosing stops those whose turn it is, and when all are down, whatever
// else descends from us.
func (l *loop) proceedClosing(now time.Time) {
	for _, u := range nextToStop(l.units, now) {
		l.perform(u, u.stop(now, false))
	}
	if l.closing.sweeping || !l.allDown(now) {
		return
	}
	l.closing.sweeping = true
	ends := make(map[string]ending)
	for name, u := range l.units {
		if u.spec.Oneshot && u.phase == down {
			ends[name] = ending{polite: u.stopSignal(), killAt: now.Add(u.spec.Grace())}
		}
	}
	l.workers.Go(func() {
		l.endLeft(ends)
		left := ending{polite: syscall.SIGTERM, killAt: time.Now().Add(sweepGrace)}.run(l.work, l.offspring)
		l.post(func() { l.swept(left) })
	})
}

// endLeft ends what oneshots have left on purpose (the daemon that one has started), each as
// its own stop would.
func (l *loop) endLeft(ends map[string]ending) {
	if len(ends) == 0 {
		return
	}
	marked, err := l.records.marked(0)
	if err != nil {
		l.log.Warn("no look at what oneshots have left", "err", err)
	}
	var all sync.WaitGroup
	for service := range marked {
		if end, known := ends[service]; known {
			rest := newRemains(0, l.records.mark(service), true)
			all.Go(func() { end.run(l.work, rest.find) })
		}
	}
	all.Wait()
}

// swept is the end of the end.
func (l *loop) swept(left []proc) {
	for _, p := range left {
		l.log.Warn("process can not be ended", "pid", p.pid)
	}
	l.closing.swept, l.closing.clean = true, len(left) == 0
	for _, then := range l.closing.then {
		then()
	}
}

// allDown reports whether every unit is down, or stays although it was killed:
// a process in a system call that does not return would keep us for ever.
func (l *loop) allDown(now time.Time) bool {
	if l.starts > 0 {
		return false
	}
	for _, u := range l.units {
		if u.phase != down && !u.deaf(now) {
			return false
		}
	}
	return true
}
