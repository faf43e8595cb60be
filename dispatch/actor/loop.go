package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"herosup/dispatch/store"
)

// side is the store as the loop uses it: *store.Actor, or that with something broken on purpose.
type side interface {
	Hello(ctx context.Context) (store.Hello, error)
	Epoch(ctx context.Context) (uint64, error)
	Assert(ctx context.Context, jobs []store.InHand) ([]store.Code, store.Code, error)
	Exchange(ctx context.Context, ended []store.Ended, known, want int) (store.ExchangeResult, error)
	Renew(ctx context.Context, jobs ...store.Claimed) ([]store.Code, error)
	RecordGroup(ctx context.Context, job store.Claimed, pgid int, start uint64) (store.Code, error)
	Pong(ctx context.Context, nonce string) (store.Code, error)
	WaitWake(ctx context.Context, timeout time.Duration) (store.Wake, error)
}

// loop is the actor's one loop and what it holds; all of it is the loop's alone. A job in hand is in exactly one
// of waiting, running and results, or cut short.
type loop struct {
	times
	cfg   Config
	redis side
	link  link
	log   *slog.Logger

	waiting []store.Claimed     // in hand, not begun: more came at once than slots were free, after a rebuild of Redis
	running map[hold]*slot      // at work
	tasks   chan task           // to the goroutines of the slots; none waits in it
	hands   int                 // how many of those there are: as many as ran at once
	ends    chan ending         // from them; room for one of each
	results []store.Ended       // not told yet
	cut     map[string]struct{} // ids cut short by the stop: they stay in hand till this process is gone
	wake    listener

	calls   []*call    // exchanges under way beside the loop, two at most
	replies chan reply // theirs
	asked   int        // jobs that they asked for
	plenty  bool       // the last answer gave all that was wanted: there may be more
	hail    bool       // Redis does not know us, or carries another epoch: hello when no call is under way

	unable bool  // a handler said so: no job is asked for
	ask    bool  // there may be jobs for free slots
	recall bool  // an answer or message may have been lost: ask for what is in hand and not known here
	left   bool  // it has said goodbye
	missed bool  // a cancel came of a job that we do not run: an answer under way may bring it
	fatal  error // ends the loop once nothing runs
	epoch  uint64
	hellos int // since the last call that found us registered

	renewed time.Time // last
	spoke   bool      // with Redis since the last beat
}

// hold names a job in hand; another attempt of it is another.
type hold struct {
	id      string
	epoch   uint64
	attempt int
}

func holdOf(j store.Claimed) hold { return hold{j.ID, j.Token.Epoch, j.Token.Attempt} }

// run goes on until the caller's end with nothing in hand, or an error that ends it.
func (l *loop) run() error {
	defer l.wake.stop()
	defer close(l.tasks)
	beat := time.NewTicker(min(l.cfg.Lease/3, beatEvery))
	defer beat.Stop()
	if l.cfg.Able != nil {
		if err := l.cfg.Able(); err != nil {
			l.unfit(err.Error())
		}
	}
	err := l.hello()
	for err == nil {
		l.gather()
		if l.fill() {
			l.linger()
		}
		switch {
		case l.fatal != nil:
			err = l.fatal
		case l.hail:
			err = l.hello()
		case l.maySend() && (len(l.results) > 0 || l.ask && l.takes() && l.free() > 0):
			err = l.exchange()
		case l.stopping() && !l.left:
			err = l.leave()
		case l.stopping() && len(l.running)+len(l.waiting)+len(l.calls) == 0:
			return nil
		default:
			err = l.wait(beat.C)
		}
		for errors.Is(err, store.ErrNoEpoch) { // also while we say what we keep
			err = l.hello()
		}
	}
	if l.stopping() && len(l.results)+len(l.running)+len(l.calls) == 0 && errors.Is(err, context.Cause(l.caller)) {
		return nil // the caller's end while we waited or tried; nothing is in hand
	}
	return l.abandon(err)
}

func (l *loop) stopping() bool { return l.caller.Err() != nil }

// takes reports whether more jobs are wanted.
func (l *loop) takes() bool { return !l.stopping() && !l.unable }

// free is how many jobs there are slots for, beside those that were asked for.
func (l *loop) free() int { return l.cfg.Concurrency - len(l.running) - len(l.waiting) - l.asked }

// inHand is how many jobs Redis should find in our hand.
func (l *loop) inHand() int {
	n := len(l.waiting) + len(l.cut)
	for h, s := range l.running {
		if h.epoch == l.epoch && !s.lost {
			n++
		}
	}
	return n
}

// gather takes the ends that are there, and reports whether there were any.
func (l *loop) gather() (some bool) {
	for {
		select {
		case e := <-l.ends:
			l.ended(e)
			some = true
		default:
			return some
		}
	}
}

// lingers bounds linger: each is a moment in which the other goroutines run.
const lingers = 8

// linger lets jobs that end at once do so, so that their ends go together: for as long as it brings any.
func (l *loop) linger() {
	for range lingers {
		runtime.Gosched()
		if !l.gather() || len(l.running) == 0 {
			return
		}
	}
}

// wait is for an end, a message, the time to renew, or the stop.
func (l *loop) wait(beat <-chan time.Time) error {
	var stop <-chan struct{}
	if !l.stopping() {
		stop = l.caller.Done()
		if l.free() > 0 {
			l.wake.listen(l.caller, l.redis)
		}
	}
	select {
	case e := <-l.ends:
		l.ended(e)
		l.linger()
	case r := <-l.replies:
		l.replied(r)
	case w := <-l.wake.heard:
		return l.woken(w)
	case <-beat:
		return l.beat()
	case <-stop:
	case <-l.last.Done():
		l.settle()
		for h := range l.running {
			return fmt.Errorf("the handler of job %s does not return; this process has to end", h.id)
		}
	}
	return nil
}

// until is the end that a call may be repeated to: a result is worth waiting for.
func (l *loop) until() context.Context {
	if len(l.results) > 0 || len(l.calls) > 0 || len(l.running) > 0 {
		return l.last
	}
	return l.caller
}

// abandon ends what runs, waits for it, and says what could not be told.
func (l *loop) abandon(err error) error {
	for _, s := range l.running {
		s.end(err)
	}
	l.settle()
	late := time.NewTimer(l.endGrace)
	defer late.Stop()
	for len(l.running) > 0 && l.last.Err() == nil {
		select {
		case e := <-l.ends:
			delete(l.running, holdOf(e.slot.job))
		case <-l.last.Done():
		case <-late.C:
			for h := range l.running {
				return fmt.Errorf("actor %s: %w; and the handler of job %s does not return; this process has to end", l.cfg.Name, err, h.id)
			}
		}
	}
	if len(l.results) > 0 {
		err = fmt.Errorf("%w; the result of job %s could not be told, the job will run again", err, l.results[0].Job.ID)
		if more := len(l.results) - 1; more > 0 {
			err = fmt.Errorf("%w (and %d more)", err, more)
		}
	}
	return fmt.Errorf("actor %s: %w", l.cfg.Name, err)
}
