package actor

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// pingScript is answered without the handler: a health check of the original protocol.
const pingScript, pongOutput = "ping", "pong"

// slot is one job at work.
type slot struct {
	job   store.Claimed // its token changes when Redis is rebuilt
	begun time.Time
	stop  context.CancelCauseFunc // of the job's context
	lost  bool                    // no longer ours, or this actor ends

	// For the handler's goroutine: the token's epoch, and the script's group once it is known.
	epoch atomic.Uint64
	group atomic.Pointer[group]
}

// end ends the job's context; it is not told what becomes of it then.
func (s *slot) end(cause error) {
	s.lost = true
	s.stop(cause)
}

// ending is what a slot tells the loop.
type ending struct {
	slot  *slot
	out   Outcome
	cause error // of the job's context; nil if it had not ended
}

// fill begins jobs in free slots, and reports whether it did.
func (l *loop) fill() (begun bool) {
	for len(l.waiting) > 0 && len(l.running) < l.cfg.Concurrency {
		job := l.waiting[0]
		l.waiting = l.waiting[1:]
		ctx, stop := context.WithCancelCause(l.work)
		s := &slot{job: job, begun: time.Now(), stop: stop}
		s.epoch.Store(job.Token.Epoch)
		l.running[holdOf(job)] = s
		l.begin(task{ctx, s, job})
		begun = true
	}
	return begun
}

// task is a job for a slot's goroutine.
type task struct {
	ctx  context.Context
	slot *slot
	job  store.Claimed
}

// begin gives a task to a goroutine that is free, or makes one. They stay to the end: new ones for each job, whose stacks grow
// anew, took a tenth of a busy actor's time.
func (l *loop) begin(t task) {
	if l.hands == l.cfg.Concurrency {
		l.tasks <- t // one of them has told its last end, and comes here
		return
	}
	select {
	case l.tasks <- t:
	default:
		l.hands++
		go l.runJobs(t, true)
	}
}

func (l *loop) runJobs(t task, ok bool) {
	over := false
	defer func() {
		if !over { // the handler ended this goroutine: another one takes its place
			go func() {
				t, ok := <-l.tasks
				l.runJobs(t, ok)
			}()
		}
	}()
	for ok {
		l.runJob(t.ctx, t.slot, t.job)
		t, ok = <-l.tasks
	}
	over = true
}

// runJob calls the handler and tells the loop, whatever the handler does short of a panic.
func (l *loop) runJob(ctx context.Context, s *slot, claimed store.Claimed) {
	out := Failed(ReasonNoOutcome, "the handler ended its goroutine (runtime.Goexit)")
	defer func() {
		if p := recover(); p != nil {
			panic(p) // this process dies, which takes a while: the loop goes on meanwhile and would tell the end
		}
		cause := context.Cause(ctx)
		s.stop(nil)
		l.ends <- ending{s, out, cause} // there is room for one of each slot
	}()
	out = l.outcome(ctx, s, claimed)
}

func (l *loop) outcome(ctx context.Context, s *slot, claimed store.Claimed) Outcome {
	if claimed.Script == pingScript {
		return Outcome{Output: pongOutput}
	}
	env, err := claimed.Env()
	if err != nil {
		return Failed(ReasonBadEnv, err.Error())
	}
	job := Job{
		ID: claimed.ID, Type: claimed.Type, Script: claimed.Script, Env: env, CallerID: claimed.Caller, ContextID: claimed.Context,
		Attempt: claimed.Token.Attempt, Timeout: claimed.Timeout, record: l.recorder(claimed, s),
	}
	if job.Timeout <= 0 {
		job.Timeout = l.cfg.Timeout
	}
	if job.Timeout > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeoutCause(ctx, job.Timeout, ErrTimeout)
		defer end()
	}
	return bounded(l.cfg.Handler(ctx, job))
}

// ended decides what becomes of a job that has come to its end here.
func (l *loop) ended(e ending) {
	job := e.slot.job
	delete(l.running, holdOf(job))
	switch {
	case errors.Is(e.cause, ErrLost), errors.Is(e.cause, ErrSuperseded):
		l.recall = true // given up on the word of a call that a rebuild overtook, it is in our hand still
		l.drop(job, ErrLost.Error())
	case errors.Is(e.cause, ErrStopped) && e.out.Failed:
		l.cut[job.ID] = struct{}{}
		l.log.Warn("job cut short by the stop, it is given back when this process has ended", "job", job.ID)
	default:
		if e.out.Failed && e.out.Reason == ReasonUnable {
			l.unfit(e.out.Error)
		}
		l.results = append(l.results, store.Ended{Job: job, Outcome: e.out})
	}
}

// unfit: no job is taken until Able says nil.
func (l *loop) unfit(reason string) {
	if !l.unable {
		l.log.Warn("no job can be run here, none is taken", "reason", reason)
	}
	l.unable = true
}

// again finds out whether jobs can be run again.
func (l *loop) again() {
	if l.unable && (l.cfg.Able == nil || l.cfg.Able() == nil) {
		l.log.Info("jobs can be run again")
		l.unable, l.ask, l.recall = false, true, true
	}
}

// renew says that we live, and finds jobs that are no longer ours.
func (l *loop) renew() error {
	l.renewed, l.spoke = time.Now(), true
	var jobs []store.Claimed
	for h, s := range l.running {
		if h.epoch == l.epoch && !s.lost {
			jobs = append(jobs, s.job)
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	ctx, end := context.WithTimeout(l.last, renewTime)
	defer end()
	codes, err := l.redis.Renew(ctx, jobs...)
	if errors.Is(err, store.ErrNoEpoch) {
		return l.helloAtWork(ctx)
	}
	if err != nil {
		l.link.gone(l.last, err) // the lease is only a net: the next third tries again
		return nil
	}
	l.link.back()
	for i, code := range codes {
		switch code {
		case store.OK:
		case store.CancelCode:
			l.running[holdOf(jobs[i])].stop(ErrCancelled) // its result still counts, so it is renewed to its end
		default:
			l.running[holdOf(jobs[i])].end(ErrLost)
		}
	}
	return nil
}

// beat renews when it is time to. In between, while a job runs and nothing else is said to Redis, it looks whether that was rebuilt: the
// daemon waits only a moment for what we hold.
func (l *loop) beat() error {
	l.again()
	spoke := l.spoke
	l.spoke = false
	switch {
	case len(l.running) == 0:
		return nil
	case time.Since(l.renewed) >= l.cfg.Lease/3-beatEvery/2: // a beat comes a little early at times
		return l.renew()
	case spoke, len(l.calls) > 0:
		return nil
	}
	ctx, end := context.WithTimeout(l.last, renewTime)
	defer end()
	if epoch, err := l.redis.Epoch(ctx); err == nil && epoch != l.epoch {
		return l.helloAtWork(ctx)
	}
	return nil
}

// helloAtWork registers again while jobs run, so that our death would be seen; not for as long as it takes, since ends
// wait for the loop.
func (l *loop) helloAtWork(ctx context.Context) error {
	if len(l.calls) > 0 { // their answers say it too
		return nil
	}
	h, err := l.redis.Hello(ctx)
	switch {
	case err != nil: // no epoch yet, or away: the next beat tries again
	case h.Code == store.OK:
		return l.registered(h)
	default:
		l.fatal = afterHello(h.Code)
	}
	return nil
}

// recorder is what Job.RecordGroup calls, on the handler's goroutine.
func (l *loop) recorder(claimed store.Claimed, s *slot) func(context.Context, int, events.Incarnation) error {
	return func(ctx context.Context, pgid int, leader events.Incarnation) error {
		s.group.Store(&group{pgid, leader})
		var code store.Code
		err := l.link.repeat(ctx, false, func() (err error) {
			claimed.Token.Epoch = s.epoch.Load()
			code, err = l.redis.RecordGroup(ctx, claimed, pgid, leader.Start)
			return err
		})
		switch {
		case err == nil && code == store.CancelCode:
			s.stop(ErrCancelled)
			return ErrCancelled
		case errors.Is(err, store.ErrNoEpoch), err == nil && code != store.OK:
			s.stop(ErrLost) // not begun: whoever holds it by now will
			return ErrLost
		case err != nil:
			return err
		}
		return nil
	}
}
