package dispatch

import (
	"cmp"
	"context"
	"time"

	"herosup/dispatch/store"
)

const (
	// adriftPause is between two pages of a round, so that a million records do not keep Redis busy.
	adriftPause = 50 * time.Millisecond
	// adriftTimes bounds the jobs that one page puts back.
	adriftTimes = 500
)

// runAdrift searches the records for jobs that are in no list: a queue that somebody deleted, a key that was evicted. A
// round each AdriftEvery, page by page; none while the log is empty, since then no accepted job is under way.
func (c *Component) runAdrift(ctx context.Context) error {
	r := c.reporter("adrift")
	for pause(ctx, c.cfg.AdriftEvery) {
		var waiting uint64
		err := limited(ctx, func(ctx context.Context) error {
			info, err := c.stream.Info(ctx)
			if err != nil {
				return &logError{"look at the log", err}
			}
			waiting = info.State.Msgs
			return nil
		})
		if !r.told(ctx, err) || waiting == 0 {
			continue
		}
		for cursor := uint64(0); ; {
			var page store.JobsPage
			err := limited(ctx, func(ctx context.Context) (err error) {
				if page, err = c.store.Jobs(ctx, cursor); err == nil {
					err = c.putBack(ctx, page.Jobs)
				}
				return err
			})
			if !r.told(ctx, err) && !isWrongType(err) {
				break // the next round
			}
			if cursor = page.Next; cursor == 0 || !pause(ctx, adriftPause) {
				break
			}
		}
	}
	return nil
}

// putBack asks for each job of a page that waits or runs for long by its record. The script decides.
func (c *Component) putBack(ctx context.Context, jobs []store.Record) error {
	var odd error
	long := time.Now().Add(-c.cfg.AdriftAge)
	for n, j := range jobs {
		since := j.ReadyAt
		if j.Status == store.StatusStarted {
			since = j.StartedAt
		}
		if j.Foreign || j.Status.Ended() || since.IsZero() || since.After(long) || n > adriftTimes {
			continue
		}
		code, err := c.d().Adrift(ctx, j.Type, j.ID, c.cfg.AdriftAge)
		if err != nil && !isWrongType(err) { // one with a key of another kind holds up no other
			return err
		}
		odd = cmp.Or(odd, err)
		if code == store.OK {
			kick(c.measureNow) // it left no fact
			c.log.Warn("job in no list, put back", "job", j.ID, "script_type", j.Type, "state", string(j.Status))
		}
	}
	return odd
}
