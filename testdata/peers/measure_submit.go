package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// submitMeasure: submissions alone, no worker. Acknowledged is, for Herosup, what the
// log on disk has; for the others what Redis has. The daemon fills Redis meanwhile,
// on the same two cores; in Redis/s is the rate until it has all.
func submitMeasure() measure {
	m := measure{
		name: "submit", title: "Submission alone: acknowledged jobs a second",
		columns: []column{{name: "jobs/s"}, {name: "client us/job", less: true}, {name: "in Redis/s"}},
	}
	const (
		free    = "1 client that does not wait"
		one     = "1 caller that waits"
		sixteen = "16 callers that wait"
	)
	hero := func(setting string, full, callers int, sync string) {
		name := "herosup"
		if sync != "" {
			name += " sync=" + sync
		}
		m.contenders = append(m.contenders, contender{system: name, setting: setting, run: heroSubmitRun(full, callers, sync)})
	}
	peer := func(y system, name, setting string, full, callers, batch int) {
		m.contenders = append(m.contenders, contender{system: name, setting: setting, run: peerSubmitRun(y, full, callers, batch)})
	}
	hero(free, 100_000, 0, "")
	peer(asynqSystem, "asynq Enqueue", free, 50_000, 1, 1)
	peer(bullSystem, "bullmq addBulk(100)", free, 50_000, 1, 100)
	peer(rawSystem, "raw pipelines of 100", free, 100_000, 1, 100)
	hero(free, 20_000, 0, "always")
	hero(sixteen, 50_000, 16, "")
	peer(asynqSystem, "asynq Enqueue", sixteen, 50_000, 16, 1)
	peer(bullSystem, "bullmq add", sixteen, 20_000, 16, 1)
	hero(sixteen, 20_000, 16, "always")
	hero(one, 20_000, 1, "")
	peer(asynqSystem, "asynq Enqueue", one, 20_000, 1, 1)
	peer(bullSystem, "bullmq add", one, 10_000, 1, 1)
	hero(one, 10_000, 1, "always")
	for _, w := range []want{
		{setting: free, than: "asynq Enqueue", least: 3},
		{setting: free, than: "bullmq addBulk(100)", least: 3},
		{setting: sixteen, than: "asynq Enqueue", least: 1.2},
		{setting: one, than: "asynq Enqueue", least: 1},
	} {
		w.what, w.system, w.column = "submission, jobs/s, "+w.setting, "herosup", "jobs/s"
		m.wants = append(m.wants, w)
		if w.than == "asynq Enqueue" {
			w.what, w.system, w.least = w.what+", nats.sync: always", "herosup sync=always", 0
			m.wants = append(m.wants, w)
		}
	}
	return m
}

func heroSubmitRun(full, callers int, sync string) func(context.Context, *env) (values, error) {
	return func(ctx context.Context, e *env) (values, error) {
		jobs := e.n(full)
		// The pool has another type: nobody takes these.
		d, err := e.daemonUp(ctx, sync, pool{name: "other"})
		if err != nil {
			return nil, err
		}
		r, err := d.submitter(ctx, e, "submitter", "--jobs", strconv.Itoa(jobs), "--callers", strconv.Itoa(callers))
		if err != nil {
			return nil, err
		}
		m, err := r.ask(ctx, "go", "done")
		if err != nil {
			return nil, err
		}
		n := 0
		if err := eventually(ctx, runTimeout, "all jobs are in Redis", func() (bool, error) {
			n, err = heroLeft(ctx, d.server)
			return n >= jobs, err
		}); err != nil {
			return nil, err
		}
		if n != jobs {
			return nil, fmt.Errorf("%d jobs wait, want %d", n, jobs)
		}
		return submitted(m, time.Now()), nil
	}
}

func peerSubmitRun(y system, full, callers, batch int) func(context.Context, *env) (values, error) {
	return func(ctx context.Context, e *env) (values, error) {
		jobs := e.n(full)
		s, err := y.begin(ctx, e)
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
		m, err := r.ask(ctx, "go", "done")
		if err != nil {
			return nil, err
		}
		if n, err := y.left(ctx, s); err != nil || n != jobs {
			return nil, fmt.Errorf("%d jobs wait, want %d: %w", n, jobs, err)
		}
		return submitted(m, time.Unix(0, m.Last)), nil
	}
}

func submitted(m message, inRedis time.Time) values {
	n := float64(m.Jobs)
	return values{
		"jobs/s": n / (float64(m.Last-m.First) / 1e9), "client us/job": m.CPU / n,
		"in Redis/s": n / (float64(inRedis.UnixNano()-m.First) / 1e9),
	}
}
