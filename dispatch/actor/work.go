package actor

import (
	"context"
	"errors"

	"herosup/dispatch/store"
	"herosup/events"
)

// pingScript is answered without the handler: a health check of the original protocol.
const pingScript, pongOutput = "ping", "pong"

// slot is one job at work.
type slot struct {
	job  store.Claimed
	stop context.CancelCauseFunc // of the job's context
	lost bool                    // no longer ours, or this actor ends
}

// end ends the job's context; it is not told what becomes of it then.
func (s *slot) end(cause error) {
	s.lost = true
	s.stop(cause)
}

// ending is what a slot tells the loop.
type ending struct {
	job   store.Claimed
	out   Outcome
	cause error // of the job's context; nil if it had not ended
}

// fill begins jobs in free slots, and reports whether it did.
func (l *loop) fill() (begun bool) {
	for len(l.waiting) > 0 && len(l.running) < l.cfg.Concurrency {
		job := l.waiting[0]
		l.waiting = l.waiting[1:]
		ctx, stop := context.WithCancelCause(l.work)
		l.running[holdOf(job)] = &slot{job: job, stop: stop}
		go l.runJob(ctx, stop, job)
		begun = true
	}
	return begun
}

// runJob is a slot's goroutine: it calls the handler and tells the loop, whatever the handler does short of a panic.
func (l *loop) runJob(ctx context.Context, stop context.CancelCauseFunc, claimed store.Claimed) {
	out := Failed(ReasonNoOutcome, "the handler ended its goroutine (runtime.Goexit)")
	defer func() {
		cause := context.Cause(ctx)
		stop(nil)
		l.ends <- ending{claimed, out, cause} // there is room for one of each slot
	}()
	out = l.outcome(ctx, stop, claimed)
}

func (l *loop) outcome(ctx context.Context, stop context.CancelCauseFunc, claimed store.Claimed) Outcome {
	if claimed.Script == pingScript {
		return Outcome{Output: pongOutput}
	}
	env, err := claimed.Env()
	if err != nil {
		return Failed(ReasonBadEnv, err.Error())
	}
	job := Job{
		ID: claimed.ID, Type: claimed.Type, Script: claimed.Script, Env: env, CallerID: claimed.Caller, ContextID: claimed.Context,
		Attempt: claimed.Token.Attempt, Timeout: claimed.Timeout, record: l.recorder(claimed, stop),
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
	delete(l.running, holdOf(e.job))
	switch {
	case errors.Is(e.cause, ErrLost), errors.Is(e.cause, ErrSuperseded):
		l.drop(e.job, ErrLost.Error())
	case errors.Is(e.cause, ErrStopped) && e.out.Failed:
		l.cut[e.job.ID] = struct{}{}
		l.log.Warn("job cut short by the stop, it is given back when this process has ended", "job", e.job.ID)
	case e.job.Token.Epoch != l.epoch:
		l.drop(e.job, "redis was rebuilt while it ran")
	default:
		l.results = append(l.results, store.Ended{Job: e.job, Outcome: e.out})
	}
}

// renew says that we live, and finds jobs that are no longer ours.
func (l *loop) renew() {
	var jobs []store.Claimed
	for h, s := range l.running {
		if h.epoch == l.epoch && !s.lost {
			jobs = append(jobs, s.job)
		}
	}
	if len(jobs) == 0 {
		return
	}
	ctx, end := context.WithTimeout(l.last, renewTime)
	defer end()
	codes, err := l.redis.Renew(ctx, jobs...)
	if errors.Is(err, store.ErrNoEpoch) {
		l.helloAtWork(ctx)
		return
	}
	if err != nil {
		l.link.gone(l.last, err) // the lease is only a net: the next third tries again
		return
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
}

// helloAtWork registers again while jobs run, so that our death would be seen; not for as long as it takes, since ends
// wait for the loop.
func (l *loop) helloAtWork(ctx context.Context) {
	h, err := l.redis.Hello(ctx)
	switch {
	case err != nil: // no epoch yet, or away: the next third tries again
	case h.Code == store.OK:
		l.registered(h)
	default:
		l.fatal = afterHello(h.Code)
	}
}

// recorder is what Job.RecordGroup calls, on the handler's goroutine.
func (l *loop) recorder(claimed store.Claimed, stop context.CancelCauseFunc) func(context.Context, int, events.Incarnation) error {
	return func(ctx context.Context, pgid int, leader events.Incarnation) error {
		var code store.Code
		err := l.link.repeat(ctx, false, func() (err error) {
			code, err = l.redis.RecordGroup(ctx, claimed, pgid, leader.Start)
			return err
		})
		switch {
		case err == nil && code == store.CancelCode:
			stop(ErrCancelled)
			return ErrCancelled
		case errors.Is(err, store.ErrNoEpoch), err == nil && code != store.OK:
			stop(ErrLost) // not begun: whoever holds it by now will
			return ErrLost
		case err != nil:
			return err
		}
		return nil
	}
}
