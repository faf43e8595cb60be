package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Ahead is what time brings for some types: delayed jobs that become due, late ones that end.
type Ahead struct {
	Due  []string      // types for which something is due now: call Promote for them
	Next time.Time     // of all that is ahead or due; zero: nothing is
	In   time.Duration // until Next, by Redis' clock; 0 if past
}

// Ahead looks at these types. A key of another kind counts as empty: the error then names the first, beside what the others have.
func (d *Daemon) Ahead(ctx context.Context, types []string) (Ahead, error) {
	p := d.s.rdb.Pipeline()
	clock := p.Time(ctx)
	firsts := make([]*redis.ZSliceCmd, 0, 2*len(types))
	ks := make([]key, 0, 2*len(types))
	for _, t := range types {
		for _, k := range []key{d.s.keys.delayed(t), d.s.keys.startby(t)} {
			ks = append(ks, k)
			firsts = append(firsts, p.ZRangeWithScores(ctx, k.name, 0, 0))
		}
	}
	if _, err := p.Exec(ctx); err != nil && (!isAnswer(err) || clock.Err() != nil) {
		return Ahead{}, d.s.fault(ctx, err, nil)
	}
	var a Ahead
	var odd error
	for i, f := range firsts {
		z, err := f.Result()
		if err != nil {
			err = d.s.fault(ctx, err, ks[i:i+1])
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Kind != "WRONGTYPE" {
				return Ahead{}, err
			}
			odd = cmp.Or(odd, err)
		}
		if len(z) == 0 {
			continue
		}
		at := time.UnixMilli(int64(z[0].Score)).UTC()
		if a.Next.IsZero() || at.Before(a.Next) {
			a.Next = at
		}
		if t := types[i/2]; !at.After(clock.Val()) && !slices.Contains(a.Due, t) {
			a.Due = append(a.Due, t)
		}
	}
	if !a.Next.IsZero() {
		a.In = max(0, a.Next.Sub(clock.Val()))
	}
	return a, odd
}

// Promoted is the answer of Promote.
type Promoted struct {
	Moved int  // due jobs that went to the queue
	More  bool // there is more of it: call again
	Ready int  // length of the queue after
}

// promoteMax bounds one Promote.
const promoteMax = 200

// Promote moves due jobs of a type (at most 200) to its queue, ends as many that are too late to begin, goes
// on with what more than 500 jobs waited for, and hands over.
func (d *Daemon) Promote(ctx context.Context, jobType string) (Promoted, error) {
	if err := bad("script type", jobType); err != nil {
		return Promoted{}, err
	}
	r, err := d.s.run(ctx, "promote", d.s.jobKeys(jobType, d.s.keys.delayed(jobType), d.s.keys.startby(jobType)),
		d.s.jobArgs(d.epoch, jobType, strconv.Itoa(promoteMax))...)
	if err != nil {
		return Promoted{}, err
	}
	return Promoted{Moved: r.num(1), More: r.num(2) > 0, Ready: r.num(3)}, r.err
}
