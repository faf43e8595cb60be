package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// roundsMeasure: what a job costs in commands, and what a system that has nothing to
// do costs. Counts do not depend on how busy the machine is.
func roundsMeasure() measure {
	const busy, idle, asleep = "busy actor, backlog", "idle actor, one job at a time", "100 idle actors, 20 s"
	return measure{
		name: "rounds", title: "Commands of Redis", rounds: 1,
		columns: []column{{name: "eval+evalsha per job", less: true}, {name: "blpop per job", less: true}, {name: "commands/s", less: true}},
		contenders: []contender{
			{system: "herosup", setting: busy, run: busyRoundsRun},
			{system: "herosup", setting: idle, run: idleRoundsRun},
			{system: "herosup", setting: asleep, run: asleepRun},
		},
		wants: []want{
			{what: "scripts per job of a busy actor with one hand (accept, finish and next)", setting: busy, system: "herosup", column: "eval+evalsha per job", most: 2.1},
			{what: "scripts and waits per job of an idle actor", setting: idle, system: "herosup", column: "all per job", most: 3.1},
			{what: "100 idle actors: commands a second in all", setting: asleep, system: "herosup", column: "commands/s", most: 10},
		},
	}
}

// spent is the difference of two looks at INFO commandstats.
func spent(before, after map[string]float64, names ...string) (sum float64) {
	for _, n := range names {
		sum += after[n] - before[n]
	}
	return sum
}

func perJob(before, after map[string]float64, jobs int) values {
	n := float64(jobs)
	scripts, waits := spent(before, after, "eval", "evalsha")/n, spent(before, after, "blpop")/n
	return values{"eval+evalsha per job": scripts, "blpop per job": waits, "all per job": scripts + waits}
}

// busyRoundsRun works off a backlog with one hand: the first half is filled while
// the actor waits to be let go.
func busyRoundsRun(ctx context.Context, e *env) (values, error) {
	jobs := e.n(5000)
	d, err := e.daemonUp(ctx, "", pool{name: "noop", actors: 1, concurrency: 1, jobs: jobs})
	if err != nil {
		return nil, err
	}
	var actor *role
	select {
	case actor = <-d.actors: // has not begun: it waits for go
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if _, err := actor.hear(ctx, "ready"); err != nil {
		return nil, err
	}
	before, err := d.calls(ctx)
	if err != nil {
		return nil, err
	}
	r, err := d.submitter(ctx, e, "submitter", "--jobs", strconv.Itoa(jobs), "--callers", "0")
	if err != nil {
		return nil, err
	}
	if _, err := r.ask(ctx, "go", "done"); err != nil {
		return nil, err
	}
	if err := eventually(ctx, time.Minute, "all jobs wait", func() (bool, error) {
		n, err := heroLeft(ctx, d.server)
		return n == jobs, err
	}); err != nil {
		return nil, err
	}
	if _, err := actor.ask(ctx, "go", "done"); err != nil {
		return nil, err
	}
	if _, err := heroSystem.drained(ctx, d.server); err != nil {
		return nil, err
	}
	after, err := d.calls(ctx)
	return perJob(before, after, jobs), err
}

func idleRoundsRun(ctx context.Context, e *env) (values, error) {
	jobs := e.n(500)
	d, err := e.daemonUp(ctx, "", pool{name: "noop", actors: 1, concurrency: 1, jobs: jobs})
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
	before, err := d.calls(ctx)
	if err != nil {
		return nil, err
	}
	r, err := d.submitter(ctx, e, "submitter", "--jobs", strconv.Itoa(jobs), "--rate", "100")
	if err != nil {
		return nil, err
	}
	if err := r.tell("go"); err != nil {
		return nil, err
	}
	if _, err := workers[0].hear(ctx, "done"); err != nil {
		return nil, err
	}
	if _, err := heroSystem.drained(ctx, d.server); err != nil {
		return nil, err
	}
	after, err := d.calls(ctx)
	return perJob(before, after, jobs), err
}

// asleepRun counts every command of twenty seconds, those that scripts run included.
func asleepRun(ctx context.Context, e *env) (values, error) {
	const actors, look = 100, 20 * time.Second
	d, err := e.daemonUp(ctx, "", pool{name: "noop", actors: actors, concurrency: 1})
	if err != nil {
		return nil, err
	}
	if _, err := d.crew(ctx, actors); err != nil {
		return nil, err
	}
	if err := d.idle(ctx, "noop", actors); err != nil {
		return nil, err
	}
	sum := func() (n float64, err error) {
		calls, err := d.calls(ctx)
		for name, c := range calls {
			if name != "info" {
				n += c
			}
		}
		return n, err
	}
	before, err := sum()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	select {
	case <-time.After(look):
	case <-ctx.Done():
		return nil, fmt.Errorf("watch idle actors: %w", ctx.Err())
	}
	after, err := sum()
	return values{"commands/s": (after - before) / time.Since(begun).Seconds()}, err
}
