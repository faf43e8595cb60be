package zinit

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// remove takes a stopped service and its file away.
func (z crate) remove(name string) error {
	s, shown, err := z.look(name)
	if err != nil {
		return err
	}
	if err := refuse(s.PID != 0, ServiceIsUp, "service '%s' is up, and this zinit removes no file without its service", name); err != nil {
		return err
	}
	// It signals whoever has that PID by then, which takes it some seconds.
	if err := refuse(shown != 0 && !unused(shown), ProcessError, "this zinit has lost sight of service '%s' and takes it to run as PID %d: "+
		"zinit itself has to be started again", name, shown); err != nil {
		return err
	}
	if err := z.spare(name); err != nil {
		return err
	}
	due := s.Target == Up
	if err := z.standIn(name, due); err != nil {
		return err
	}
	z.l.c.memory.lives(name)
	ctx, cancel := z.ctx, context.CancelFunc(func() {})
	if shown != 0 { // it waits for that process in vain
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), crateRemoval)
	}
	defer cancel()
	began := time.Now()
	if err := (crate{ctx, z.l}).ask("service.delete", named{Name: name}, nil); err != nil {
		return err
	}
	if due && time.Since(began) > crateLost { // its next start came first; whoever has its place before the end of that is noticed is lost
		if err := z.pause(crateLost); err != nil {
			return err
		}
	}
	return z.tidy()
}

// crateRemoval bounds the removal of what zinit takes to run, which takes it five seconds.
const crateRemoval = 10 * time.Second

// spare says what would be lost with a service, were it removed.
func (z crate) spare(name string) error {
	moved, _, err := z.moves(name)
	if err != nil {
		return err
	}
	if err := refuse(moved != "" && !z.l.c.memory.standsIn(name), ProcessError, "service '%s' stays listed as it is: this zinit would lose sight of '%s', "+
		"which runs, were it removed (stop that first)", name, moved); err != nil {
		return err
	}
	dependents, err := z.dependents(name)
	if err != nil {
		return err
	}
	if len(dependents) > 0 {
		return refuse(true, DependencyError, "service '%s' is waited for by %s, which this zinit would remove with it",
			name, strings.Join(dependents, ", "))
	}
	return nil
}

// moves is the service that would be moved, were this one removed, and does not rest for
// certain; all is the list.
func (z crate) moves(name string) (moved string, all []crateFull, err error) {
	if err := z.ask("service.list_full", nil, &all); err != nil || len(all) == 0 {
		return "", nil, err
	}
	last := all[len(all)-1]
	if last.Name == name {
		return "", all, nil
	}
	rests, err := z.rests(last)
	if rests {
		return "", all, nil
	}
	return last.Name, all, ignoring(err, ServiceNotFound)
}

// rests tells for certain that a service has no process, and has none until somebody
// starts it.
func (z crate) rests(f crateFull) (bool, error) {
	c, err := z.config(f.Name)
	switch {
	case err != nil || f.State.PID != 0:
		return false, err
	case c.Service.Exec == "", c.idle():
		return true, nil
	case f.State.Name == "inactive":
		return z.l.c.memory.wasStopped(f.Name), nil
	case f.State.Name == "exited":
		return c.Service.Oneshot || c.Lifecycle.Restart != crateAlways || !f.endedWell() || z.l.c.memory.rests(f.Name), nil
	}
	return false, nil
}

// dependents are the services that name this one.
func (z crate) dependents(name string) ([]string, error) {
	var all, found []string
	if err := z.ask("service.list", nil, &all); err != nil {
		return nil, err
	}
	for _, other := range all {
		if other == name || z.l.c.memory.isStandIn(other) {
			continue
		}
		full, err := z.full(other)
		if errors.Is(err, ServiceNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, d := range full.Dependencies {
			if d.Name == name {
				found = append(found, other)
				break
			}
		}
	}
	return found, nil
}

// gone tells a process that has ended, and was reaped.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// unused tells that no process has a PID, nor a group that number, nor will in the next
// seconds: numbers are given in turn, and theirs is far.
func unused(pid int) bool {
	if !gone(pid) || !gone(-pid) {
		return false
	}
	var last, most int
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return false
	}
	if f := strings.Fields(string(load)); len(f) == 5 {
		last, _ = strconv.Atoi(f[4])
	}
	limit, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return false
	}
	most, _ = strconv.Atoi(strings.TrimSpace(string(limit)))
	return last > 0 && most > last && turns(pid, last, most) > 10_000
}

// turns is how many processes can begin until one is given a PID, most being above all PIDs and last the one that was given last.
func turns(pid, last, most int) int { return (pid-last-1+most)%most + 1 }
