package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// Run is the server. It returns nil when ctx has ended, or a client has asked
// for a shutdown, and all services are stopped. The error is a *Locked if
// another server is there already, a *LeftOvers if processes of an earlier one
// live, or says what is wrong with cfg.
//
// It needs a process of its own: it reaps all children, and adopts orphans.
func Run(ctx context.Context, cfg Config) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("start zinit: %w", err)
	}
	for _, what := range []struct{ path, lock string }{
		{cfg.Socket, cfg.Socket + ".lock"},
		{cfg.Dir, filepath.Join(cfg.Dir, ".lock")},
	} {
		lock, err := takeLock(what.lock, what.path)
		if err != nil {
			return err
		}
		defer func() { _ = lock.Close() }()
	}
	rec := newRecords(cfg.Dir)
	left, err := rec.find(cfg.Log)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return &LeftOvers{Dir: cfg.Dir, Processes: left}
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("start zinit: become subreaper: %w", err)
	}
	return serveAll(ctx, cfg, rec)
}

// serveAll runs everything, from the first service to the last answer.
func serveAll(ctx context.Context, cfg Config, rec records) error {
	fs := zinit.Folder(cfg.Dir)
	services, err := fs.LoadAll(cfg.Log)
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("start zinit: %w", err)
	}
	defer func() { _ = null.Close() }()
	listener, err := listen(ctx, cfg.Socket)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(cfg.Socket) }() // under its lock, so it is ours

	// Everything but the loop outlives ctx: the loop needs it for a clean end.
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cut()
	log := newLogs(work, cfg.LogLines, &wg)
	wg.Go(log.run)

	l := newLoop(work, cfg, &spawner{null: null, logs: log}, rec)
	for name, spec := range services {
		l.units[name] = newUnit(name, spec)
	}
	doorCtx, closeDoor := context.WithCancel(work)
	var clients sync.WaitGroup
	d := &door{listener: listener, api: &api{loop: l, files: fs, logs: log, methods: endpoints()}, log: cfg.Log}
	clients.Go(func() { d.run(doorCtx) })

	cfg.Log.Info("ready", "socket", cfg.Socket, "services", len(services))
	cfg.Ready()
	l.run(ctx)
	closeDoor()
	clients.Wait()
	return nil
}
