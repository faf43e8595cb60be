package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// socketEvery is how often the name of our Redis' socket is looked at.
const socketEvery = 2 * time.Second

// socketWatch starts our own Redis anew when the name of its socket is gone: whoever cleans up a folder takes it for a file
// that nobody uses. Who is connected works on, but no actor could come up any more. Redis can not make it again by itself.
type socketWatch struct {
	path    string
	restart func(context.Context) error
	log     *slog.Logger
	ready   chan struct{}
}

func newSocketWatch(path string, restart func(context.Context) error, log *slog.Logger) *socketWatch {
	w := &socketWatch{path: path, restart: restart, log: log, ready: make(chan struct{})}
	close(w.ready)
	return w
}

// Ready is closed: what is gone before the first look is found by it.
func (w *socketWatch) Ready() <-chan struct{} { return w.ready }

// Run watches until ctx ends.
func (w *socketWatch) Run(ctx context.Context) error {
	tick := time.NewTicker(socketEvery)
	defer tick.Stop()
	for missed := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := os.Lstat(w.path); !errors.Is(err, os.ErrNotExist) {
			missed = 0
			continue
		}
		if missed++; missed < 2 { // one that starts has none for a moment
			continue
		}
		missed = 0
		w.log.Warn("redis: its socket was removed, it is started anew", "socket", w.path)
		if err := w.restart(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("redis not started anew", "err", err)
		}
	}
}

// restartRedis ends our Redis and starts it, also when the daemon ends meanwhile. What it holds is in its file, or comes from the log.
func (d *Daemon) restartRedis(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisEnd+redisStart)
	defer cancel()
	name := d.folder.Service(redisService)
	if err := d.zinit.Stop(ctx, name); err != nil {
		return fmt.Errorf("stop redis: %w", err)
	}
	if err := d.zinit.Start(ctx, name); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	return d.pingRedis(ctx, d.redis)
}
