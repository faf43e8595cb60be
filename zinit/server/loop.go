package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// loop owns all units. Its goroutine alone touches its fields, signals process
// groups and reaps; everybody else hands it functions to run.
type loop struct {
	log     *slog.Logger
	spawner *spawner
	records records
	env     map[string]string

	calls chan func()
	ended chan struct{} // closed when run has returned

	units   map[string]*unit
	owners  map[int]owner           // by PID: the processes that we started and not yet reaped
	starts  int                     // under way: their PIDs are not known yet
	early   map[int]unix.WaitStatus // ends seen meanwhile, of PIDs that may be theirs
	waiters []waiter

	world     string
	foreign   map[*unit]*foreign // adopted processes
	inherited map[*unit]bool     // of which something may live that is not our descendant
	notes     *notes
	asked     map[*unit]standing // handed to notes
	noted     map[*unit]standing // on disk
	keeper    *keeper            // nil: none

	closing *shutdown     // nil: not shutting down
	closes  chan struct{} // closed when it begins

	workers sync.WaitGroup
	work    context.Context // cut off at the very end
	// watching ends with the loop: what is adopted and still lives is not ours to
	// wait for.
	watching    context.Context
	endWatching context.CancelFunc
}

// owner is what a process was started for.
type owner struct {
	unit *unit
	test bool
}

// waiter is somebody who is answered when a unit got somewhere.
type waiter struct {
	ctx   context.Context // ends when nobody waits any more
	unit  *unit
	until func(*unit) bool
	then  func()
}

func newLoop(work context.Context, cfg Config, s *spawner, r records, k *keeper) *loop {
	l := &loop{
		log: cfg.Log, spawner: s, records: r, env: baseEnv(), closes: make(chan struct{}),
		calls: make(chan func()), ended: make(chan struct{}),
		units: make(map[string]*unit), owners: make(map[int]owner),
		early: make(map[int]unix.WaitStatus), work: work,
		world: thisWorld(), foreign: make(map[*unit]*foreign), inherited: make(map[*unit]bool),
		notes: newNotes(r), asked: make(map[*unit]standing), noted: make(map[*unit]standing), keeper: k,
	}
	l.watching, l.endWatching = context.WithCancel(work)
	return l
}

// run owns the units until all of them are down after ctx ended or a shutdown
// was asked for.
func (l *loop) run(ctx context.Context) {
	defer l.workers.Wait()
	defer l.endWatching()
	defer close(l.ended) // first, so that no worker waits for us

	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)

	timer := time.NewTimer(0)
	defer timer.Stop()
	stop := ctx.Done()
	for {
		now := time.Now()
		l.proceed(now)
		l.note()
		l.answer()
		if l.closing != nil && l.closing.swept {
			return
		}
		if at := l.wake(now); !at.IsZero() {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
		select {
		case f := <-l.calls:
			f()
		case <-children:
			if l.reap() {
				select {
				case children <- syscall.SIGCHLD: // more to come, after the others' turn
				default:
				}
			}
		case <-timer.C:
		case <-stop:
			stop = nil
			l.shutdown(nil)
		}
	}
}

// post has f run by the loop; after the loop's end it is dropped.
func (l *loop) post(f func()) {
	select {
	case l.calls <- f:
	case <-l.ended:
	}
}

// ask has f run by the loop and waits for what it replies, which may be much
// later.
func ask[T any](ctx context.Context, l *loop, f func(reply func(T, error))) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	reply := func(v T, err error) { answers <- answer{v, err} }
	select {
	case l.calls <- func() { f(reply) }:
	case <-l.ended:
		return *new(T), errEnded
	case <-ctx.Done():
		return *new(T), context.Cause(ctx)
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return *new(T), context.Cause(ctx)
	case <-l.ended:
	}
	select { // the end and the answer came together
	case a := <-answers:
		return a.value, a.err
	default:
		return *new(T), errEnded
	}
}

var errEnded = errors.New("the server has ended")

// proceed looks at every unit: what is due is begun. It is asked after each
// event, so that a service that waits for another needs no message of its own.
func (l *loop) proceed(now time.Time) {
	if l.closing != nil {
		l.proceedClosing(now)
	}
	for _, u := range l.units {
		l.perform(u, u.proceed(now, free(l.units, u)))
	}
}

// wake is the next moment at which something is due by itself.
func (l *loop) wake(now time.Time) (at time.Time) {
	for _, u := range l.units {
		if t := u.wake(); !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if l.closing != nil {
		// Nothing wakes us for a process that KILL can not end.
		if t := now.Add(killPatience); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// answer tells those who waited for what is now so.
func (l *loop) answer() {
	kept := l.waiters[:0]
	for _, w := range l.waiters {
		switch {
		case w.until(w.unit):
			w.then()
		case w.ctx.Err() == nil:
			kept = append(kept, w)
		}
	}
	clear(l.waiters[len(kept):])
	l.waiters = kept
}

// when has then called once until holds for u, if ctx has not ended before.
func (l *loop) when(ctx context.Context, u *unit, until func(*unit) bool, then func()) {
	l.waiters = append(l.waiters, waiter{ctx, u, until, then})
}

// started reports that no start is under way.
func started(u *unit) bool { return u.phase != spawning }

// state of a service by name, Unknown if nobody monitors it.
func (l *loop) stateOf(name string) zinit.State {
	if u, ok := l.units[name]; ok {
		return u.state
	}
	return zinit.State{Kind: zinit.Unknown}
}
