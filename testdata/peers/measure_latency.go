package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

const (
	latencyRate = 200
	latencyJobs = 2000
)

// latencyMeasure: from the call that submits to the first line of the handler, at
// 200 a second, on a worker with ten free hands. Herosup's way goes through the log.
func latencyMeasure() measure {
	const setting = "200 a second"
	m := measure{
		name: "latency", title: "Submission to handler at 200 a second, idle worker (us)",
		columns: []column{{name: "p50", less: true}, {name: "p99", less: true}, {name: "max", less: true}},
		wants: []want{
			{what: "submission -> script begins, through the log, 200/s, p50 in us", setting: setting, system: "herosup", column: "p50", most: 1500},
			{what: "the same, p99 in us", setting: setting, system: "herosup", column: "p99", most: 5000},
			{what: "its p50 beside BullMQ's", setting: setting, system: "herosup", column: "p50", than: "bullmq"},
			{what: "its p99 beside BullMQ's", setting: setting, system: "herosup", column: "p99", than: "bullmq"},
			{what: "its p50 beside asynq's", setting: setting, system: "herosup", column: "p50", than: "asynq"},
		},
	}
	add := func(name string, run func(context.Context, *env) (values, error)) {
		m.contenders = append(m.contenders, contender{system: name, setting: setting, run: run})
	}
	add("herosup", heroLatencyRun)
	add("herosup without the log", peerLatencyRun(heroSystem))
	add("bullmq", peerLatencyRun(bullSystem))
	add("asynq", peerLatencyRun(asynqSystem))
	add("raw scripts", peerLatencyRun(rawSystem))
	return m
}

func latencyArgs(e *env) []string {
	return []string{"--jobs", strconv.Itoa(e.n(latencyJobs)), "--rate", strconv.Itoa(latencyRate), "--payload", payloadAt}
}

func heroLatencyRun(ctx context.Context, e *env) (values, error) {
	jobs := e.n(latencyJobs)
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
	r, err := d.submitter(ctx, e, "submitter", latencyArgs(e)...)
	if err != nil {
		return nil, err
	}
	return late(ctx, r, workers, jobs)
}

func peerLatencyRun(y system) func(context.Context, *env) (values, error) {
	return func(ctx context.Context, e *env) (values, error) {
		jobs := e.n(latencyJobs)
		s, err := y.begin(ctx, e)
		if err != nil {
			return nil, err
		}
		workers, err := y.crew(ctx, e, s, 1, 10, jobs)
		if err != nil {
			return nil, err
		}
		if err := workers.tell("go"); err != nil {
			return nil, err
		}
		r, err := y.submitter(ctx, e, s, jobs, 1, 1, payloadAt, "--rate", strconv.Itoa(latencyRate))
		if err != nil {
			return nil, err
		}
		if _, err := r.hear(ctx, "ready"); err != nil {
			return nil, err
		}
		return late(ctx, r, workers, jobs)
	}
}

// late lets the submitter go and collects what the handlers noted. The first tenth
// is left out: everybody's caches are cold.
func late(ctx context.Context, submitter *role, workers crew, jobs int) (values, error) {
	if _, err := submitter.ask(ctx, "go", "done"); err != nil {
		return nil, err
	}
	var sum message
	err := eventually(ctx, time.Minute, "every job was handled", func() (done bool, err error) {
		sum, err = workers.report(ctx)
		return sum.Jobs >= jobs, err
	})
	if err != nil {
		return nil, err
	}
	if sum.Jobs != jobs || len(sum.Late) != jobs {
		return nil, fmt.Errorf("%d jobs were handled, %d measured, want %d", sum.Jobs, len(sum.Late), jobs)
	}
	v := sum.Late[jobs/10:]
	return values{"p50": quantile(v, 0.5), "p99": quantile(v, 0.99), "max": quantile(v, 1)}, nil
}
