package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	// heroKills are in one run, so that five rounds are two hundred.
	heroKills = 40
	// peerWait bounds the wait for a peer's recovery; asynq's takes two minutes or so.
	peerWait = 6 * time.Minute
	// killAfter is how long a job has run when its worker is killed.
	killAfter = 3 * time.Second
)

// killsMeasure: SIGKILL of a worker in the middle of a job, until the handler of that
// job is called on another worker, which stands idle. Herosup is whole: the daemon,
// zinit, its log. All have their defaults.
func killsMeasure() measure {
	const setting = "2 workers, 1 job"
	return measure{
		name: "kills", title: "SIGKILL of a worker in mid-job to the job's next start (ms)",
		columns: []column{{name: "p50 ms", less: true}, {name: "p99 ms", less: true}, {name: "max ms", less: true}, {name: "kills"}},
		contenders: []contender{
			{system: "herosup", setting: setting, run: heroKillsRun},
			{system: "asynq", setting: setting, run: peerKillRun(asynqSystem), kills: true},
			{system: "bullmq", setting: setting, run: peerKillRun(bullSystem), kills: true},
		},
		wants: []want{
			{what: "SIGKILL -> the job starts again, p50 in ms", setting: setting, system: "herosup", column: "p50 ms", most: 5},
			{what: "the same, p99 in ms (the worst run's of five)", setting: setting, system: "herosup", column: "p99 ms", most: 50},
			{what: "its p50 beside asynq's", setting: setting, system: "herosup", column: "p50 ms", than: "asynq"},
			{what: "its p50 beside BullMQ's", setting: setting, system: "herosup", column: "p50 ms", than: "bullmq"},
		},
	}
}

func killed(ms []float64) values {
	return values{"p50 ms": quantile(ms, 0.5), "p99 ms": quantile(ms, 0.99), "max ms": quantile(ms, 1), "kills": float64(len(ms))}
}

func heroKillsRun(ctx context.Context, e *env) (values, error) {
	kills := max(2, int(heroKills*min(1, e.o.scale)))
	d, err := e.daemonUp(ctx, "", pool{name: "noop", actors: 2, concurrency: 1})
	if err != nil {
		return nil, err
	}
	workers, err := d.crew(ctx, 2)
	if err != nil {
		return nil, err
	}
	r, err := d.submitter(ctx, e, "submitter", "--jobs", "1", "--callers", "1", "--payload", payloadHold)
	if err != nil {
		return nil, err
	}
	var ms []float64
	for range kills {
		if err := d.idle(ctx, "noop", 2); err != nil {
			return nil, err
		}
		if _, err := r.ask(ctx, "go", "done"); err != nil {
			return nil, err
		}
		victim, other, _, err := workers.began(ctx)
		if err != nil {
			return nil, err
		}
		at := time.Now()
		if err := syscall.Kill(workers[victim].pid, syscall.SIGKILL); err != nil {
			return nil, err
		}
		m, err := workers[other].hear(ctx, "began")
		if err != nil {
			return nil, err
		}
		ms = append(ms, float64(m.At-at.UnixNano())/1e6)
		if err := workers[other].tell("release"); err != nil {
			return nil, err
		}
		fresh, err := d.crew(ctx, 1) // its zinit has started another
		if err != nil {
			return nil, err
		}
		workers[victim] = fresh[0]
	}
	return killed(ms), nil
}

// began waits for the one of two workers that tells of a job.
func (c crew) began(ctx context.Context) (which, other int, m message, err error) {
	for {
		var ok bool
		select {
		case m, ok = <-c[0].lines:
			which = 0
		case m, ok = <-c[1].lines:
			which = 1
		case <-ctx.Done():
			return 0, 0, m, fmt.Errorf("wait for a job to begin: %w", context.Cause(ctx))
		}
		switch {
		case !ok:
			return 0, 0, m, fmt.Errorf("worker %d ended%s", which, c[which].words())
		case m.Event == "failed":
			return 0, 0, m, errors.New(m.Text)
		case m.Event == "began":
			return which, 1 - which, m, nil
		}
	}
}

// peerKillRun kills once: a worker that runs the only job, beside one that is idle.
func peerKillRun(y system) func(context.Context, *env) (values, error) {
	return func(ctx context.Context, e *env) (values, error) {
		s, err := y.begin(ctx, e)
		if err != nil {
			return nil, err
		}
		workers, err := y.crew(ctx, e, s, 2, 1, 0)
		if err != nil {
			return nil, err
		}
		if err := workers.tell("go"); err != nil {
			return nil, err
		}
		r, err := y.submitter(ctx, e, s, 1, 1, 1, payloadHold)
		if err != nil {
			return nil, err
		}
		if _, err := r.hear(ctx, "ready"); err != nil {
			return nil, err
		}
		if _, err := r.ask(ctx, "go", "done"); err != nil {
			return nil, err
		}
		victim, other, _, err := workers.began(ctx)
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(killAfter):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		at := time.Now()
		if err := syscall.Kill(workers[victim].pid, syscall.SIGKILL); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, peerWait)
		defer cancel()
		m, err := workers[other].hear(ctx, "began")
		if err != nil {
			return nil, err
		}
		return killed([]float64{float64(m.At-at.UnixNano()) / 1e6}), workers[other].tell("release")
	}
}
