package main

import (
	"context"
	"fmt"
)

const backlogJobs = 50_000

// backlogMeasure: no-op jobs of one type that wait already are worked off. The
// daemon takes no part: it is not in the way of a job that waits.
func backlogMeasure() measure {
	m := measure{
		name: "backlog", title: "No-op jobs processed from a backlog of 50,000, one type",
		columns: []column{{name: "jobs/s"}, {name: "client us/job", less: true}, {name: "redis us/job", less: true}, {name: "jobs per CPU-second"}},
	}
	add := func(setting string, processes, concurrency int, systems ...system) {
		for _, y := range systems {
			m.contenders = append(m.contenders, contender{system: y.name, setting: setting, run: backlogRun(y, processes, concurrency)})
		}
		least := 3.0
		if processes > 1 {
			least = 2
		}
		m.wants = append(m.wants,
			want{what: "backlog, jobs/s, " + setting, setting: setting, system: "herosup", column: "jobs/s", than: "asynq", least: least},
			want{what: "the same beside the raw scripts (their share of the limit)", setting: setting, system: "herosup", column: "jobs/s", than: "raw scripts"})
	}
	add("1 process, concurrency 10", 1, 10, heroSystem, asynqSystem, bullSystem, rawSystem)
	add("1 process, concurrency 100", 1, 100, heroSystem, asynqSystem, bullSystem, rawSystem)
	add("10 processes, concurrency 1", 10, 1, heroSystem, asynqSystem, rawSystem)
	return m
}

func backlogRun(y system, processes, concurrency int) func(context.Context, *env) (values, error) {
	return func(ctx context.Context, e *env) (values, error) {
		jobs := e.n(backlogJobs)
		s, err := y.begin(ctx, e)
		if err != nil {
			return nil, err
		}
		if err := y.fill(ctx, e, s, jobs); err != nil {
			return nil, fmt.Errorf("fill: %w", err)
		}
		workers, err := y.crew(ctx, e, s, processes, concurrency, jobs)
		if err != nil {
			return nil, err
		}
		before, err := s.cpu(ctx)
		if err != nil {
			return nil, err
		}
		if err := workers.tell("go"); err != nil {
			return nil, err
		}
		end, err := y.drained(ctx, s)
		if err != nil {
			return nil, err
		}
		after, err := s.cpu(ctx)
		if err != nil {
			return nil, err
		}
		sum, err := workers.report(ctx)
		if err != nil {
			return nil, err
		}
		if err := y.count(ctx, s, sum.Jobs, jobs); err != nil {
			return nil, err
		}
		n := float64(jobs)
		client, inRedis := sum.CPU/n, (after-before)/n
		return values{
			"jobs/s":        n / (float64(end.UnixNano()-sum.First) / 1e9),
			"client us/job": client, "redis us/job": inRedis, "jobs per CPU-second": 1e6 / (client + inRedis),
		}, nil
	}
}
