package actor

import (
	"context"
	"math/rand/v2"

	"herosup/dispatch/store"
)

// listener waits on the wake list beside the loop, one call at a time. Its fields are the loop's; the goroutine of
// a call has only the channel.
type listener struct {
	heard     chan heard
	listening bool
	misses    int           // waits in a row that failed
	called    map[hold]bool // came by call while this wait was under way: its message may have left the list before
	end       context.CancelFunc
}

type heard struct {
	wake store.Wake
	err  error
}

func newListener() listener { return listener{heard: make(chan heard, 1), called: map[hold]bool{}} }

// listen starts a wait, if none is under way. After one that failed it begins with a pause.
func (li *listener) listen(ctx context.Context, redis side) {
	if li.listening {
		return
	}
	li.listening = true
	ctx, li.end = context.WithCancel(ctx)
	misses := li.misses
	go func() {
		var h heard
		if misses > 0 {
			pauseFor(ctx, backoff(misses-1, rand.Float64()))
		}
		h.wake, h.err = redis.WaitWake(ctx, waitTime)
		li.heard <- h
	}()
}

// over is called when a wait was heard to end; it returns what came by call meanwhile.
func (li *listener) over() (called map[hold]bool) {
	li.end()
	li.listening = false
	called, li.called = li.called, map[hold]bool{}
	return called
}

// came notes a job that a call gave, of which a message may be on its way.
func (li *listener) came(h hold) {
	if li.listening {
		li.called[h] = true
	}
}

// stop ends the wait that is under way; left then says what it heard.
func (li *listener) stop() {
	if li.listening {
		li.end()
		h := <-li.heard
		li.heard <- h
	}
}

func (li *listener) left() *heard {
	select {
	case h := <-li.heard:
		return &h
	default:
		return nil
	}
}

// woken takes a message, or the end of the wait.
func (l *loop) woken(h heard) error {
	called := l.wake.over()
	if h.err != nil {
		if l.stopping() {
			return nil
		}
		l.link.gone(l.caller, h.err)
		l.wake.misses++
		l.ask, l.recall = true, true // a message may have gone with the connection
		return nil
	}
	l.wake.misses = 0
	l.link.back()
	if afterWake(h.wake.Kind) == stepAsk {
		l.ask = true
		l.recall = l.recall || h.wake.Kind == store.WakeNone // and make sure that nothing was missed
		return nil
	}
	if h.wake.Kind == store.WakePing {
		return l.pong(h.wake.Nonce)
	}
	switch job := *h.wake.Job; {
	case h.wake.Kind == store.WakeCancel:
		if s := l.running[holdOf(job)]; s != nil {
			s.stop(ErrCancelled)
		} else {
			l.missed = len(l.calls) > 0
		}
	case job.Token.Epoch != l.epoch:
		l.ask, l.recall = true, true // handed over before a rebuild: what is in hand now has a token of its own
	case !called[holdOf(job)]:
		l.hellos = 0
		l.take(job, true)
	}
	return nil
}

func (l *loop) pong(nonce string) error {
	if l.cfg.Healthy != nil {
		if err := l.cfg.Healthy(l.caller); err != nil {
			l.log.Warn("a ping stays without an answer", "err", err)
			return nil
		}
	}
	var code store.Code
	err := l.link.repeat(l.until(), false, func() (err error) { code, err = l.redis.Pong(l.last, nonce); return err })
	switch {
	case err != nil:
		return err
	case code == store.Unregistered:
		return l.hello()
	case code != store.OK:
		return unexpected("pong", code)
	}
	return nil
}
