package store

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// NextDelayed says when the first delayed job of these types is due, and in how long by Redis'
// clock (0 if past). ok is false when none is delayed.
func (d *Daemon) NextDelayed(ctx context.Context, types []string) (due time.Time, in time.Duration, ok bool, err error) {
	p := d.s.rdb.Pipeline()
	clock := p.Time(ctx)
	firsts := make([]*redis.ZSliceCmd, len(types))
	ks := make([]key, len(types))
	for i, t := range types {
		ks[i] = d.s.keys.delayed(t)
		firsts[i] = p.ZRangeWithScores(ctx, ks[i].name, 0, 0)
	}
	if _, err := p.Exec(ctx); err != nil {
		return time.Time{}, 0, false, d.s.fault(ctx, err, ks)
	}
	for _, f := range firsts {
		if z := f.Val(); len(z) > 0 {
			if at := time.UnixMilli(int64(z[0].Score)).UTC(); !ok || at.Before(due) {
				due, ok = at, true
			}
		}
	}
	if ok {
		in = max(0, due.Sub(clock.Val()))
	}
	return due, in, ok, nil
}

// Promoted is the answer of Promote.
type Promoted struct {
	Moved int  // due jobs that went to the queue
	More  bool // others are due: call again
	Ready int  // length of the queue after
}

// promoteMax bounds one Promote.
const promoteMax = 200

// Promote moves due jobs of a type (at most 200) to its queue and hands over.
func (d *Daemon) Promote(ctx context.Context, jobType string) (Promoted, error) {
	if err := bad("script type", jobType); err != nil {
		return Promoted{}, err
	}
	r, err := d.s.run(ctx, "promote", d.s.jobKeys(jobType, d.s.keys.delayed(jobType)),
		d.s.jobArgs(d.epoch, jobType, strconv.Itoa(promoteMax))...)
	if err != nil {
		return Promoted{}, err
	}
	return Promoted{Moved: r.num(1), More: r.num(2) > 0, Ready: r.num(3)}, r.err
}
