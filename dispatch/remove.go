package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"herosup/dispatch/store"
	"herosup/events"
)

const (
	// maxRemovals bounds the jobs that are forgotten in the same round trips.
	maxRemovals = 200
	// removalsAtOnce are the round trips to the log that are under way for them, where each needs its own.
	removalsAtOnce = 32
	// bareDead is how many of Redis' list of the dead a purge looks at for those that have no record.
	bareDead = 1000
)

// removeJobs forgets ended jobs, as many as asked for it at the same time.
func (c *Component) removeJobs(ctx context.Context, all []events.Message) {
	ids := make([]string, len(all))
	for i, m := range all {
		e, _ := m.Event.(events.JobRemove)
		ids[i] = e.Job
	}
	out := c.removeAll(ctx, ids)
	for i, m := range all {
		if err := out[ids[i]]; err != nil {
			c.refuse(m, c.endTrouble(ids[i], err))
		} else {
			c.answer(m, RemoveAnswer{Job: ids[i]})
		}
	}
}

// purgeDead removes all dead jobs that match.
func (c *Component) purgeDead(ctx context.Context, m events.Message, e events.JobPurge) {
	var ids []string
	for _, d := range c.buried() {
		if d.matches(e.Type, e.Reason, e.Older.Duration(), time.Now()) {
			ids = append(ids, d.id)
		}
	}
	if e.Type == "" && strings.Contains(store.ReasonNoRecord, e.Reason) {
		bare, err := c.deadBare(ctx, e.Older.Duration())
		if err != nil {
			c.refuse(m, c.endTrouble("", err))
			return
		}
		ids = append(ids, bare...)
	}
	var a PurgeAnswer
	for some := range slices.Chunk(ids, maxRemovals) {
		out := c.removeAll(ctx, some)
		if ctx.Err() != nil {
			return
		}
		for id, err := range out {
			if err == nil {
				a.Removed++
				continue
			}
			a.Left++
			c.log.Info("dead job not removed", "job", id, "err", err)
		}
	}
	c.answer(m, a)
}

// deadBare lists who died without a record, and is in Redis' list alone: of the newest dead there.
func (c *Component) deadBare(ctx context.Context, older time.Duration) (ids []string, err error) {
	var dead []store.DeadJob
	var now time.Time
	if err := limited(ctx, func(ctx context.Context) (err error) {
		if now, err = c.store.Now(ctx); err == nil {
			dead, err = c.d().Dead(ctx, bareDead)
		}
		return err
	}); err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	for _, d := range c.buried() {
		kept[d.id] = true
	}
	for _, d := range dead {
		if d.Reason == store.ReasonNoRecord && !kept[d.ID] && now.Sub(d.At) >= older && events.CheckToken("job id", d.ID) == nil {
			ids = append(ids, d.ID)
		}
	}
	return ids, nil
}

// removeAll says of each job why it was not forgotten, nil if it was. One that Redis does not know may lie in the log or in the bucket.
func (c *Component) removeAll(ctx context.Context, ids []string) map[string]error {
	out := make(map[string]error, len(ids))
	recs := make(map[string]store.Record, len(ids))
	for _, id := range ids {
		out[id] = nil
	}
	if len(ids) > 1 {
		if err := limited(ctx, func(ctx context.Context) error {
			found, err := c.store.Records(ctx, slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return events.CheckToken("job id", id) != nil }), false)
			for _, rec := range found {
				recs[rec.ID] = rec
			}
			return err
		}); err != nil {
			for id := range out {
				out[id] = err
			}
			return out
		}
	}
	type found struct {
		rec store.Record
		err error
	}
	looked := map[string]*found{}
	var g errgroup.Group
	g.SetLimit(removalsAtOnce)
	for id := range out {
		if _, known := recs[id]; !known {
			f := &found{}
			looked[id] = f
			g.Go(func() error {
				f.rec, _, f.err = c.lookEnded(ctx, id)
				return nil
			})
		}
	}
	_ = g.Wait()
	for id, f := range looked {
		if recs[id], out[id] = f.rec, f.err; f.err != nil {
			delete(recs, id)
		}
	}
	c.removeBare(ctx, out)
	var ended []store.Record
	for id, rec := range recs {
		if rec.Status.Ended() {
			ended = append(ended, rec)
		} else {
			out[id] = notEnded(rec, "cancel it first")
		}
	}
	c.remove(ctx, ended, out)
	return out
}

// removeBare takes those that nobody has a record of from the list of the dead, if they stand there.
func (c *Component) removeBare(ctx context.Context, out map[string]error) {
	var bare []store.Removal
	for id, err := range out {
		if errors.Is(err, store.ErrNoJob) {
			bare = append(bare, store.Removal{ID: id})
		}
	}
	if len(bare) == 0 {
		return
	}
	var all []store.RemoveOutcome
	_ = limited(ctx, func(ctx context.Context) error {
		all = c.d().RemoveAll(ctx, bare)
		return nil
	})
	for i, r := range all {
		if r.Err != nil || r.Code != store.Unknown {
			out[bare[i].ID] = removeTrouble(bare[i].ID, r)
		}
	}
}

// remove takes ended jobs out of the log first, since a refill would run what is there; then out of Redis and
// the bucket of the dead. One that others wait for is left, also in the log: so we look before, and the script
// looks again at those that came meanwhile. out gets why one was left.
func (c *Component) remove(ctx context.Context, recs []store.Record, out map[string]error) {
	for _, step := range []func(context.Context, []store.Record, map[string]error) error{c.leaveAwaited, c.leaveBucket, c.leaveLog, c.leaveRedis} {
		if len(recs) == 0 {
			return
		}
		if err := step(ctx, recs, out); err != nil {
			for _, rec := range recs {
				out[rec.ID] = err
			}
		}
		recs = slices.DeleteFunc(recs, func(rec store.Record) bool { return out[rec.ID] != nil })
	}
	gone := make([]deadBy, len(recs))
	for i, rec := range recs {
		gone[i] = deadBy{rec.ID, rec.Sequence + 1}
	}
	if len(gone) > 0 {
		c.toDead(deadOver{jobs: gone})
	}
}

func (c *Component) leaveAwaited(ctx context.Context, recs []store.Record, out map[string]error) error {
	ids := make([]string, len(recs))
	for i, rec := range recs {
		ids[i] = rec.ID
	}
	var awaited []bool
	if err := limited(ctx, func(ctx context.Context) (err error) {
		awaited, err = c.store.Awaited(ctx, ids)
		return err
	}); err != nil {
		return err
	}
	for i, id := range ids {
		if awaited[i] {
			out[id] = c.waited(ctx, id)
		}
	}
	return nil
}

// leaveBucket takes those out of the bucket that have lived again since they died.
func (c *Component) leaveBucket(ctx context.Context, recs []store.Record, _ map[string]error) error {
	var over []deadBy
	for _, rec := range recs {
		if rec.DeadAt.IsZero() {
			over = append(over, deadBy{rec.ID, rec.Sequence})
		}
	}
	if err := c.unbury(ctx, over); err != nil {
		return err
	}
	return c.step("remove")
}

func (c *Component) leaveLog(ctx context.Context, recs []store.Record, out map[string]error) error {
	first, err := c.firstLogged(ctx) // most messages were deleted when their job ended
	if err != nil {
		return err
	}
	errs := make([]error, len(recs))
	var g errgroup.Group
	g.SetLimit(removalsAtOnce)
	for i, rec := range recs {
		if rec.Sequence >= max(first, 1) {
			g.Go(func() error {
				theirs, err := c.anothers(ctx, rec.ID, rec.Sequence)
				if err == nil && !theirs {
					err = limited(ctx, func(ctx context.Context) error { return c.deleteLogged(ctx, rec.Sequence) })
				}
				errs[i] = err
				return nil
			})
		}
	}
	_ = g.Wait()
	for i, rec := range recs {
		out[rec.ID] = errs[i]
	}
	return nil
}

func (c *Component) leaveRedis(ctx context.Context, recs []store.Record, out map[string]error) error {
	jobs := make([]store.Removal, len(recs))
	for i, rec := range recs {
		jobs[i] = store.Removal{ID: rec.ID, Sequence: rec.Sequence}
	}
	var all []store.RemoveOutcome
	_ = limited(ctx, func(ctx context.Context) error { // each has its own error
		all = c.d().RemoveAll(ctx, jobs)
		return nil
	})
	for i, r := range all {
		out[jobs[i].ID] = removeTrouble(jobs[i].ID, r)
	}
	return nil
}

// removeTrouble says why a job is in Redis still.
func removeTrouble(id string, r store.RemoveOutcome) error {
	switch {
	case r.Err != nil:
		return r.Err
	case r.Code == store.Stale || r.Code == store.Running:
		return &events.Refusal{
			Status: http.StatusConflict, Code: "revived", Job: id, Reason: fmt.Sprintf("job %s was revived meanwhile", id), Hint: "cancel it first",
		}
	case r.Code == store.Waited:
		return waitedFor(id, nil, r.Waiting)
	}
	return nil
}
