package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// ErrReboot is how Run ends, as well as with nil, if a client asked for a reboot.
var ErrReboot = errors.New("a reboot was asked for")

// Run is the server. It returns nil when ctx has ended, or a client has asked
// for a shutdown, and all services are stopped. The error is a *Locked if
// another server is there already, ErrReboot, or says what is wrong with cfg.
//
// It needs a process of its own: it reaps all children, and adopts orphans.
func Run(ctx context.Context, cfg Config) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	rec := newRecords(cfg.Dir)
	if err := os.MkdirAll(rec.dir, 0o700); err != nil {
		return fmt.Errorf("start zinit: %w", err)
	}
	for _, what := range []struct{ path, lock string }{
		{cfg.Socket, cfg.Socket + ".lock"},
		{cfg.Dir, filepath.Join(cfg.Dir, ".lock")},
	} {
		lock, err := takeLockOfTheDead(ctx, what.lock, what.path)
		if err != nil {
			return err
		}
		defer func() { _ = lock.Close() }()
	}
	reader, err := takeReader(ctx, rec)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("start zinit: become subreaper: %w", err)
	}
	reserveThreads(spareThreads)
	clean, err := serveAll(ctx, cfg, rec)
	if clean {
		rec.removeAll()
	}
	return err
}

// serveAll runs everything, from the first service to the last answer. clean
// says that nothing is left that another server would have to know of.
func serveAll(ctx context.Context, cfg Config, rec records) (clean bool, err error) {
	fs := zinit.Folder(cfg.Dir)
	services, err := fs.LoadAll(cfg.Log)
	if err != nil {
		return false, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return false, fmt.Errorf("start zinit: %w", err)
	}
	defer func() { _ = null.Close() }()
	outputs, left, err := newOutputs(rec.path(outputsDir))
	if err != nil {
		return false, err
	}
	listener, err := listen(ctx, cfg.Socket)
	if err != nil {
		return false, err
	}
	defer func() {
		if fi, err := os.Lstat(cfg.Socket); err == nil && fi.Mode()&os.ModeSocket != 0 { // under its lock, so it is ours
			_ = os.Remove(cfg.Socket)
		}
	}()

	// Everything but the loop outlives ctx: the loop needs it for a clean end.
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cut()
	disk := newSpool(rec.dir, cfg.Log)
	log, err := newLogs(work, work, cfg.LogLines, &wg, disk)
	if err != nil {
		return false, err
	}
	wg.Go(disk.run)
	wg.Go(log.run)
	var k *keeper
	if len(cfg.Keeper) > 0 {
		k = &keeper{command: cfg.Keeper, log: cfg.Log}
		wg.Go(func() { k.run(work) })
	}
	outputs.stock.fill()
	wg.Go(func() { outputs.stock.run(work) })
	rec.stock = outputs.stock
	groups := newCgroups(rec.prepareCgroups)
	defer groups.removeAll()
	l := newLoop(work, cfg, &spawner{null: null, outputs: outputs, logs: log, cgroups: groups}, rec, k)
	wg.Go(func() { l.notes.run(work) })
	if err := l.inherit(services); err != nil {
		l.endWatching()
		return false, err
	}
	if err := log.resume(left); err != nil {
		cfg.Log.Warn("output of an earlier zinit's services is lost", "err", err)
	}
	doorCtx, closeDoor := context.WithCancel(work)
	var clients sync.WaitGroup
	d := &door{path: cfg.Socket, listener: listener, api: &api{loop: l, files: fs, logs: log, methods: endpoints()}, log: cfg.Log}
	clients.Go(func() { d.run(doorCtx) })

	cfg.Log.Info("ready", "socket", cfg.Socket, "services", len(services))
	cfg.Ready()
	l.run(ctx)
	closeDoor()
	clients.Wait()
	if l.closing.reboot {
		return l.closing.clean, ErrReboot
	}
	return l.closing.clean, nil
}
