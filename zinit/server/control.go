package server

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"herosup/zinit"
)

// The operations on services, for any goroutine: each has the loop do it and
// waits for the answer.

// none is the value of an operation that has only an error to tell.
type none = struct{}

// list is the state of every service.
func (l *loop) list(ctx context.Context) (map[string]zinit.State, error) {
	return ask(ctx, l, func(reply func(map[string]zinit.State, error)) {
		all := make(map[string]zinit.State, len(l.units))
		for name, u := range l.units {
			all[name] = u.state
		}
		reply(all, nil)
	})
}

// status is what is known of a service.
func (l *loop) status(ctx context.Context, action, name string) (zinit.Status, error) {
	return ask(ctx, l, func(reply func(zinit.Status, error)) {
		u, ok := l.units[name]
		if !ok {
			reply(zinit.Status{}, notFound(action, name))
			return
		}
		after := make(map[string]zinit.State, len(u.spec.After))
		for _, dep := range u.spec.After {
			after[dep] = l.stateOf(dep)
		}
		reply(zinit.Status{Name: name, PID: u.pid, State: u.state, Target: u.target, After: after, Last: u.last, Unmet: u.unmet}, nil)
	})
}

// start sets the target Up, and returns when the process is started if nothing
// stands in its way.
func (l *loop) start(ctx context.Context, name string) error {
	const action = "starting service"
	_, err := ask(ctx, l, func(reply func(none, error)) {
		u, ok := l.units[name]
		switch {
		case !ok:
			reply(none{}, notFound(action, name))
		case l.closing != nil:
			reply(none{}, shuttingDown(action, name))
		default:
			u.start()
			l.proceed(time.Now())
			l.when(ctx, u, started, func() { reply(none{}, nil) })
		}
	})
	return err
}

// stop sets the target Down, and returns when nothing of the service lives.
func (l *loop) stop(ctx context.Context, name string) error {
	_, err := ask(ctx, l, func(reply func(none, error)) {
		u, ok := l.units[name]
		if !ok {
			reply(none{}, notFound("stopping service", name))
			return
		}
		l.perform(u, u.stop(time.Now(), u.phase == down && l.left(u)))
		// A start that comes meanwhile ends this wait too: the stop has happened.
		life := u.life
		over := func(u *unit) bool {
			return u.phase == down && l.isNoted(u) || u.life != life || u.wanted()
		}
		l.when(ctx, u, over, func() { reply(none{}, nil) })
	})
	return err
}

// kill signals the service's group.
func (l *loop) kill(ctx context.Context, name, signal string) error {
	const action = "killing service"
	sig, err := zinit.ParseSignal(signal)
	if err != nil {
		e := refuse(zinit.InvalidSignal, action, "", err.Error(), "use a name like SIGTERM")
		e.Data.Signal = signal
		return e
	}
	_, err = ask(ctx, l, func(reply func(none, error)) {
		u, ok := l.units[name]
		if !ok {
			reply(none{}, notFound(action, name))
			return
		}
		// In the moment of its start there is no PID yet, but about to be.
		l.when(context.WithoutCancel(ctx), u, started, func() { reply(none{}, l.killNow(action, u, sig)) })
	})
	return err
}

func (l *loop) killNow(action string, u *unit, sig syscall.Signal) error {
	if u.pid == 0 {
		return refuse(zinit.ServiceIsDown, action, u.name, fmt.Sprintf("service '%s' is down", u.name), "start it first")
	}
	if err := l.signalMain(u, sig); err != nil {
		return refuse(zinit.InternalError, action, u.name, err.Error(), "")
	}
	return nil
}

// monitor takes a service on and starts it as start does.
func (l *loop) monitor(ctx context.Context, name string, spec zinit.Service) error {
	const action = "monitoring service"
	_, err := ask(ctx, l, func(reply func(none, error)) {
		if _, known := l.units[name]; known {
			reply(none{}, refuse(zinit.ServiceAlreadyMonitored, action, name,
				fmt.Sprintf("service '%s' already monitored", name), "forget it first to load its file again"))
			return
		}
		if l.closing != nil {
			reply(none{}, shuttingDown(action, name))
			return
		}
		u := l.take(name, spec)
		l.proceed(time.Now())
		l.when(ctx, u, started, func() { reply(none{}, nil) })
	})
	return err
}

// forget gives a service up that is stopped.
func (l *loop) forget(ctx context.Context, name string) error {
	const action = "forgetting service"
	_, err := ask(ctx, l, func(reply func(none, error)) {
		u, ok := l.units[name]
		switch {
		case !ok:
			reply(none{}, notFound(action, name))
		case u.up():
			reply(none{}, refuse(zinit.ServiceIsUp, action, name, fmt.Sprintf("service '%s' is up", name), "stop it first"))
		default:
			l.forgetUnit(u)
			reply(none{}, nil)
		}
	})
	return err
}

// halt stops everything and returns when the loop is about to end.
func (l *loop) halt(ctx context.Context, reboot bool) error {
	_, err := ask(ctx, l, func(reply func(none, error)) {
		l.shutdown(func() { reply(none{}, nil) })
		l.closing.reboot = l.closing.reboot || reboot
	})
	return err
}
