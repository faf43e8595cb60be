package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"herosup/dispatch/store"
)

const (
	million = 1_000_000
	// stepJobs are submitted and claimed between two looks at the other queue, and steps
	// is how often.
	stepJobs, steps = 500, 20
)

// millionMeasure: what depth costs. A submission and a claim beside a million waiting
// jobs and beside none, on the same Redis, in turns; Redis' CPU per call, because a
// round trip's time says more about the machine.
func millionMeasure() measure {
	const setting = "beside 1,000,000 waiting"
	return measure{
		name: "million", title: "A million jobs waiting", rounds: 3,
		columns: []column{
			{name: "submit", less: true}, {name: "submit, empty", less: true},
			{name: "finish and next", less: true}, {name: "finish and next, empty", less: true}, {name: "MiB per 1,000 jobs", less: true},
		},
		contenders: []contender{{system: "herosup", setting: setting, run: millionRun}},
		wants: []want{
			{what: "a million waiting: submission, Redis' CPU to that of an empty queue", setting: setting, system: "herosup", column: "submit ratio", most: 1.3},
			{what: "a million waiting: finish and next, the same", setting: setting, system: "herosup", column: "next ratio", most: 1.3},
		},
	}
}

func millionRun(ctx context.Context, e *env) (values, error) {
	s, err := heroSystem.begin(ctx, e)
	if err != nil {
		return nil, err
	}
	jobs := e.n(million)
	empty, err := s.info(ctx, "memory", "used_memory")
	if err != nil {
		return nil, err
	}
	if err := heroSystem.fill(ctx, e, s, jobs); err != nil {
		return nil, err
	}
	full, err := s.info(ctx, "memory", "used_memory")
	if err != nil {
		return nil, err
	}
	st, err := store.Open(store.Options{URL: s.url}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer st.Close()
	deep, err := newLane(ctx, s, st, "noop", uint64(jobs))
	if err != nil {
		return nil, err
	}
	flat, err := newLane(ctx, s, st, "flat", uint64(jobs)+million)
	if err != nil {
		return nil, err
	}
	for range steps { // in turns: both see the same machine
		for _, l := range []*lane{deep, flat} {
			if err := l.step(ctx); err != nil {
				return nil, err
			}
		}
	}
	return values{
		"submit": median(deep.submit), "submit, empty": median(flat.submit), "submit ratio": median(deep.submit) / median(flat.submit),
		"finish and next": median(deep.next), "finish and next, empty": median(flat.next), "next ratio": median(deep.next) / median(flat.next),
		"MiB per 1,000 jobs": (full - empty) / (1 << 20) / float64(jobs) * 1000,
	}, nil
}

// lane is one type with one actor.
type lane struct {
	s            *server
	d            *store.Daemon
	a            *store.Actor
	jobType      string
	sequence     uint64
	hand         *store.Claimed
	submit, next []float64 // us of Redis' CPU per job, by step
}

func newLane(ctx context.Context, s *server, st *store.Store, jobType string, from uint64) (*lane, error) {
	a, err := st.Actor(jobType+"_1", jobType, "lane-"+jobType)
	if err != nil {
		return nil, err
	}
	if h, err := a.Hello(ctx); err != nil || h.Code != store.OK {
		return nil, fmt.Errorf("hello: %s: %w", h.Code, err)
	}
	return &lane{s: s, d: st.Daemon(storeEpoch), a: a, jobType: jobType, sequence: from}, nil
}

// step submits some jobs and works off as many, one call each.
func (l *lane) step(ctx context.Context) error {
	us, err := l.cost(ctx, func() error {
		l.sequence++
		_, err := l.d.Accept(ctx, 0, []store.Submission{{
			ID: "m" + strconv.FormatUint(l.sequence, 10), Type: l.jobType, Script: payloadNoop, Sequence: l.sequence,
		}})
		return err
	})
	if err != nil {
		return err
	}
	l.submit = append(l.submit, us)
	us, err = l.cost(ctx, func() (err error) {
		if l.hand == nil {
			r, err := l.a.Claim(ctx)
			l.hand = r.Job
			if err == nil && r.Job == nil {
				err = fmt.Errorf("claim: %s", r.Code)
			}
			return err
		}
		r, err := l.a.Finish(ctx, *l.hand, store.Outcome{}, true)
		if err == nil && r.Code != store.OK {
			err = fmt.Errorf("finish: %s", r.Code)
		}
		l.hand = r.Job
		return err
	})
	l.next = append(l.next, us)
	return err
}

// cost is what Redis spent in scripts on each call.
func (l *lane) cost(ctx context.Context, call func() error) (float64, error) {
	before, err := l.s.scriptTime(ctx)
	if err != nil {
		return 0, err
	}
	for range stepJobs {
		if err := call(); err != nil {
			return 0, err
		}
	}
	after, err := l.s.scriptTime(ctx)
	return (after - before) / stepJobs, err
}

// endedMeasure: what a million jobs leave behind, with the daemon that settles them.
func endedMeasure() measure {
	const setting = "1,000,000 no-op jobs finished"
	return measure{
		name: "ended", title: "What finished jobs leave in Redis", rounds: 1,
		columns:    []column{{name: "records", less: true}, {name: "keys", less: true}, {name: "MiB", less: true}, {name: "jobs/s"}},
		contenders: []contender{{system: "herosup", setting: setting, run: endedRun}},
		wants: []want{
			{what: "a million finished jobs leave records", setting: setting, system: "herosup", column: "records", most: 10_000},
			{what: "and MiB", setting: setting, system: "herosup", column: "MiB", most: 20},
		},
	}
}

func endedRun(ctx context.Context, e *env) (values, error) {
	jobs := e.n(million)
	d, err := e.daemonUp(ctx, "", pool{name: "noop", actors: 1, concurrency: 100, jobs: jobs})
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
	empty, err := d.info(ctx, "memory", "used_memory")
	if err != nil {
		return nil, err
	}
	r, err := d.submitter(ctx, e, "submitter", "--jobs", strconv.Itoa(jobs), "--callers", "0")
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := r.tell("go"); err != nil {
		return nil, err
	}
	if _, err := workers[0].hear(ctx, "done"); err != nil {
		return nil, err
	}
	if _, err := heroSystem.drained(ctx, d.server); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	if err := eventually(ctx, 10*time.Minute, "the log has let go of every job", func() (bool, error) {
		n, err := d.LLen(ctx, "hero:ended").Result()
		return n == 0, err
	}); err != nil {
		return nil, err
	}
	full, err := d.info(ctx, "memory", "used_memory")
	if err != nil {
		return nil, err
	}
	keys, err := d.DBSize(ctx).Result()
	if err != nil {
		return nil, err
	}
	records := 0
	it := d.ScanType(ctx, 0, "hero:job:*", 10_000, "hash").Iterator()
	for it.Next(ctx) {
		records++
	}
	return values{
		"records": float64(records), "keys": float64(keys), "MiB": (full - empty) / (1 << 20), "jobs/s": float64(jobs) / took.Seconds(),
	}, it.Err()
}

// delayedMeasure: how late a delayed job begins, with a million others delayed.
func delayedMeasure() measure {
	const setting = "beside 1,000,000 delayed for an hour"
	return measure{
		name: "delayed", title: "A delayed job's start after its time (ms)", rounds: 3,
		columns:    []column{{name: "p50 ms", less: true}, {name: "p99 ms", less: true}, {name: "max ms", less: true}},
		contenders: []contender{{system: "herosup", setting: setting, run: delayedRun}},
		wants: []want{
			{what: "a delayed job begins late by, with a million others delayed, p99 in ms", setting: setting, system: "herosup", column: "p99 ms", most: 20},
		},
	}
}

func delayedRun(ctx context.Context, e *env) (values, error) {
	const delay = 2 * time.Second
	others, jobs := e.n(million), e.n(400)
	d, err := e.daemonUp(ctx, "", pool{name: "noop", actors: 1, concurrency: 10})
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
	if err := d.delayMany(ctx, others); err != nil {
		return nil, err
	}
	// The clock in the payload is that of the submission: the delay counts from the
	// log's, a little later.
	r, err := d.submitter(ctx, e, "submitter", "--jobs", strconv.Itoa(jobs), "--rate", "50", "--payload", payloadAt, "--delay", delay.String())
	if err != nil {
		return nil, err
	}
	if _, err := r.ask(ctx, "go", "done"); err != nil {
		return nil, err
	}
	var sum message
	if err := eventually(ctx, time.Minute, "every delayed job was handled", func() (bool, error) {
		sum, err = workers.report(ctx)
		return sum.Jobs >= jobs, err
	}); err != nil {
		return nil, err
	}
	ms := make([]float64, len(sum.Late))
	for i, us := range sum.Late {
		ms[i] = us/1000 - float64(delay.Milliseconds())
		if ms[i] < 0 {
			return nil, fmt.Errorf("a delayed job began %.1f ms before its time", -ms[i])
		}
	}
	return values{"p50 ms": quantile(ms, 0.5), "p99 ms": quantile(ms, 0.99), "max ms": quantile(ms, 1)}, nil
}

// delayMany puts delayed jobs into Redis, past the log, which would take longer.
func (d *daemon) delayMany(ctx context.Context, jobs int) error {
	st, err := store.Open(store.Options{URL: d.url}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer st.Close()
	epoch, err := st.Epoch(ctx)
	if err != nil {
		return err
	}
	in, due := st.Daemon(epoch), time.Now().Add(time.Hour)
	for from := 0; from < jobs; from += store.MaxBatch {
		batch := make([]store.Submission, min(store.MaxBatch, jobs-from))
		for i := range batch {
			batch[i] = store.Submission{ID: "d" + strconv.Itoa(from+i), Type: "noop", Script: payloadNoop, Due: due}
		}
		if _, err := in.Accept(ctx, 0, batch); err != nil {
			return err
		}
	}
	return nil
}
