package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const endToEndJobs = 50_000

// endToEndMeasure: submission and work at the same time, from the first call to the
// last result in Redis. Herosup does it twice: as it is, with the daemon, its log and
// its events, and without them, so that what they cost can be seen.
func endToEndMeasure() measure {
	const setting = "1 submitter, 1 worker, concurrency 10"
	m := measure{
		name: "endtoend", title: "Submission to result, no-op jobs",
		columns: []column{{name: "jobs/s"}, {name: "client us/job", less: true}, {name: "daemon us/job", less: true}, {name: "worker us/job", less: true}, {name: "redis us/job", less: true}},
		wants: []want{
			{what: "submission to result, jobs/s, log and events on", setting: setting, system: "herosup", column: "jobs/s", than: "asynq", least: 1.5},
			{what: "the same beside itself without log and events (what they cost)", setting: setting, system: "herosup", column: "jobs/s", than: "herosup without the log"},
		},
	}
	add := func(name string, run func(context.Context, *env) (values, error)) {
		m.contenders = append(m.contenders, contender{system: name, setting: setting, run: run})
	}
	add("herosup", heroEndToEndRun)
	add("herosup without the log", peerEndToEndRun(heroSystem, 1, 100))
	add("asynq", peerEndToEndRun(asynqSystem, 16, 1))
	add("bullmq", peerEndToEndRun(bullSystem, 1, 100))
	add("raw scripts", peerEndToEndRun(rawSystem, 1, 100))
	return m
}

func heroEndToEndRun(ctx context.Context, e *env) (values, error) {
	jobs := e.n(endToEndJobs)
	d, err := e.daemonUp(ctx, "", pool{name: "noop", actors: 1, concurrency: 10, jobs: jobs})
	if err != nil {
		return nil, err
	}
	workers, err := d.crew(ctx, 1)
	if err != nil {
		return nil, err
	}
	if err := d.idle(ctx, "noop", 1); err != nil {
		return nil, err
	}
	r, err := d.submitter(ctx, e, "submitter", "--jobs", strconv.Itoa(jobs), "--callers", "0")
	if err != nil {
		return nil, err
	}
	daemonBefore, err1 := cpuOf(d.process.cmd.Process.Pid)
	redisBefore, err2 := d.cpu(ctx)
	if err := errors.Join(err1, err2, r.tell("go")); err != nil {
		return nil, err
	}
	v, err := endToEnd(ctx, heroSystem, d.server, r, workers, jobs, redisBefore)
	if err != nil {
		return nil, err
	}
	// What is left to do when the last result is there: tell of it, and clear the log.
	if err := eventually(ctx, time.Minute, "the log has let go of every job", func() (bool, error) {
		n, err := d.LLen(ctx, "hero:ended").Result()
		return n == 0, err
	}); err != nil {
		return nil, err
	}
	daemonAfter, err := cpuOf(d.process.cmd.Process.Pid)
	v["daemon us/job"] = (daemonAfter - daemonBefore) / float64(jobs)
	return v, err
}

func peerEndToEndRun(y system, callers, batch int) func(context.Context, *env) (values, error) {
	return func(ctx context.Context, e *env) (values, error) {
		jobs := e.n(endToEndJobs)
		s, err := y.begin(ctx, e)
		if err != nil {
			return nil, err
		}
		workers, err := y.crew(ctx, e, s, 1, 10, jobs)
		if err != nil {
			return nil, err
		}
		r, err := y.submitter(ctx, e, s, jobs, callers, batch, payloadNoop)
		if err != nil {
			return nil, err
		}
		if _, err := r.hear(ctx, "ready"); err != nil {
			return nil, err
		}
		before, err := s.cpu(ctx)
		if err != nil {
			return nil, err
		}
		if err := r.tell("go"); err != nil {
			return nil, err
		}
		// Not before there is something: asynq looks into an empty queue once a second.
		if err := eventually(ctx, time.Minute, "the first job waits", func() (bool, error) {
			n, err := y.left(ctx, s)
			return n > 0, err
		}); err != nil {
			return nil, err
		}
		if err := workers.tell("go"); err != nil {
			return nil, err
		}
		v, err := endToEnd(ctx, y, s, r, workers, jobs, before)
		if err != nil {
			return nil, err
		}
		return v, y.count(ctx, s, jobs, jobs)
	}
}

// endToEnd waits for the submitter, for the last handler, and for its result.
func endToEnd(ctx context.Context, y system, s *server, r *role, workers crew, jobs int, before float64) (values, error) {
	m, err := r.hear(ctx, "done")
	if err != nil {
		return nil, err
	}
	for _, w := range workers {
		if _, err := w.hear(ctx, "done"); err != nil {
			return nil, err
		}
	}
	end, err := y.drained(ctx, s)
	if err != nil {
		return nil, err
	}
	sum, err := workers.report(ctx)
	if err != nil {
		return nil, err
	}
	if sum.Jobs != jobs {
		return nil, fmt.Errorf("%d jobs were handled, want %d", sum.Jobs, jobs)
	}
	after, err := s.cpu(ctx)
	n := float64(jobs)
	return values{
		"jobs/s": n / (float64(end.UnixNano()-m.First) / 1e9), "client us/job": m.CPU / n, "worker us/job": sum.CPU / n,
		"redis us/job": (after - before) / n,
	}, err
}
