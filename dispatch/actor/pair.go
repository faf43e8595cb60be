package actor

import (
	"errors"
	"time"

	"herosup/dispatch/store"
)

// A loop that waits for each answer leaves Redis idle while its jobs run, and the slots idle while Redis works. So an actor of
// pairFrom slots or more that works a backlog off keeps two exchanges under way, each for half of its slots. Redis holds it to its
// slots whatever the order in which they arrive; what a call of a pair can not do is say how many jobs are in hand, since the
// other one changes that. Hence, after an error, or where Redis finds the hand fuller than it is, the other is
// waited for and one call alone follows, which finds what an answer that was lost had given. An answer is about half of the slots, and
// may be heard after one that is newer: as long as slots are free behind the answer to one of two calls, it is asked once more.
//
// Each call of a pair carries half as many jobs, and what a call costs beside its jobs is then paid twice: with ten slots that took on
// two cores what the other call gave (backlog as before, submission to result less), with a hundred it gave a fifth more.
var pairFrom = 32 // the package's tests have fewer slots

// call is one exchange under way beside the loop. Its ends are no results until it fails.
type call struct {
	told   []store.Ended
	want   int
	paired bool // the other one was under way meanwhile
}

// reply is what became of it.
type reply struct {
	*call
	res store.ExchangeResult
	err error
}

// pairs reports whether two calls may be under way.
func (l *loop) pairs() bool {
	return l.cfg.Concurrency >= pairFrom && l.plenty && l.takes() && !l.recall
}

// maySend reports whether there may be another call now.
func (l *loop) maySend() bool {
	return len(l.calls) == 0 || l.recall || len(l.calls) == 1 && l.pairs()
}

// send begins an exchange for at most half of the slots.
func (l *loop) send() {
	half := min((l.cfg.Concurrency+1)/2, store.MaxExchange)
	n := min(len(l.results), half)
	c := &call{told: append([]store.Ended(nil), l.results[:n]...), want: max(0, min(l.free(), half))}
	l.results = append(l.results[:0], l.results[n:]...)
	l.calls = append(l.calls, c)
	if len(l.calls) == 2 {
		l.calls[0].paired, c.paired = true, true
	}
	l.asked += c.want
	l.ask = false
	go func() {
		res, err := l.redis.Exchange(l.last, c.told, store.Listening, c.want)
		l.replies <- reply{c, res, err} // there is room for both
	}()
}

// replied takes an answer. What is to be said to Redis about it is left to the loop, which waits for the other call first.
func (l *loop) replied(r reply) {
	for i, c := range l.calls {
		if c == r.call {
			l.calls = append(l.calls[:i], l.calls[i+1:]...)
			break
		}
	}
	l.asked -= r.want
	if len(l.calls) == 0 && l.missed {
		l.missed, l.renewed = false, time.Time{} // the next beat finds it
	}
	if r.err != nil {
		l.results = append(r.told, l.results...)
		l.ask, l.recall, l.plenty = true, true, false // it may have given jobs
		if errors.Is(r.err, store.ErrNoEpoch) {
			l.hail = true
		} else {
			l.link.gone(l.last, r.err)
		}
		return
	}
	rung := l.ask // by a ring, perhaps, that this answer is older than
	next, err := l.took(r.told, r.want, r.res)
	l.ask = l.ask || rung || r.paired && l.free() > 0
	switch {
	case err != nil:
		l.fatal = err
		l.results = append(r.told, l.results...)
	case next == stepHello:
		l.hail = true
	case r.res.Code == store.GotJob && len(r.res.Jobs) < r.want:
		l.ask, l.recall = true, true // our hand is full there, and is not here
	}
}

// settle waits for the calls under way.
func (l *loop) settle() {
	for len(l.calls) > 0 {
		l.replied(<-l.replies)
	}
}
