package actor

import (
	"context"
	"errors"
	"time"

	"herosup/dispatch/store"
)

// leaveTime bounds the goodbye of an actor at a stop: nothing is lost without it, only later found.
const leaveTime = time.Second

// exchange tells the results there are and asks for jobs for the free slots, in one round trip: beside the loop, or, when that
// can not be, here.
func (l *loop) exchange() error {
	if l.pairs() {
		l.send()
		return nil
	}
	if l.settle(); l.fatal != nil || l.hail {
		return nil
	}
	l.fill() // what came begins now: Redis may be away for long
	told := l.results[:min(len(l.results), store.MaxExchange)]
	want := 0
	if l.takes() {
		want = min(l.free(), store.MaxExchange)
	}
	var res store.ExchangeResult
	err := l.link.repeat(l.until(), false, func() (err error) {
		// l.last, not the caller's: a call that was sent should be answered, or its jobs wait for our death.
		if res, err = l.redis.Exchange(l.last, told, l.known(len(told)), want); err != nil {
			l.recall = true // it may have given jobs
		}
		return err
	})
	if l.stopping() && errors.Is(err, context.Cause(l.caller)) {
		return nil // it may have given jobs: the goodbye asks
	}
	if err != nil {
		return err
	}
	return l.answered(told, want, res)
}

// known is what we say of our hand: how many jobs are in it beside those told; while a message may be on its way,
// and nothing went wrong, nothing.
func (l *loop) known(told int) int {
	if l.wake.listening && !l.recall {
		return store.Listening
	}
	return l.inHand() + len(l.results) - told
}

// answered takes the answer of a call that was alone.
func (l *loop) answered(told []store.Ended, want int, res store.ExchangeResult) error {
	n := len(told)
	next, err := l.took(told, want, res)
	if err != nil {
		return err
	}
	l.results = append(l.results[:0], l.results[n:]...)
	l.recall = l.recall && len(l.results) > 0 // those count as known, and may hide what came
	if next == stepHello {
		return l.hello()
	}
	return nil
}

// took takes what an answer says of the ends that were told, and the jobs that it brings.
func (l *loop) took(told []store.Ended, want int, res store.ExchangeResult) (step, error) {
	for i, r := range told {
		switch counted, err := afterTold(res.Told[i]); {
		case err != nil:
			return "", err
		case !counted:
			l.drop(r.Job, string(res.Told[i]))
		}
	}
	next, err := afterExchange(res.Code)
	if err != nil {
		return "", err
	}
	l.spoke = true
	for _, j := range res.Jobs {
		l.take(j.Claimed, j.Held)
	}
	l.plenty = want > 0 && res.Code == store.GotJob && len(res.Jobs) >= want
	l.ask = next == stepAsk || l.plenty && l.free() > 0
	if next != stepHello {
		l.hellos = 0
	}
	return next, nil
}

// take keeps a job that came. What was in hand before may be known: it runs, or waits, or was told meanwhile.
func (l *loop) take(j store.Claimed, held bool) {
	if held && l.knows(holdOf(j)) {
		return
	}
	if held {
		l.wake.came(holdOf(j))
	}
	l.waiting = append(l.waiting, j)
}

func (l *loop) knows(h hold) bool {
	if _, running := l.running[h]; running {
		return true
	}
	for _, j := range l.waiting {
		if holdOf(j) == h {
			return true
		}
	}
	for _, r := range l.results {
		if holdOf(r.Job) == h {
			return true
		}
	}
	for _, c := range l.calls {
		for _, r := range c.told {
			if holdOf(r.Job) == h {
				return true
			}
		}
	}
	_, cut := l.cut[h.id]
	return cut
}

// leave is an actor's goodbye: from its answer on no script gives it a job, and what was given in the last
// moment comes with it.
func (l *loop) leave() error {
	l.left = true
	l.wake.stop()
	if w := l.wake.left(); w != nil {
		if err := l.woken(*w); err != nil {
			return err
		}
	}
	if l.settle(); l.fatal != nil || l.hail {
		return nil
	}
	ctx, end := context.WithTimeout(l.last, leaveTime)
	defer end()
	l.recall = true
	var res store.ExchangeResult
	err := l.link.repeat(ctx, false, func() (err error) {
		res, err = l.redis.Exchange(ctx, nil, l.known(0), 0)
		return err
	})
	if err != nil {
		l.log.Debug("leave", "err", err)
		return nil
	}
	if res.Code == store.Unregistered {
		return nil
	}
	return l.answered(nil, 0, res)
}

// drop gives up a job that is not ours any more, with what was done of it. Its slot is free, and nobody was told so.
func (l *loop) drop(job store.Claimed, reason string) {
	l.ask = true
	l.log.Warn("result dropped", "job", job.ID, "reason", reason)
}
