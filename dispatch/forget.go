package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// underWay are the jobs of a page that came by this log and have not ended, as their records say. The log has none whose id or type
// is no token: such a record is another's.
func (l logSpan) underWay(page []store.Record) (out []store.Forgotten) {
	for _, j := range page {
		if j.Sequence >= max(l.first, 1) && j.Sequence <= l.last && !j.Status.Ended() && !j.QueuedAt.Before(l.created) &&
			events.CheckToken("job id", j.ID) == nil && events.CheckToken("script type", j.Type) == nil {
			out = append(out, store.Forgotten{ID: j.ID, Type: j.Type, Sequence: j.Sequence})
		}
	}
	return out
}

// forgetSettled drops from an old copy what it has under way and the log has no more: its end was settled since, and it would be run
// again. For the time in which Redis carries no epoch, so that nobody claims meanwhile.
func (c *Component) forgetSettled(ctx context.Context, r *reporter) error {
	var span logSpan
	if !r.until(ctx, func(ctx context.Context) error {
		info, err := c.stream.Info(ctx)
		if err != nil {
			return &logError{"look at the log", err}
		}
		span = logSpan{info.Created, info.Config.FirstSeq, info.State.LastSeq}
		return nil
	}) {
		return context.Cause(ctx)
	}
	jobs, err := c.underWay(ctx, r, span)
	if err != nil || len(jobs) == 0 {
		return err
	}
	// Oldest first: a queue is searched from there.
	slices.SortFunc(jobs, func(x, y store.Forgotten) int { return cmp.Compare(x.Sequence, y.Sequence) })
	jobs = slices.Compact(jobs)
	for {
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
	dead := map[string]bool{}
	if !r.until(ctx, func(ctx context.Context) error {
		l, err := c.deadKV.ListKeys(ctx)
		if err != nil {
			return &logError{"list the dead", err}
		}
		for id := range l.Keys() {
			dead[id] = true
		}
		return ctx.Err()
	}) {
		return context.Cause(ctx)
	}
	byType := map[string][]store.Forgotten{}
	for _, j := range jobs {
		j.Dead = dead[j.ID]
		byType[j.Type] = append(byType[j.Type], j)
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
		c.log.Warn("jobs of an old copy of redis had ended since: not run again", "jobs", forgotten)
	}
	return nil
}

// underWay reads all records.
func (c *Component) underWay(ctx context.Context, r *reporter, span logSpan) (out []store.Forgotten, err error) {
	for cursor := uint64(0); ; {
		var page store.JobsPage
		if !r.until(ctx, func(ctx context.Context) (err error) {
			page, err = c.store.Jobs(ctx, cursor)
			return err
		}) {
			return nil, context.Cause(ctx)
		}
		out = append(out, span.underWay(page.Jobs)...)
		if len(out) > maxForgotten {
			c.log.Warn("an old copy of redis has more jobs under way than are compared with the log: of the others, those that have ended since run again",
				"compared", maxForgotten)
			return out[:maxForgotten], nil
		}
		if cursor = page.Next; cursor == 0 {
			return out, nil
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
	reading, stop := context.WithCancel(ctx)
	defer stop()
	msgs := make(chan jetstream.Msg, aheadBuffer)
	cons, err := c.consume(reading, jobs[0].Sequence, true, msgs)
	if err != nil {
		return nil, err
	}
	defer cons.Stop()
	silence := time.NewTimer(callTimeout)
	for at := uint64(0); at < until; {
		select {
		case m := <-msgs:
			md, err := m.Metadata()
			if err != nil {
				return nil, &logError{"read the log", err}
			}
			at = md.Sequence.Stream
			if md.NumPending == 0 {
				until = at
			}
			for len(jobs) > 0 && jobs[0].Sequence < at {
				gone, jobs = append(gone, jobs[0]), jobs[1:]
			}
			if len(jobs) > 0 && jobs[0].Sequence == at {
				if c.endings.has(at) {
					gone = append(gone, jobs[0])
				}
				jobs = jobs[1:]
			}
			silence.Reset(callTimeout)
		case <-silence.C:
			return nil, &logError{"read the log", fmt.Errorf("nothing came for %s", callTimeout)}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return append(gone, jobs...), nil
}
