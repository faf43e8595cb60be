package redisd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// tick is how often keys' lives advance. miniredis has no clock for them of its
// own; its ClockTTL would walk all keys at every command.
const tick = 250 * time.Millisecond

// Serve runs the embedded server on a unix socket until ctx ends. A socket file
// left behind by a dead server is replaced; one that answers is an error.
func Serve(ctx context.Context, socket string) error {
	l, err := Listen(ctx, socket)
	if err != nil {
		return err
	}
	return ServeOn(ctx, l, nil)
}

// Listen opens the socket, for ServeOn.
func Listen(ctx context.Context, socket string) (net.Listener, error) {
	if c, err := net.Dial("unix", socket); err == nil {
		c.Close()
		return nil, fmt.Errorf("redis socket %s: somebody serves it already", socket)
	}
	if st, err := os.Lstat(socket); err == nil && st.Mode()&os.ModeSocket == 0 {
		return nil, fmt.Errorf("redis socket %s: there is a file of that name that is no socket", socket)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("redis socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("redis socket: %w", err)
	}
	// The folder around it is 0700 from the start; this is the second wall.
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("redis socket: %w", err), l.Close())
	}
	return l, nil
}

// ServeOn runs the embedded server on a listener, which it closes, until ctx ends. hook sees each command first; nil: none
// does.
func ServeOn(ctx context.Context, l net.Listener, hook server.Hook) error {
	m := miniredis.NewMiniRedis()
	// Dial starts it without a TCP listener, which would be open to every user
	// of the machine.
	c, err := m.Dial()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	_ = c.Close()
	defer m.Close()
	srv := m.Server()
	srv.SetPreHook(hook)
	accepted := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				accepted <- err
				return
			}
			srv.ServeConn(c)
		}
	}()
	t := time.NewTicker(tick)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			_ = l.Close() // also removes the socket file
			if err := <-accepted; !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("redis socket: %w", err)
			}
			return nil
		case err := <-accepted:
			return fmt.Errorf("redis socket: %w", err)
		case now := <-t.C:
			// What really passed: a ticker drops beats when the machine is busy.
			m.FastForward(now.Sub(last))
			last = now
		}
	}
}
