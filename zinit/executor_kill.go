package zinit

import (
	"context"
	"errors"
	"syscall"
	"time"

	"herosup/events"
)

// kill does not wait for an order that runs: it is what ends one that hangs.
func (x *Executor) kill(ctx context.Context, m events.Message, e events.KillProcess) {
	if !x.ours(m, e.Actor, e.Pool) {
		return
	}
	p := x.process(e.Actor, e.Pool)
	if x.meansAnother(p, m) {
		return
	}
	p.byUs, p.wanted = true, !e.Down
	x.touch(p)
	name, life, had, last := x.cfg.Prefix+e.Actor, p.life, p.lives(), make(chan Status, 1)
	if e.Down {
		p.last = last
		p.ending++
	}
	x.work(ctx, func(ctx context.Context) result {
		var err error
		if e.Down {
			err = x.downAndKill(ctx, name, life, last)
		} else {
			err = x.killOne(ctx, name, e.Incarnation)
		}
		if away(err) && life.Alive() {
			// zinit is away; the process need not live on for that.
			_ = syscall.Kill(-life.PID, syscall.SIGKILL)
		}
		return result{err: err, apply: func() {
			if e.Down {
				p.ending--
			}
			x.killed(ctx, p, m, e.Down, had, err)
			x.next(ctx, p)
		}}
	})
}

// killOne ends the life that is meant, whichever that is when it is zero. It may be over, and
// zinit have the next one already, or zinit have lost sight of it.
func (x *Executor) killOne(ctx context.Context, name string, meant events.Incarnation) error {
	if !meant.IsZero() {
		st, err := x.cfg.Client.Status(ctx, name)
		if err != nil {
			return err
		}
		if lifeOf(st) != meant {
			if meant.Alive() {
				killGroup(ctx, meant.PID, meant)
			}
			return nil
		}
	}
	return ignoring(x.cfg.Client.Kill(ctx, name, "SIGKILL"), ServiceIsDown)
}

// killed tells what came of a kill, unless an exit will, or ZinitBack.
func (x *Executor) killed(ctx context.Context, p *process, m events.Message, down, had bool, err error) {
	switch {
	case away(err):
	case down, errors.Is(err, ServiceNotFound):
		x.stopped(p, m, had, ignoring(err, ServiceNotFound))
	case err != nil:
		x.notDone(m, p, "kill", err)
	case !p.lives():
		x.poll(ctx, p)
	}
}

// downAndKill ends a service without the grace that a stop gives. The target
// goes down first, or zinit would start the next process.
func (x *Executor) downAndKill(ctx context.Context, name string, life events.Incarnation, last chan<- Status) error {
	z := x.cfg.Client
	stopped := make(chan error, 1) // the worker is gone when it is read: Run waits
	x.workers.Go(func() { stopped <- dropped(ctx, z, name, life, last) })
	for wait := firstPoll; ; wait = min(2*wait, x.cfg.PollEvery) {
		st, err := z.Status(ctx, name)
		if err != nil {
			break // unknown by now: dropped; or away, which drop finds out too
		}
		if st.Target == Down {
			_ = z.Kill(ctx, name, "SIGKILL") // down already is what we want
			break
		}
		select {
		case err := <-stopped:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dropped is drop, and sees to it that the process is gone which zinit had, or was known
// of before: a zinit that has lost sight of it says that there is nothing to stop.
func dropped(ctx context.Context, z *Client, name string, life events.Incarnation, last chan<- Status) error {
	err := drop(ctx, z, name, last)
	if err == nil && !life.IsZero() && life.Alive() {
		killGroup(ctx, life.PID, life)
	}
	return err
}

// drop ends a service and removes it, also when parts of it are gone already; a
// zinit that does not remove well (keeps) has it stopped only.
func drop(ctx context.Context, z *Client, name string, last chan<- Status) error {
	if err := halted(ctx, z, name, last); err != nil {
		return err
	}
	if z.keeps(ctx) {
		return nil
	}
	// To the end, even if we are to end: half a removal is work for the next.
	return z.Remove(context.WithoutCancel(ctx), name)
}

// halted stops a service. Its last status, which tells how its process ended, goes into
// last (nil: nobody asks) before zinit forgets it.
func halted(ctx context.Context, z *Client, name string, last chan<- Status) error {
	if err := ignoring(z.stopPatiently(ctx, name), ServiceNotFound); err != nil {
		return err
	}
	st, err := z.Status(ctx, name)
	if err == nil && last != nil {
		last <- st // room for one, and nobody else sends
	}
	return ignoring(err, ServiceNotFound)
}
