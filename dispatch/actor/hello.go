package actor

import (
	"context"
	"errors"
	"math/rand/v2"

	"herosup/dispatch/store"
)

// hello registers, for as long as it takes, when no call is under way, and says to a Redis of a new epoch what is in hand since an earlier one.
func (l *loop) hello() error {
	l.settle()
	l.fill()
	l.hail = false
	if l.hellos > 0 {
		pause(l.until(), l.hellos-1)
	}
	l.hellos++
	var h store.Hello
	for n := 0; ; n++ {
		// Strict before the first hello: a wrong password is a setting, and who started us should see it at once.
		// Later it may be put right while we hold a result.
		err := l.link.repeat(l.until(), l.epoch == 0, func() (err error) { h, err = l.redis.Hello(l.last); return err })
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrNoEpoch) {
			return err
		}
		if l.until().Err() != nil {
			return context.Cause(l.until())
		}
		l.awaitEpoch(n)
	}
	if err := afterHello(h.Code); err != nil {
		return err
	}
	return l.registered(h)
}

func (l *loop) registered(h store.Hello) error {
	if h.Epoch != l.epoch {
		if l.epoch != 0 {
			if err := l.keep(h.Epoch); err != nil {
				return err
			}
		}
		l.epoch = h.Epoch
	}
	l.ask, l.recall = true, true
	l.log.Info("actor registered", "state", gate(h.Open), "depth", h.Held)
	return nil
}

// awaitEpoch waits for a ring, which the daemon gives when it has filled Redis, or the backoff.
func (l *loop) awaitEpoch(n int) {
	if n == 0 {
		l.log.Info("redis carries no epoch, waiting for the daemon to fill it")
	}
	// Whatever the message is, the exchange after the hello finds out.
	if _, err := l.redis.WaitWake(l.until(), backoff(n, rand.Float64())); err != nil {
		pause(l.until(), n)
	}
}

func gate(open bool) string {
	if open {
		return "open"
	}
	return "closed"
}
