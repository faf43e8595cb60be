package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// watchFor is how long one watch of an empty queue blocks.
	watchFor = 30 * time.Second
	// maxWatched bounds the watched types; each takes one connection to Redis. The
	// others are looked at each LookEvery.
	maxWatched = 64
	// adoptPage is how many ids one look sees, newest first; adoptPages bounds the
	// looks of one round. A round stops at the first page without a foreign job,
	// but one page deeper in the queue is looked at as well, another each time.
	adoptPage  = 250
	adoptPages = 20
	// lookPause is the least time between two looks at a queue that others fill
	// and actors empty.
	lookPause = 20 * time.Millisecond
	// maxUnfit bounds the memory of foreign jobs that can not go into the log.
	maxUnfit = 10_000
)

// runForeign starts one watch for each type.
func (c *Component) runForeign(ctx context.Context, g *errgroup.Group) error {
	n := 0
	for {
		select {
		case t := <-c.watched:
			f := &foreign{c: c, r: c.reporter("foreign " + t), jobType: t, block: n < maxWatched, unfit: newRecent(maxUnfit)}
			n++
			g.Go(func() error { return f.run(ctx) })
		case <-ctx.Done():
			return nil
		}
	}
}

// foreign looks after the jobs of one type that others push straight into Redis:
// an LPUSH tells nobody.
type foreign struct {
	c       *Component
	r       *reporter
	jobType string
	block   bool
	deeper  int // offset of the next look into the depth
	unfit   recent
}

func (f *foreign) run(ctx context.Context) error {
	for {
		some := true
		var err error
		if f.block && !f.r.failing { // a block would hide that Redis is back
			// No deadline: it blocks. A queue that is not empty answers at once.
			some, err = f.c.store.WatchForeign(ctx, f.jobType, watchFor)
		}
		left := 0
		if err == nil && some {
			left, err = f.look(ctx)
		}
		if !f.r.told(ctx, err) {
			if !f.r.pause(ctx) {
				return nil
			}
			continue
		}
		wait := lookPause
		if left > 0 || !f.block { // a backlog: watching would not block
			wait = f.c.cfg.LookEvery
		} else if !some {
			continue
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// look takes foreign jobs into the log and returns how many jobs are left in the
// queue.
func (f *foreign) look(ctx context.Context) (left int, err error) {
	length := 0
	for page := range adoptPages {
		var n int
		if n, length, err = f.page(ctx, page*adoptPage); err != nil {
			return 0, err
		}
		if n == 0 || (page+1)*adoptPage >= length {
			break
		}
	}
	if f.deeper += adoptPage; f.deeper < length {
		_, length, err = f.page(ctx, f.deeper)
	} else {
		f.deeper = 0
	}
	return length, err
}

// page adopts the foreign jobs of one page.
func (f *foreign) page(ctx context.Context, offset int) (found, left int, err error) {
	c := f.c
	var a store.Adopted
	if err := limited(ctx, func(ctx context.Context) (err error) {
		a, err = c.d().Adopt(ctx, f.jobType, offset, adoptPage)
		return err
	}); err != nil {
		return 0, 0, err
	}
	if len(a.Foreign) > 0 {
		// Told before they are in the log: somebody waits for them to be run.
		c.say(telling{kind: tellForeign, typ: f.jobType, jobs: a.Foreign, ready: a.Length})
	}
	if len(a.Foreign) > 0 || a.Handed > 0 {
		kick(c.measureNow)
	}
	for _, id := range a.Foreign {
		if err := f.adopt(ctx, id); err != nil {
			return 0, 0, err
		}
	}
	return len(a.Foreign), a.Length - a.Handed, nil
}

// adopt publishes the job of a record into the log, under its id. Its acceptance
// finds the record and gives it its sequence.
func (f *foreign) adopt(ctx context.Context, id string) error {
	c := f.c
	var rec store.Record
	err := limited(ctx, func(ctx context.Context) (err error) {
		rec, err = c.store.Job(ctx, id)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNoJob) || err == nil && rec.Status.Ended():
		return nil // over already
	case err != nil:
		return err
	}
	create, err := adoption(rec, f.jobType)
	if err == nil {
		_, header, script := FromCreate(create)
		err = limited(ctx, func(ctx context.Context) error {
			_, _, err := submit(ctx, c.js, c.bus.Prefix(), f.jobType, header, script, id)
			return err
		})
	}
	var refusal *events.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		// It runs from Redis all the same; only, a Redis that forgets it has it lost.
		if f.unfit.add(id) {
			c.log.Warn("foreign job stays out of the log", "job", id, "script_type", f.jobType, "reason", refusal.Reason)
		}
		return nil
	}
	return &logError{"adopt job " + id, err}
}

// adoption writes a foreign record as a submission, which leaves nothing to the settings: the record has said it.
func adoption(rec store.Record, jobType string) (events.JobCreate, error) {
	env, err := rec.Env()
	if err != nil {
		return events.JobCreate{}, bad("bad_env", err.Error(), "")
	}
	if rec.Type != "" && rec.Type != jobType {
		return events.JobCreate{}, bad("bad_type", fmt.Sprintf("job %s of type %s is in the queue of %s", rec.ID, rec.Type, jobType), "")
	}
	return events.JobCreate{
		ID: rec.ID, ScriptType: jobType, Script: rec.Script, CallerID: rec.Caller, ContextID: rec.Context,
		Timeout: secondsOf(&rec.Timeout), Retries: &rec.Retries, Env: env, AdoptedRedis: true,
	}, nil
}
