package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"herosup/cmd/internal/redisd"
	"herosup/dispatch/store"
	"herosup/zinit"
)

const (
	// redisService is our Redis among our services; no actor can have the name,
	// since theirs end in a number.
	redisService = "redis"
	// redisStart is how long one that we started may say nothing, redisAsk how long one question of many waits.
	redisStart = 10 * time.Second
	redisAsk   = 2 * time.Second
)

// chooseRedis returns the Redis to use: a given one answers, ours is still to be started.
func (d *Daemon) chooseRedis(ctx context.Context) (redisd.Choice, error) {
	url := d.cfg.Redis.URL
	if env := redisd.FromEnv(); url == "" {
		url = env
	}
	c, err := redisd.Choose(redisd.Options{URL: url, Socket: d.folder.Socket("redis"), Dir: d.folder.Path("redis"), Self: d.self})
	if err != nil || c.Kind != redisd.Given {
		return c, err
	}
	return c, d.pingRedis(ctx, c)
}

// startRedis starts ours, if that is the one to use.
func (d *Daemon) startRedis(ctx context.Context) error {
	if d.redis.Kind == redisd.Given {
		return nil
	}
	if err := os.MkdirAll(d.folder.Path("redis"), 0o700); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	err := d.runService(ctx, d.zinit, d.folder.Service(redisService), zinit.Service{Exec: d.redis.Exec, Dir: d.redis.Dir})
	if err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	err = d.pingRedis(ctx, d.redis)
	if err == nil || d.redis.Kind != redisd.Server || ctx.Err() != nil {
		return err
	}
	name := d.folder.Service(redisService)
	if failed := d.zinit.Stop(ctx, name); failed != nil {
		return err
	}
	done, failed := redisd.Mend(ctx, d.redis.Program, d.redis.Dir)
	if failed != nil || done == "" {
		return errors.Join(err, failed)
	}
	d.log.Warn("redis could not start", "err", err)
	d.log.Warn("redis mended", "reason", done)
	if err := d.zinit.Start(ctx, name); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	return d.pingRedis(ctx, d.redis)
}

// endOfRedis is the PID of the last process of our Redis that has ended; 0 for none, or of a zinit that does not tell.
func (d *Daemon) endOfRedis(ctx context.Context) int {
	st, err := d.zinit.Status(ctx, d.folder.Service(redisService))
	if err != nil || st.Last == nil {
		return 0
	}
	return st.Last.PID
}

// redisWords is the last that a process of our Redis said, or the last one at all: the next may have begun by then.
func (d *Daemon) redisWords(ctx context.Context, pid int) string {
	lines, err := d.zinit.CurrentLogs(ctx, d.folder.Service(redisService))
	if err != nil || len(lines) == 0 {
		return "it said nothing"
	}
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, fmt.Sprintf(" %d:", pid)) { // its lines begin so
			return line
		}
	}
	return lines[len(lines)-1]
}

// runService brings one service of ours up. A running one with the same command
// is kept as it is: it holds data. (The program's copy may be another version
// of ours: then the old one goes on until it is stopped.)
func (d *Daemon) runService(ctx context.Context, z *zinit.Client, name string, want zinit.Service) error {
	if st, err := z.Status(ctx, name); err == nil {
		have, err := z.Get(ctx, name)
		switch {
		case err != nil:
		case st.PID != 0 && slices.Equal(have.Exec[1:], want.Exec[1:]):
			return nil
		case st.PID == 0 && slices.Equal(have.Exec, want.Exec):
			return z.Start(ctx, name) // not taken up anew: the crate's zinit removes none beside those that run
		}
		if err := z.Stop(ctx, name); err != nil {
			return err
		}
	}
	if err := z.Remove(ctx, name); err != nil { // a file may be there without its service
		return err
	}
	return z.TakeUp(ctx, name, want)
}

// pingRedis waits for an answer. A given Redis that refuses is an error at once;
// one that we just started gets the time to come up, and as long as it reads its file: that may be gigabytes.
func (d *Daemon) pingRedis(ctx context.Context, c redisd.Choice) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("redis %s: %w", redisd.Public(c.URL), err)
		}
	}()
	if c.Kind == redisd.Given {
		return d.askRedis(ctx, c, redisStart)
	}
	before, last := d.endOfRedis(ctx), time.Now()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := d.askRedis(ctx, c, redisAsk)
		if err == nil {
			return nil
		}
		if d.redisLoads(ctx) {
			last = time.Now()
		}
		if pid := d.endOfRedis(ctx); pid != before {
			return fmt.Errorf("it ended instead of answering: %s", d.redisWords(ctx, pid))
		}
		if ctx.Err() != nil || time.Since(last) > redisStart {
			return fmt.Errorf("no answer after %s: %w; its last words: %s", redisStart, err, d.redisWords(context.WithoutCancel(ctx), 0))
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// redisLoads reports whether our Redis says that it reads its file. A client would ask again and again, and say nothing.
func (d *Daemon) redisLoads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, redisAsk)
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, "unix", d.folder.Socket("redis"))
	if err != nil {
		return false
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(redisAsk))
	if _, err := nc.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	answer := make([]byte, len("-LOADING"))
	_, err = io.ReadFull(nc, answer)
	return err == nil && string(answer) == "-LOADING"
}

// askRedis asks once, with a client of its own: one whose pool could not connect some times does not try for a second.
func (d *Daemon) askRedis(ctx context.Context, c redisd.Choice, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s, err := store.Open(store.Options{URL: c.URL, Prefix: d.cfg.Redis.Prefix}, d.log.With("component", "store"))
	if err != nil {
		return err
	}
	defer s.Close()
	// Bare: that it answers is all that is asked here. Whether this is the server
	// process of before is dispatch's to look at, which starts after this.
	_, err = s.Bare().Epoch(ctx)
	return err
}
