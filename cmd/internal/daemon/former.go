package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"herosup/zinit"
)

// leaveFormer ends what the zinit has for us that the daemon before used, if this one
// uses another and that one lives on. It would start again whatever is stopped
// or ends from now on, and so each actor would run twice. Each service has its own time to
// stop, a job that takes longer is taken back when dispatch starts, and Redis goes last.
//
// One that does not answer starts nothing: its actors are known by their hello and
// go on until they are stopped. One that answers and keeps something, or that hangs and
// may yet start something, is an error.
func (d *Daemon) leaveFormer(ctx context.Context) error {
	run, err := d.folder.ReadRuntime()
	if errors.Is(err, os.ErrNotExist) {
		return nil // the first start
	}
	if err != nil {
		d.log.Warn("not known which zinit the daemon before used", "err", err)
		return nil
	}
	if run.Zinit == "" || sameFile(run.Zinit, d.socket) {
		return nil
	}
	z, err := zinit.Dial(ctx, run.Zinit, zinit.Options{})
	switch {
	case errors.Is(err, zinit.ErrNoServer):
		return nil
	case errors.Is(err, context.DeadlineExceeded): // a probe calls that another dialect
		return formerFault(run.Zinit, err)
	case errors.Is(err, zinit.ErrNotASocket), errors.Is(err, zinit.ErrDialect): // whoever has the path by now
		d.log.Warn("the zinit of the daemon before is passed over", "err", err)
		return nil
	case err != nil:
		return formerFault(run.Zinit, err)
	}
	defer z.Close()
	names, err := services(ctx, d.folder, z)
	if err != nil {
		return formerFault(run.Zinit, err)
	}
	if len(names) > 0 {
		if err := d.takeFrom(ctx, run.Zinit, z, names); err != nil {
			return formerFault(run.Zinit, err)
		}
	}
	if !run.OwnZinit {
		return nil
	}
	return endZinit(ctx, d.folder, z)
}

// takeFrom ends the services that another zinit has, and notes them as moved.
func (d *Daemon) takeFrom(ctx context.Context, socket string, z *zinit.Client, names []string) error {
	short := make([]string, len(names))
	for i, n := range names {
		short[i] = strings.TrimPrefix(n, d.folder.ServicePrefix())
	}
	d.say(fmt.Sprintf("the zinit at %s has %s: stopped there, to be started by the one at %s; a job that takes longer than its actor's stop timeout runs again",
		socket, strings.Join(short, ", "), d.socket))
	ctx, cancel := context.WithTimeout(ctx, d.longestStop())
	defer cancel()
	if err := endServices(ctx, d.folder, z, names, func(n string) bool { return slices.Contains(names, n) }); err != nil {
		return err
	}
	d.moved, d.from = short, socket
	return nil
}

// formerFault says what to do: two zinits must not run the same actors.
func formerFault(socket string, err error) error {
	return fmt.Errorf("leave the zinit at %s, which the daemon before used: %w (set zinit.socket back to it, or `herosup down --stop-actors` first)", socket, err)
}

// sameFile reports whether two paths name one socket.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return a == b || errX == nil && errY == nil && os.SameFile(x, y)
}
