package dispatch

import (
	"context"
	"slices"
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
	// unreadPatience bounds how long a round waits for the facts of its ends to be read. Of a reader that is farther
	// behind the ends may be told by nobody, should Redis be emptied just then; the log is not to fill up for that.
	unreadPatience = 5 * time.Second
	// unreadLook is the pace at which it looks.
	unreadLook = 5 * time.Millisecond
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
			more, err := e.round(ctx)
			if ctx.Err() != nil {
				return nil
			}
			wait := endedPace
			if !e.r.told(ctx, err) {
				wait = e.r.pace.next()
			} else if !more {
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

// page reads the next entries whose facts are read: an end that nobody knows of is not taken out of the log, or it
// would be told by nobody when Redis is emptied now. more: there are others.
func (e *ender) page(ctx context.Context, epoch uint64) (page []store.EndedEntry, more bool, err error) {
	c, fact := e.c, ""
	if err := limited(ctx, func(ctx context.Context) (err error) {
		page, fact, err = c.d().Ended(ctx, endedPage)
		return err
	}); err != nil || len(page) == 0 {
		return nil, false, err
	}
	more = len(page) == endedPage
	switch n := slices.IndexFunc(page, func(p store.EndedEntry) bool { return !c.endings.read(p.Sequence) }); {
	case n < 0:
		return page, more, nil
	case n > 0:
		return page[:n], true, nil
	}
	if err := c.step("unread"); err != nil {
		return nil, false, err
	}
	for until := time.Now().Add(unreadPatience); compareIDs(*c.factsRead.Load(), fact) < 0 && time.Now().Before(until); {
		if !pause(ctx, unreadLook) || c.epoch.Load() != epoch {
			return nil, false, context.Cause(ctx)
		}
	}
	return page, more, nil
}

// round handles one page.
func (e *ender) round(ctx context.Context) (more bool, err error) {
	c := e.c
	epoch := c.epoch.Load()
	page, more, err := e.page(ctx, epoch)
	if err != nil || len(page) == 0 {
		return false, err
	}
	c.ending.Lock()
	defer c.ending.Unlock()
	if c.epoch.Load() != epoch { // of a Redis that is gone
		return false, nil
	}
	if err := c.step("keep"); err != nil {
		return false, err
	}
	// Both first: while the log has it, it is neither lost nor believed dead that lived again and ended otherwise.
	var over []deadBy
	for _, p := range page {
		if p.Outcome != store.EndedDead {
			over = append(over, deadBy{p.ID, p.Sequence + 1})
		} else if err := c.saveDead(ctx, p.ID, epoch); err != nil {
			return false, err
		}
	}
	if err := c.unbury(ctx, over); err != nil {
		return false, err
	}
	if err := c.step("delete"); err != nil {
		return false, err
	}
	if err := e.delete(ctx, page); err != nil {
		return false, err
	}
	if err := c.step("settle"); err != nil {
		return false, err
	}
	return more, limited(ctx, func(ctx context.Context) error {
		_, err := c.d().Settle(ctx, page)
		return err
	})
}

// firstLogged is the sequence of the log's first message; all below it are gone.
func (c *Component) firstLogged(ctx context.Context) (first uint64, err error) {
	err = limited(ctx, func(ctx context.Context) error {
		info, err := c.stream.Info(ctx)
		if err != nil {
			return &logError{"look at the log", err}
		}
		first = info.State.FirstSeq
		return nil
	})
	return first, err
}

// delete takes the messages of a page out of the log.
func (e *ender) delete(ctx context.Context, page []store.EndedEntry) error {
	c := e.c
	first, err := c.firstLogged(ctx)
	if err != nil {
		return err
	}
	if !c.looked() {
		return &logError{"delete from the log", errNotLooked}
	}
	seqs, err := c.inLogStill(ctx, page)
	if err != nil {
		return err
	}
	reused := c.reused.Load()
	for seq := range e.gone {
		if seq < first || len(e.gone) > maxGone || reused.has(seq) { // another may have its number by now
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
