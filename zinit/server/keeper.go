package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// A keeper is a process that waits for the end of the server, and reads the
// output of its children from then on until the next server comes: nobody who
// writes is ever held up by a server that is not there. It costs nothing while
// the server lives.
//
// Who holds the lock "reader.lock" reads the pipes and writes the spool: the
// server while it lives, a keeper that waited for it, the next server. A keeper
// gives it up when it is told to (SIGTERM).

const (
	readerLock = "reader.lock"
	// handover bounds the wait for a keeper to write down what it has read.
	handover = 5 * time.Second
	// keeperPause is the wait before a keeper that died is replaced.
	keeperPause = time.Second
)

// Keep is the keeper of the server over the folder dir. It returns when the next
// server takes over, no process holds the other end of a pipe any more, or ctx
// ends. It needs a process of its own, which must outlive the server's: Run
// starts it, as Config.Keeper says.
func Keep(ctx context.Context, dir string, log *slog.Logger) error {
	rec := newRecords(dir)
	lock, err := os.OpenFile(rec.path(readerLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("keep output: %w", err)
	}
	defer func() { _ = lock.Close() }()
	locked := make(chan error, 1)
	go func() { locked <- flockWait(lock) }() // ends with this process at the latest
	select {
	case err := <-locked:
		if err == nil {
			err = sign(lock)
		}
		if err != nil {
			return fmt.Errorf("keep output: %w", err)
		}
	case <-ctx.Done():
		return nil
	}
	left, _, err := leftOutputs(rec.path(outputsDir))
	if err != nil || len(left) == 0 {
		return err
	}

	work, end := context.WithCancel(context.WithoutCancel(ctx))
	spool := newSpool(rec.dir, log)
	var pumps, owners sync.WaitGroup
	g, err := newLogs(work, ctx, DefaultLogLines, &pumps, spool)
	if err != nil {
		end()
		return err
	}
	owners.Go(spool.run)
	owners.Go(g.run)
	services, err := zinit.Folder(dir).LoadAll(log)
	if err != nil {
		log.Warn("log files of services not written meanwhile", "err", err)
	}
	for name, s := range services {
		g.logTo(name, s.LogFile, log)
	}
	err = g.resume(left)
	pumps.Wait()
	g.do(func() {}) // what came before is in the spool's queue now
	end()
	owners.Wait()
	return err
}

// flockWait waits for the lock.
func flockWait(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// takeReader takes the right to read the pipes from a keeper, if one has it.
func takeReader(ctx context.Context, rec records) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, handover)
	defer cancel()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	asked := 0
	for {
		lock, err := takeLock(rec.path(readerLock), rec.dir)
		held, isHeld := errors.AsType[*Locked](err)
		if !isHeld {
			return lock, err
		}
		// Whoever holds it is alive until we see the lock free. Only a keeper does:
		// the folder's own lock is ours.
		if held.PID != asked && held.PID > 0 {
			asked = held.PID
			_ = unix.Kill(held.PID, unix.SIGTERM)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("start zinit: the keeper of the output, PID %d, does not give it up: end it with kill -9 %[1]d", held.PID)
		}
	}
}

// keeper is the keeper of this server.
type keeper struct {
	command []string
	log     *slog.Logger
	pid     atomic.Int64 // 0: none
}

// run has one at every time until ctx ends, and none afterwards. ctx ends after
// the loop.
func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		life, err := k.start()
		if err != nil {
			k.log.Warn("no keeper of the output", "err", err)
		} else {
			k.pid.Store(int64(life.pid))
			how, _ := life.wait(ctx)
			if ctx.Err() == nil {
				k.log.Warn("keeper of the output ended", "pid", life.pid, "state", how.String())
			} else {
				// The loop, which reaps otherwise, has ended.
				_ = unix.Kill(life.pid, unix.SIGKILL)
				_, _ = unix.Wait4(life.pid, nil, 0, nil)
			}
			k.pid.Store(0)
			life.close()
		}
		select {
		case <-time.After(keeperPause):
		case <-ctx.Done():
		}
	}
}

func (k *keeper) start() (*foreign, error) {
	path, err := exec.LookPath(k.command[0])
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	var pidfd int
	pid, err := syscall.ForkExec(path, k.command, &syscall.ProcAttr{
		Dir: "/", Env: zinit.Unmarked(os.Environ()), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		// A session of its own: what ends the server by its terminal or its group
		// must not end the keeper.
		Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	_ = unix.SetNonblock(pidfd, true)
	return &foreign{pid, os.NewFile(uintptr(pidfd), "pidfd")}, nil
}

// is reports whether pid is the keeper's.
func (k *keeper) is(pid int) bool { return k != nil && int(k.pid.Load()) == pid }
