package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"herosup/dispatch/store"
)

// side is the store as the loop uses it: *store.Actor, or that with something broken on purpose.
type side interface {
	Hello(ctx context.Context) (store.Hello, error)
	Claim(ctx context.Context) (store.ClaimResult, error)
	Finish(ctx context.Context, job store.Claimed, out Outcome, next bool) (store.FinishResult, error)
	Renew(ctx context.Context, jobs ...store.Claimed) ([]store.Code, error)
	RecordGroup(ctx context.Context, job store.Claimed, pgid int, start uint64) (store.Code, error)
	Pong(ctx context.Context, nonce string) (store.Code, error)
	WaitWake(ctx context.Context, timeout time.Duration) (store.Wake, error)
}

// slot is the loop and what it holds; all of it is the loop's alone.
type slot struct {
	times
	cfg   Config
	redis side
	link  link
	log   *slog.Logger

	job    *store.Claimed // in hand, not run yet
	result *result        // run, not told yet
	epoch  uint64         // of the last hello; 0 before the first
	hellos int            // since the last call that found us registered
	misses int            // waits in a row that failed
}

type result struct {
	job store.Claimed
	out Outcome
}

// run goes from step to step until the caller's end, with nothing in hand.
func (s *slot) run() error {
	next := stepHello
	for {
		if s.ask.Err() != nil && s.job == nil && s.result == nil {
			return nil
		}
		var err error
		switch next {
		case stepHello:
			next, err = s.hello()
		case stepClaim:
			next, err = s.claim()
		case stepWait:
			next, err = s.wait()
		case stepWork:
			next, err = s.doJob()
		case stepFinish:
			next, err = s.finish()
		}
		switch {
		case err == nil:
		case errors.Is(err, store.ErrNoEpoch):
			next = stepHello
		case s.ask.Err() != nil && s.result == nil && errors.Is(err, context.Cause(s.ask)):
			return nil // the caller's end while we waited or tried; nothing is in hand
		default:
			return s.explain(err)
		}
	}
}

func (s *slot) explain(err error) error {
	if s.result != nil {
		err = fmt.Errorf("%w; the result of job %s could not be told, the job will run again", err, s.result.job.ID)
	}
	return fmt.Errorf("actor %s: %w", s.cfg.Name, err)
}

// until is the end that a call may be repeated to: a result is worth waiting for.
func (s *slot) until() context.Context {
	if s.result != nil {
		return s.last
	}
	return s.ask
}

func (s *slot) hello() (step, error) {
	if s.hellos > 0 {
		pause(s.until(), s.hellos-1)
	}
	s.hellos++
	var h store.Hello
	for n := 0; ; n++ {
		// Strict before the first hello: a wrong password is a setting, and who started us should see it at once.
		// Later it may be put right while we hold a result.
		err := s.link.repeat(s.until(), s.epoch == 0, func() (err error) { h, err = s.redis.Hello(s.last); return err })
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrNoEpoch) {
			return "", err
		}
		if s.until().Err() != nil {
			return "", context.Cause(s.until())
		}
		s.awaitEpoch(n)
	}
	next, err := afterHello(h.Code, s.result == nil)
	if err != nil {
		return "", err
	}
	s.epoch = h.Epoch
	s.log.Info("actor registered", "state", gate(h.Open), "depth", h.Held)
	return next, nil
}

// awaitEpoch waits for a ring, which the daemon gives when it has filled Redis, or the backoff.
func (s *slot) awaitEpoch(n int) {
	if n == 0 {
		s.log.Info("redis carries no epoch, waiting for the daemon to fill it")
	}
	// Whatever the message is, the claim after the hello finds out.
	if _, err := s.redis.WaitWake(s.until(), backoff(n, rand.Float64())); err != nil {
		pause(s.until(), n)
	}
}

func gate(open bool) string {
	if open {
		return "open"
	}
	return "closed"
}

func (s *slot) claim() (step, error) {
	var res store.ClaimResult
	// s.last, not s.ask: a claim that was sent should be answered, or its job waits for our death.
	err := s.link.repeat(s.ask, false, func() (err error) { res, err = s.redis.Claim(s.last); return err })
	if err != nil {
		return "", err
	}
	next, err := afterTake("claim", res.Code)
	return s.take(next, res.Job, err)
}

// take keeps what an answer brought.
func (s *slot) take(next step, job *store.Claimed, err error) (step, error) {
	if next != stepHello {
		s.hellos = 0
	}
	if next == stepWork {
		s.job = job
	}
	return next, err
}

func (s *slot) wait() (step, error) {
	wake, err := s.redis.WaitWake(s.ask, waitTime)
	if err != nil {
		if s.ask.Err() != nil {
			return "", context.Cause(s.ask)
		}
		s.link.gone(s.ask, err)
		pause(s.ask, s.misses)
		s.misses++
		return stepClaim, nil // a message may have gone with the connection
	}
	s.misses = 0
	s.link.back()
	next := afterWake(wake.Kind)
	switch {
	case wake.Kind == store.WakePing:
		return s.pong(wake.Nonce, next)
	case wake.Job != nil && wake.Job.Token.Epoch < s.epoch:
		return stepClaim, nil // handed over before a rebuild: what is in hand now has a token of its own
	}
	return s.take(next, wake.Job, nil)
}

func (s *slot) pong(nonce string, next step) (step, error) {
	var code store.Code
	err := s.link.repeat(s.ask, false, func() (err error) { code, err = s.redis.Pong(s.last, nonce); return err })
	switch {
	case err != nil:
		return "", err
	case code == store.Unregistered:
		return stepHello, nil
	case code != store.OK:
		return "", unexpected("pong", code)
	}
	return next, nil
}

func (s *slot) finish() (step, error) {
	r := s.result
	if r.job.Token.Epoch < s.epoch {
		s.drop(r.job, "redis was rebuilt while it ran")
		return stepClaim, nil
	}
	var res store.FinishResult
	err := s.link.repeat(s.last, false, func() (err error) {
		res, err = s.redis.Finish(s.last, r.job, r.out, s.ask.Err() == nil)
		return err
	})
	if err != nil {
		return "", err
	}
	next, dropped, err := afterFinish(res.Code, res.Next)
	if dropped {
		s.drop(r.job, string(res.Code))
	}
	s.result = nil
	return s.take(next, res.Job, err)
}

// drop gives up a job that is not ours any more, with what was done of it.
func (s *slot) drop(job store.Claimed, reason string) {
	s.result = nil
	s.log.Warn("result dropped", "job", job.ID, "reason", reason)
}
