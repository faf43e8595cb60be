package server

import (
	"errors"
	"fmt"
	"os"
	"time"

	"herosup/events"
	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// inherit takes over what an earlier server over the folder left when it was
// killed: a process that was noted and lives goes on as its service's, the rest
// of a service whose process has ended is ended too before the next begins.
// It is called before run.
func (l *loop) inherit(services map[string]zinit.Service) error {
	marked, err := l.records.marked(endPatience)
	if err != nil {
		return err
	}
	now := time.Now()
	for name, spec := range services {
		u := l.take(name, spec)
		noted, s := l.records.read(name), l.records.readStanding(name, l.world)
		f, err := openForeign(noted)
		if err != nil {
			return fmt.Errorf("adopt service %s: %w", name, err)
		}
		left := len(marked[name]) > 0 || f != nil
		if left {
			l.inherited[u] = true
		}
		if f == nil {
			l.perform(u, u.resume(s, left, now))
			continue
		}
		l.log.Info("process adopted", "service", name, "pid", noted.PID, "target", s.Target)
		l.endTests(marked[name])
		l.foreign[u] = f
		if spec.Memory != 0 {
			_, _ = l.spawner.cgroups.ready()    // it may have a group already
			l.spawner.cgroups.outOfMemory(name) // what was killed before is not this life's
		}
		l.watch(u, f)
		l.perform(u, u.adopt(noted.PID, s.Target, now))
	}
	l.tellStrangers(services, marked)
	return nil
}

// endTests ends runs of a test that nobody waits for any more.
func (l *loop) endTests(marked []proc) {
	for _, p := range marked {
		if p.test {
			_ = signalProc(p, unix.SIGKILL) // gone already, or gone now
		}
	}
}

// tellStrangers names the processes that belong to no service any more. They
// are left alone until the shutdown, which ends them.
func (l *loop) tellStrangers(services map[string]zinit.Service, marked map[string][]proc) {
	for name, procs := range marked {
		if _, known := services[name]; known {
			continue
		}
		for _, p := range procs {
			l.log.Warn("process of a service that has no file any more", "service", name, "pid", p.pid)
		}
	}
}

// watch waits for the end of an adopted process.
func (l *loop) watch(u *unit, f *foreign) {
	l.workers.Go(func() {
		how, err := f.wait(l.watching)
		if l.watching.Err() != nil {
			f.close()
			return
		}
		if err != nil {
			l.log.Warn("adopted process can not be watched", "service", u.name, "err", err)
		}
		l.post(func() { l.foreignExited(u, f, how) })
	})
}

// foreignExited says that the adopted process of u has ended.
func (l *loop) foreignExited(u *unit, f *foreign, how zinit.State) {
	l.log.Debug("adopted process ended", "service", u.name, "pid", f.pid, "state", how.String())
	delete(l.foreign, u)
	l.over(u, how, true)
	f.close()
}

// signalMain signals the group of the main process of u.
func (l *loop) signalMain(u *unit, sig unix.Signal) error {
	if f := l.foreign[u]; f != nil {
		return f.signalGroup(sig)
	}
	return unix.Kill(-u.pid, sig)
}

// note has everything written down that the next server would have to know.
func (l *loop) note() {
	for name, u := range l.units {
		s := u.standing(l.world)
		if l.asked[u] == s {
			continue
		}
		l.asked[u] = s
		l.notes.put(name, s, func(err error) {
			l.post(func() {
				if err != nil {
					l.log.Warn("standing not noted", "service", name, "err", err)
				}
				if l.units[name] == u {
					l.noted[u] = s
				}
			})
		})
	}
}

// isNoted reports whether what is known of u is on disk.
func (l *loop) isNoted(u *unit) bool {
	return l.noted[u] == l.asked[u] && l.asked[u] == u.standing(l.world)
}

// take makes a service one of ours.
func (l *loop) take(name string, spec zinit.Service) *unit {
	u := newUnit(name, spec)
	l.units[name] = u
	l.spawner.logs.logTo(name, spec.LogFile, l.log)
	return u
}

// forgetUnit drops what is kept of a unit beside it.
func (l *loop) forgetUnit(u *unit) {
	delete(l.units, u.name)
	delete(l.asked, u)
	delete(l.noted, u)
	delete(l.inherited, u)
	l.records.remove(u.name)
	l.spawner.logs.logTo(u.name, zinit.LogFile{}, l.log)
	l.spawner.cgroups.remove(u.name)
	// Behind what may still wait to be written.
	l.notes.put(u.name, standing{Target: zinit.Up}, func(error) {})
}

// Survivors are the processes that a killed server over the folder left: by
// service, those that were noted and live or carry its mark.
func Survivors(dir string) (map[string][]int, error) {
	r := newRecords(dir)
	services, err := r.services()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // there never was one
	}
	if err != nil {
		return nil, err
	}
	marked, err := r.marked(endPatience)
	if err != nil {
		return nil, err
	}
	all := make(map[string][]int)
	for service, procs := range marked {
		for _, p := range procs {
			all[service] = append(all[service], p.pid)
		}
	}
	for _, service := range services {
		if life := r.read(service); all[service] == nil && life != (events.Incarnation{}) && life.Alive() {
			all[service] = []int{life.PID}
		}
	}
	return all, nil
}
