package actor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// pingScript is answered without the handler: a health check of the original protocol.
const pingScript, pongOutput = "ping", "pong"

// doJob runs the job in hand and keeps its result.
func (s *slot) doJob() (step, error) {
	job := *s.job
	s.job = nil
	out, cause, err := s.outcome(job)
	switch {
	case err != nil:
		return "", err
	case errors.Is(cause, ErrSuperseded):
		return "", cause
	case errors.Is(cause, ErrLost):
		s.drop(job, ErrLost.Error())
		return stepClaim, nil
	case errors.Is(cause, ErrStopped) && out.Failed:
		s.log.Warn("job cut short by the stop, it is given back when this process has ended", "job", job.ID)
		return stepClaim, nil // the loop ends before: nothing is in hand
	}
	s.result = &result{job: job, out: bounded(out)}
	return stepFinish, nil
}

// outcome runs the handler and renews the lease meanwhile. cause says what ended the job's context, if anything did
// besides its timeout. The error is a handler that does not end.
func (s *slot) outcome(claimed store.Claimed) (out Outcome, cause, err error) {
	if claimed.Script == pingScript {
		return Outcome{Output: pongOutput}, nil, nil
	}
	env, err := claimed.Env()
	if err != nil {
		return Failed(ReasonBadEnv, err.Error()), nil, nil
	}
	ctx, end := context.WithCancelCause(s.work)
	defer end(nil)
	job := Job{
		ID: claimed.ID, Type: claimed.Type, Script: claimed.Script, Env: env, CallerID: claimed.Caller, ContextID: claimed.Context,
		Attempt: claimed.Token.Attempt, Timeout: claimed.Timeout, record: s.recorder(claimed, end),
	}
	if job.Timeout <= 0 {
		job.Timeout = s.cfg.Timeout
	}
	done := s.handle(ctx, job)
	renew := time.NewTicker(s.cfg.Lease / 3)
	defer renew.Stop()
	for {
		select {
		case out = <-done:
			return out, context.Cause(ctx), nil
		case <-renew.C:
			if lost := s.renew(claimed); lost != nil {
				renew.Stop()
				end(lost)
			}
		case <-s.last.Done():
			return Outcome{}, nil, fmt.Errorf("the handler of job %s does not return; this process has to end", claimed.ID)
		}
	}
}

// handle calls the handler on a goroutine, so that the loop can renew; done has room for its outcome.
func (s *slot) handle(ctx context.Context, job Job) (done chan Outcome) {
	done = make(chan Outcome, 1)
	go func() {
		out := Failed(ReasonNoOutcome, "the handler ended its goroutine (runtime.Goexit)")
		defer func() { done <- out }()
		if job.Timeout > 0 {
			var end context.CancelFunc
			ctx, end = context.WithTimeoutCause(ctx, job.Timeout, ErrTimeout)
			defer end()
		}
		out = s.cfg.Handler(ctx, job)
	}()
	return done
}

// renew extends the lease; what it returns ends the job.
func (s *slot) renew(job store.Claimed) (lost error) {
	ctx, end := context.WithTimeout(s.last, renewTime)
	defer end()
	codes, err := s.redis.Renew(ctx, job)
	if errors.Is(err, store.ErrNoEpoch) {
		return s.helloAtWork(ctx, job)
	}
	if err != nil {
		s.link.gone(s.last, err) // the lease is only a net: the next third tries again
		return nil
	}
	s.link.back()
	if codes[0] != store.OK {
		return ErrLost
	}
	return nil
}

// helloAtWork registers again while a job runs, so that our death would be seen, and finds out whether the job's token
// still counts.
func (s *slot) helloAtWork(ctx context.Context, job store.Claimed) (lost error) {
	h, err := s.redis.Hello(ctx)
	switch {
	case err != nil:
		return nil // no epoch yet, or away: the next third tries again
	case h.Code == store.Superseded:
		return ErrSuperseded
	}
	s.epoch = h.Epoch
	if job.Token.Epoch < h.Epoch {
		return ErrLost
	}
	return nil
}

// recorder is what Job.RecordGroup calls, on the handler's goroutine.
func (s *slot) recorder(claimed store.Claimed, end context.CancelCauseFunc) func(context.Context, int, events.Incarnation) error {
	return func(ctx context.Context, pgid int, leader events.Incarnation) error {
		var code store.Code
		err := s.link.repeat(ctx, false, func() (err error) {
			code, err = s.redis.RecordGroup(ctx, claimed, pgid, leader.Start)
			return err
		})
		switch {
		case errors.Is(err, store.ErrNoEpoch), err == nil && code != store.OK:
			end(ErrLost) // not begun: whoever holds it by now will
			return ErrLost
		case err != nil:
			return err
		}
		return nil
	}
}
