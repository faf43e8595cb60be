package server

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"syscall"
	"testing"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

func idleLoop() *loop {
	return &loop{
		log: slog.New(slog.DiscardHandler), calls: make(chan func()), ended: make(chan struct{}),
		units: map[string]*unit{}, owners: map[int]owner{}, early: map[int]unix.WaitStatus{},
	}
}

// While a start is under way the ends of orphans are noted as well, because one may be
// of that start. A number that an orphan had, and a new process has now, is not over.
func TestNumberOfAnOrphanIsGivenAgain(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	l, u := idleLoop(), newUnit("a", zinit.Service{Oneshot: true})
	u.proceed(u.since, true)
	l.starts, l.early[pid] = 2, 0
	l.begun(u, false, u.life, launched{pid: pid}, nil)
	if u.pid != pid || u.phase != alive || l.owners[pid].unit != u {
		t.Errorf("a process that runs is %s, of nobody: %v", u.state, l.owners)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	over := newUnit("b", zinit.Service{Oneshot: true})
	over.proceed(over.since, true)
	l.early[pid] = 7 << 8
	l.begun(over, false, over.life, launched{pid: pid}, nil)
	if over.phase != down || over.state.Code != 7 {
		t.Errorf("one that has ended with 7 is %s", over.state)
	}
}

// Who has gone is waited for by nobody: what KILL does not end may be stopped again
// and again for years.
func TestNobodyWaitsForWhoHasGone(t *testing.T) {
	l, u := idleLoop(), newUnit("a", zinit.Service{})
	l.units["a"] = u
	u.proceed(u.since, true) // it is being started, and so not stopped yet
	ctx, gone := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { asked <- l.stop(ctx, "a") }()
	(<-l.calls)()
	if l.answer(); len(l.waiters) != 1 {
		t.Fatalf("%d wait", len(l.waiters))
	}
	gone()
	if err := <-asked; !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone is told %v", err)
	}
	if l.answer(); len(l.waiters) != 0 {
		t.Errorf("%d wait, and nobody asks", len(l.waiters))
	}
}
