package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// system is how the harness drives one of those that it compares.
type system struct {
	name string // of a contender
	role string // -system of the roles; "" for BullMQ's program
	// bulk is how many jobs one call of its submitter takes when a queue is filled.
	bulk    int
	prepare func(ctx context.Context, s *server) error // nil for nothing
	left    func(ctx context.Context, s *server) (int, error)
	ended   func(ctx context.Context, s *server) (int, error)
}

var (
	asynqSystem = system{name: "asynq", role: "asynq", bulk: 1, left: asynqLeft, ended: asynqEnded}
	bullSystem  = system{name: "bullmq", bulk: 100, left: bullLeft, ended: bullEnded}
	rawSystem   = system{name: "raw scripts", role: "raw", bulk: 100, left: rawLeft, ended: rawEnded}
	// heroSystem is Herosup's actor and store without the daemon and its log.
	heroSystem = system{name: "herosup", role: "herosup", bulk: 100, prepare: raiseEpoch, left: heroLeft, ended: heroEnded}
)

// submitter starts a role that submits; for Herosup without the log.
func (y system) submitter(ctx context.Context, e *env, s *server, jobs, callers, batch int, payload string, more ...string) (*role, error) {
	args := append([]string{
		"--redis", s.socket, "--jobs", strconv.Itoa(jobs), "--callers", strconv.Itoa(callers), "--batch", strconv.Itoa(batch), "--payload", payload,
	}, more...)
	if y.role == "" {
		return e.bullRole(ctx, "submitter", append([]string{"submitter"}, args...)...)
	}
	name := y.role
	if name == "herosup" {
		name = "herosup-store"
	}
	return e.as(ctx, "submitter", append([]string{"submitter", "--system", name}, args...)...)
}

// worker starts a role that takes jobs.
func (y system) worker(ctx context.Context, e *env, s *server, i, concurrency, jobs int) (*role, error) {
	name := fmt.Sprint("worker_", i)
	args := []string{"--redis", s.socket, "--concurrency", strconv.Itoa(concurrency), "--jobs", strconv.Itoa(jobs)}
	if y.role == "" {
		return e.bullRole(ctx, name, append([]string{"worker"}, args...)...)
	}
	return e.as(ctx, name, append([]string{"worker", "--system", y.role, "--name", name}, args...)...)
}

// fill puts a backlog into the queue.
func (y system) fill(ctx context.Context, e *env, s *server, jobs int) error {
	r, err := y.submitter(ctx, e, s, jobs, 8, y.bulk, payloadNoop)
	if err != nil {
		return err
	}
	if _, err := r.hear(ctx, "ready"); err != nil {
		return err
	}
	if _, err := r.ask(ctx, "go", "done"); err != nil {
		return err
	}
	_ = r.kill()
	if n, err := y.left(ctx, s); err != nil || n != jobs {
		return fmt.Errorf("%d jobs wait, want %d: %w", n, jobs, err)
	}
	return nil
}

// begin gives a run its Redis.
func (y system) begin(ctx context.Context, e *env) (*server, error) {
	s, err := e.redisServer(ctx)
	if err != nil {
		return nil, err
	}
	if y.prepare != nil {
		return s, y.prepare(ctx, s)
	}
	return s, nil
}

// crew are the workers of a run.
type crew []*role

func (y system) crew(ctx context.Context, e *env, s *server, processes, concurrency, jobs int) (crew, error) {
	c := make(crew, processes)
	var err error
	for i := range c {
		if c[i], err = y.worker(ctx, e, s, i, concurrency, jobs); err != nil {
			return nil, err
		}
	}
	for _, r := range c {
		if _, err := r.hear(ctx, "ready"); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c crew) tell(do string) error {
	for _, r := range c {
		if err := r.tell(do); err != nil {
			return err
		}
	}
	return nil
}

// report sums up what the workers did: jobs, CPU, the first start.
func (c crew) report(ctx context.Context) (message, error) {
	var sum message
	for _, r := range c {
		m, err := r.ask(ctx, "report", "report")
		if err != nil {
			return sum, err
		}
		sum.Jobs += m.Jobs
		sum.CPU += m.CPU
		sum.Late = append(sum.Late, m.Late...)
		if m.Jobs > 0 && (sum.First == 0 || m.First < sum.First) {
			sum.First = m.First
		}
	}
	return sum, nil
}

// count fails a run that lost or doubled a job.
func (y system) count(ctx context.Context, s *server, handled, jobs int) error {
	ended, err := y.ended(ctx, s)
	if err != nil {
		return err
	}
	if handled != jobs || ended != jobs {
		return fmt.Errorf("%d jobs were handled and %d ended, want %d", handled, ended, jobs)
	}
	return nil
}

// drained waits until nothing waits or runs, and returns when that was.
func (y system) drained(ctx context.Context, s *server) (time.Time, error) {
	err := eventually(ctx, runTimeout, "every job has ended", func() (bool, error) {
		n, err := y.left(ctx, s)
		return n == 0, err
	})
	return time.Now(), err
}
