package dispatch

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
)

const (
	// endedPage is how many ended jobs one round takes out of the log.
	endedPage = 1000
	// endedPace is the least time between two rounds, so that a round finds many:
	// a purge of a run costs as much as a few single deletes.
	endedPace = 100 * time.Millisecond
	// endedEvery is the pace without a kick: facts are a hint and may be lost.
	endedEvery = 5 * time.Second
	// maxGone bounds the memory of single deletes; without it runs are shorter.
	maxGone = 1 << 16
)

// ender takes ended jobs out of the log: read the list, delete the messages, and
// only then settle, which lets the records expire. Dying between any two of these
// repeats a step that does no harm: deleting what is gone, settling what is
// settled.
type ender struct {
	c    *Component
	r    *reporter
	gone map[uint64]struct{} // deleted one by one, above the log's first
}

func (c *Component) runEnded(ctx context.Context) error {
	e := &ender{c: c, r: c.reporter("ended"), gone: map[uint64]struct{}{}}
	poll := time.NewTicker(endedEvery)
	defer poll.Stop()
	kick(c.endedNow)
	for {
		select {
		case <-c.endedNow:
		case <-poll.C:
			e.r.told(ctx, e.forget(ctx))
		case <-ctx.Done():
			return nil
		}
		for {
			n, err := e.round(ctx)
			if ctx.Err() != nil {
				return nil
			}
			wait := endedPace
			if !e.r.told(ctx, err) {
				wait = e.r.pace.next()
			} else if n < endedPage {
				if !pause(ctx, wait) {
					return nil
				}
				break
			}
			if !pause(ctx, wait) {
				return nil
			}
		}
	}
}

// forget lets results go that are not kept as long as their records.
func (e *ender) forget(ctx context.Context) error {
	for {
		gone := 0
		if err := limited(ctx, func(ctx context.Context) error {
			some, err := e.c.store.SomeResultsGo(ctx)
			if err == nil && some {
				gone, err = e.c.d().ForgetResults(ctx)
			}
			return err
		}); err != nil || gone == 0 {
			return err
		}
	}
}

// round handles one page and returns its size.
func (e *ender) round(ctx context.Context) (int, error) {
	c := e.c
	var page []store.EndedEntry
	if err := limited(ctx, func(ctx context.Context) (err error) {
		page, err = c.d().Ended(ctx, endedPage)
		return err
	}); err != nil || len(page) == 0 {
		return 0, err
	}
	for _, p := range page {
		if p.Outcome == store.EndedDead { // first: while the log has it, it is not lost
			if err := c.saveDead(ctx, p.ID); err != nil {
				return 0, err
			}
		}
	}
	if err := e.delete(ctx, page); err != nil {
		return 0, err
	}
	if err := c.step("settle"); err != nil {
		return 0, err
	}
	return len(page), limited(ctx, func(ctx context.Context) error {
		_, err := c.d().Settle(ctx, page)
		return err
	})
}

// delete takes the messages of a page out of the log.
func (e *ender) delete(ctx context.Context, page []store.EndedEntry) error {
	c := e.c
	var first uint64
	if err := limited(ctx, func(ctx context.Context) error {
		info, err := c.stream.Info(ctx)
		if err != nil {
			return &logError{"look at the log", err}
		}
		first = info.State.FirstSeq
		return nil
	}); err != nil {
		return err
	}
	seqs := make([]uint64, len(page))
	for i, p := range page {
		seqs[i] = p.Sequence
	}
	for seq := range e.gone {
		if seq < first || len(e.gone) > maxGone {
			delete(e.gone, seq)
		}
	}
	plan := planDeletions(first, seqs, e.gone)
	if plan.below > 0 {
		if err := limited(ctx, func(ctx context.Context) error {
			if err := c.stream.Purge(ctx, jetstream.WithPurgeSequence(plan.below)); err != nil {
				return &logError{"purge the log", err}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	for _, seq := range plan.singles {
		if err := limited(ctx, func(ctx context.Context) error { return c.deleteLogged(ctx, seq) }); err != nil {
			return err
		}
		e.gone[seq] = struct{}{}
	}
	c.endings.gone(seqs)
	return nil
}
