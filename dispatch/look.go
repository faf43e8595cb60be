package dispatch

import (
	"context"
	"errors"

	"herosup/dispatch/store"
)

// errUnread says that a job is not in Redis but may lie in the log.
var errUnread = errors.New("the log is not read to its end yet")

// look finds a job's record. ErrNoJob is certain: what the log held when we came is
// told. With errUnread upTo is the log's end.
func (c *Component) look(ctx context.Context, id string) (rec store.Record, upTo uint64, err error) {
	rec, _, err = c.find(ctx, id)
	if !errors.Is(err, store.ErrNoJob) {
		return rec, rec.Sequence, err
	}
	if upTo, err = c.catchUp(ctx); err != nil {
		return rec, 0, err
	}
	// Also if all was told: what is not in the log any more may have come, ended and gone since we looked.
	rec, told, err := c.find(ctx, id)
	if errors.Is(err, store.ErrNoJob) && told < upTo {
		err = errUnread
	}
	return rec, upTo, err
}

// catchUp waits until what the log holds now is told, for a time: upTo is its end.
func (c *Component) catchUp(ctx context.Context) (upTo uint64, err error) {
	if err := limited(ctx, func(ctx context.Context) (err error) {
		upTo, err = c.lastLogged(ctx)
		return err
	}); err != nil {
		return 0, err
	}
	if c.told.seq.Load() < upTo {
		wait, cancel := context.WithTimeout(ctx, unreadWait)
		defer cancel()
		c.told.wait(wait, upTo)
	}
	return upTo, nil
}

// find reads a record. told is how much of the log was told before that: what was
// told and is not found does not exist, as long as Redis has not forgotten
// everything; then the error is ErrNoEpoch.
func (c *Component) find(ctx context.Context, id string) (rec store.Record, told uint64, err error) {
	told, epoch := c.told.seq.Load(), c.epoch.Load()
	err = limited(ctx, func(ctx context.Context) (err error) {
		if rec, err = c.store.Job(ctx, id); !errors.Is(err, store.ErrNoJob) {
			return err
		}
		now, failed := c.store.Epoch(ctx)
		switch {
		case failed != nil:
			return failed
		case now != epoch:
			c.askRebuild()
			return store.ErrNoEpoch
		}
		return err
	})
	return rec, told, err
}
