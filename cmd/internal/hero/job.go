package hero

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"herosup/dispatch/actor"
)

const (
	// lookEvery is the pace of looking at a record, for what the hook does not see.
	lookEvery = 100 * time.Millisecond
	// textWait is how long a status is given for its text to follow.
	textWait = 100 * time.Millisecond
	// healthWait bounds one question whether the program takes jobs.
	healthWait = 3 * time.Second
)

// Run is an actor.Handler: it gives the job to the program and waits for its end.
func (p *Program) Run(ctx context.Context, job actor.Job) actor.Outcome {
	p.mu.Lock()
	c := p.child
	p.mu.Unlock()
	if err := job.RecordGroup(ctx, c.leader.PID, c.leader); err != nil {
		return actor.Failed(actor.ReasonNotStarted, err.Error())
	}
	j, err := p.give(ctx, job)
	defer p.forget(job.ID)
	if err != nil {
		return actor.Failed(actor.ReasonNotStarted, "private redis: "+err.Error())
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if out, done := p.result(j, time.Now()); done {
			return out
		}
		select {
		case <-j.changed:
		case <-look.C:
			p.look(ctx, job.ID)
		case <-c.gone:
			return p.bereft(c)
		case <-ctx.Done():
			return p.takeBack(ctx, c, job)
		}
	}
}

// give writes the record and pushes the id, in this order.
func (p *Program) give(ctx context.Context, job actor.Job) (*pending, error) {
	j := &pending{seen: seen{fields: map[string]string{}}, changed: make(chan struct{}, 1)}
	p.mu.Lock()
	p.jobs[job.ID] = j
	p.mu.Unlock()
	if err := p.redis.HSet(ctx, recordKey+job.ID, record(job, p.cfg.Concurrency > 1, time.Now())).Err(); err != nil {
		return nil, err
	}
	return j, p.redis.RPush(ctx, workKey+p.cfg.Type, job.ID).Err()
}

// maxPast is how many records are deleted again.
const maxPast = 64

// forget deletes a job's record, and those of the last jobs once more: an end is seen a moment before it is
// written.
func (p *Program) forget(id string) {
	p.mu.Lock()
	delete(p.jobs, id)
	p.past = append(p.past[max(0, len(p.past)-maxPast+1):], recordKey+id)
	past := slices.Clone(p.past)
	p.mu.Unlock()
	ctx, end := context.WithTimeout(context.Background(), time.Second)
	defer end()
	if err := p.redis.Del(ctx, past...).Err(); err != nil {
		p.cfg.Log.Warn("private redis", "job", id, "err", err)
	}
}

// result is the job's end, once the program has said all of it.
func (p *Program) result(j *pending, now time.Time) (actor.Outcome, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s := &j.seen; {
	case !s.ended():
		return actor.Outcome{}, false
	case s.since.IsZero():
		s.since = now
		if !s.whole() {
			return actor.Outcome{}, false
		}
		return s.outcome(), true
	default:
		return s.outcome(), s.whole() || now.Sub(s.since) >= textWait
	}
}

// look reads the record, for what a script of the program's wrote.
func (p *Program) look(ctx context.Context, id string) {
	fields, err := p.redis.HGetAll(ctx, recordKey+id).Result()
	if err != nil || fields["status"] == "" || fields["status"] == statusDispatched {
		return // a record that is gone was cleaned up: what was said of it counts
	}
	p.said(id, func(s *seen) {
		for name, value := range fields {
			s.fields[name] = value
		}
	})
}

// takeBack ends a job whose time is up, or which nobody wants any more.
func (p *Program) takeBack(ctx context.Context, c *child, job actor.Job) actor.Outcome {
	short, end := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer end()
	n, err := p.redis.LRem(short, workKey+p.cfg.Type, 1, job.ID).Result()
	if popped := err == nil && n == 0; popped {
		p.cfg.Log.Warn("the program is ended for a job that can not be told to end", "job", job.ID, "reason", context.Cause(ctx))
		if err := p.replace(ctx, c); err != nil {
			p.cfg.Log.Error("the program does not come back", "err", err)
		}
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, actor.ErrTimeout):
		return actor.Failed(actor.ReasonTimeout, fmt.Sprintf("timed out after %v", job.Timeout))
	case errors.Is(cause, actor.ErrCancelled):
		return actor.Failed(actor.ReasonCancelled, cause.Error())
	default:
		return actor.Failed(actor.ReasonStopped, cause.Error())
	}
}

// replace ends the program and starts it anew. One that is told so by several jobs is ended once.
func (p *Program) replace(ctx context.Context, c *child) error {
	p.mu.Lock()
	if c.told || p.child != c {
		p.mu.Unlock()
		<-c.gone
		return nil
	}
	c.told = true
	p.mu.Unlock()
	c.end(p.cfg.Grace)
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.Grace+healthWait)
	defer end()
	if err := p.begin(ctx); err != nil {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.lost <- Exit{Code: 1}
		return err
	}
	return nil
}

// bereft is a job whose program has ended. If nobody told it to, this process ends too, and the job runs again: its
// handler waits for that.
func (p *Program) bereft(c *child) actor.Outcome {
	p.mu.Lock()
	told := c.told
	p.mu.Unlock()
	if !told {
		<-p.ended
	}
	return actor.Failed(reasonInterrupted, "the program was ended because of another of its jobs")
}

// Healthy asks the program for a sign of life, as the original does: a job whose script is "ping".
func (p *Program) Healthy(ctx context.Context) error {
	ctx, end := context.WithTimeoutCause(ctx, healthWait, errors.New("the program did not answer a ping"))
	defer end()
	job := actor.Job{ID: fmt.Sprintf("ping-%d", time.Now().UnixNano()), Type: p.cfg.Type, Script: "ping"}
	j, err := p.give(ctx, job)
	defer p.forget(job.ID)
	if err != nil {
		return err
	}
	for {
		if _, done := p.result(j, time.Now()); done {
			return nil // whatever it says
		}
		select {
		case <-j.changed:
		case <-time.After(textWait): // a status without a text
		case <-ctx.Done():
			_ = p.redis.LRem(context.WithoutCancel(ctx), workKey+p.cfg.Type, 1, job.ID)
			return context.Cause(ctx)
		}
	}
}
