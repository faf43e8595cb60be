package dispatch

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

// maxForgotten bounds the jobs of an old copy that are compared with the log; of more, those that were settled since run again.
const maxForgotten = 1_000_000

// logSpan is what of a log there can be anything said about: what it had at a time.
type logSpan struct {
	created time.Time // what was queued before is of another log
	first   uint64    // sequence that it began with
	last    uint64    // sequence of the last message it ever had
}

// spanOf is what the log has now. One of a daemon's own server begins at the clock of the moment before it was made, which its
// settings do not say (events.EnsureStreams).
func spanOf(info *jetstream.StreamInfo) logSpan {
	l := logSpan{info.Created, info.Config.FirstSeq, info.State.LastSeq}
	if clock := uint64(info.Created.Add(-time.Minute).UnixMilli()); l.first == 0 && l.last >= clock {
		l.first = clock
	}
	return l
}

// underWay are the jobs of a page that came by this log and have not ended, or are dead, which is no last word either, as their records say.
// The log has none whose id or type is no token: such a record is another's. foreign are those that came by no log, by the
// last that is known of when.
func (l logSpan) underWay(page []store.Record) (out []store.Forgotten, foreign map[store.Forgotten]time.Time) {
	foreign = map[store.Forgotten]time.Time{}
	for _, j := range page {
		over := j.Status.Ended() && !j.DeadAt.IsZero()
		if j.Status.Ended() && !over || events.CheckToken("job id", j.ID) != nil || events.CheckToken("script type", j.Type) != nil {
			continue
		}
		f := store.Forgotten{ID: j.ID, Type: j.Type, Sequence: j.Sequence, Over: over}
		switch at := latest(j.QueuedAt, j.ReadyAt, j.StartedAt, j.DeadAt); {
		case j.Sequence == 0 && !at.Before(l.created):
			foreign[f] = at
		case j.Sequence >= max(l.first, 1) && j.Sequence <= l.last && !j.QueuedAt.Before(l.created):
			out = append(out, f)
		}
	}
	return out, foreign
}

func latest(all ...time.Time) (last time.Time) {
	for _, t := range all {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// forgetSettled drops from an old copy what it has under way and the log has no more: its end was settled since, and it would be run
// again. So it does with what is dead by the copy and not in the bucket: it was retried or removed since, and would fail what needs it, or keep
// what holds for it. For the time in which Redis carries no epoch, so that nobody claims meanwhile.
func (c *Component) forgetSettled(ctx context.Context, r *reporter) error {
	var span logSpan
	if !r.until(ctx, func(ctx context.Context) error {
		info, err := c.stream.Info(ctx)
		if err != nil {
			return &logError{"look at the log", err}
		}
		span = spanOf(info)
		return nil
	}) {
		return context.Cause(ctx)
	}
	jobs, foreign, err := c.underWay(ctx, r, span)
	if err != nil || len(jobs)+len(foreign) == 0 {
		return err
	}
	// Oldest first: a queue is searched from there.
	slices.SortFunc(jobs, func(x, y store.Forgotten) int { return cmp.Compare(x.Sequence, y.Sequence) })
	jobs = slices.Compact(jobs)
	for len(jobs) > 0 {
		var gone []store.Forgotten
		gone, err = c.notLogged(ctx, jobs)
		if r.told(ctx, err) {
			jobs = gone
			break
		}
		if !r.pause(ctx) {
			return context.Cause(ctx)
		}
	}
	var dead map[string]time.Time
	for {
		if dead, err = c.deadKeys(ctx); r.told(ctx, err) {
			break
		}
		if !r.pause(ctx) {
			return context.Cause(ctx)
		}
	}
	byType := map[string][]store.Forgotten{}
	for _, j := range jobs {
		if _, j.Dead = dead[j.ID]; j.Dead && j.Over {
			continue // as the bucket has it; what has become of it since is restored, or told by the log
		}
		byType[j.Type] = append(byType[j.Type], j)
	}
	for j, at := range foreign {
		died, is := dead[j.ID]
		if is != j.Over && (j.Over || at.Before(died)) { // dead by the one and not by the other: the bucket is later
			j.Dead = is
			byType[j.Type] = append(byType[j.Type], j)
		}
	}
	forgotten := 0
	for jobType, all := range byType {
		for some := range slices.Chunk(all, store.MaxForget) {
			var n int
			var foreign *store.RefusedError
			if !r.until(ctx, func(ctx context.Context) (err error) {
				_, n, err = c.store.Forget(ctx, jobType, some)
				if errors.As(err, &foreign) && foreign.Kind == wrongType {
					return nil // repeating it does not help, and the others are not to wait for it
				}
				return err
			}) {
				return context.Cause(ctx)
			}
			if foreign != nil && foreign.Kind == wrongType {
				c.log.Warn("jobs of an old copy of redis may run again", "script_type", jobType, "err", foreign)
				break
			}
			forgotten += n
		}
	}
	if forgotten > 0 {
		c.log.Warn("jobs of an old copy of redis had ended since: not run again, nor dead", "jobs", forgotten)
	}
	return nil
}

// underWay reads all records.
func (c *Component) underWay(ctx context.Context, r *reporter, span logSpan) (out []store.Forgotten, foreign map[store.Forgotten]time.Time, err error) {
	foreign = map[store.Forgotten]time.Time{}
	for cursor := uint64(0); ; {
		var page store.JobsPage
		if !r.until(ctx, func(ctx context.Context) (err error) {
			page, err = c.store.Jobs(ctx, cursor)
			return err
		}) {
			return nil, nil, context.Cause(ctx)
		}
		some, others := span.underWay(page.Jobs)
		out = append(out, some...)
		maps.Copy(foreign, others)
		if len(out)+len(foreign) > maxForgotten {
			c.log.Warn("an old copy of redis has more jobs under way than are compared with the log: of the others, those that have ended since run again",
				"compared", maxForgotten)
			return out, foreign, nil
		}
		if cursor = page.Next; cursor == 0 {
			return out, foreign, nil
		}
	}
}

// notLogged are those of the jobs, which are in the order of their sequences, whose messages the log has no more, or whose ends are known
// and only not deleted yet.
func (c *Component) notLogged(ctx context.Context, jobs []store.Forgotten) (gone []store.Forgotten, err error) {
	var last uint64
	if err := limited(ctx, func(ctx context.Context) (err error) {
		last, err = c.lastLogged(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	until := min(last, jobs[len(jobs)-1].Sequence)
	if until < jobs[0].Sequence {
		return jobs, nil
	}
	if err := c.eachLogged(ctx, jobs[0].Sequence, until, func(seq uint64, _ jetstream.Msg) {
		for len(jobs) > 0 && jobs[0].Sequence < seq {
			gone, jobs = append(gone, jobs[0]), jobs[1:]
		}
		if len(jobs) > 0 && jobs[0].Sequence == seq {
			if c.endings.has(seq) {
				gone = append(gone, jobs[0])
			}
			jobs = jobs[1:]
		}
	}); err != nil {
		return nil, err
	}
	return append(gone, jobs...), nil
}
