package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Depth is the state of one type, all figures of one moment.
type Depth struct {
	Type       string
	Ready      int           // in the queue, of all levels, and those that run alone
	Delayed    int           // not yet due
	Due        int           // due, not promoted yet
	Alone      int           // of Ready, those that run alone
	InFlight   int           // in the hand of an actor
	Idle       int           // actors marked idle
	OldestWait time.Duration // of the next job to be served; 0 if none or not known
}

// depthsMax bounds one Depths.
const depthsMax = 200

// Depths reads them in one script, at most 200 types a call. A key of another kind counts as empty: the error then names the first, beside
// what is known of all the types.
func (d *Daemon) Depths(ctx context.Context, types []string) ([]Depth, error) {
	if len(types) > depthsMax {
		return nil, fmt.Errorf("depths of %d types: want at most %d at once", len(types), depthsMax)
	}
	k := d.s.keys
	ks := []key{k.epoch()}
	for _, t := range types {
		if err := bad("script type", t); err != nil {
			return nil, err
		}
		ks = append(ks, k.queue(t), k.delayed(t), k.lease(t), k.idle(t), k.prio(t), k.alone(t))
	}
	r, err := d.s.run(ctx, "depths", ks, dec(d.epoch))
	if err != nil {
		return nil, err
	}
	var odd []key
	out := make([]Depth, len(types))
	for i, t := range types {
		f := r.sub(i + 1)
		out[i] = Depth{
			Type: t, Ready: f.num(0), Delayed: f.num(1), Due: f.num(2), InFlight: f.num(3), Idle: f.num(4),
			OldestWait: laxMillis(f.str(5)), Alone: f.num(6),
		}
		if f.num(7) == 1 && odd == nil {
			odd = ks[1+6*i : 7+6*i]
		}
		if f.err != nil {
			return nil, f.err
		}
	}
	if r.err == nil && odd != nil {
		return out, d.s.wrongKind(ctx, odd)
	}
	return out, r.err
}

// Lease is a job in the hand of an actor whose lease ran out.
type Lease struct {
	ID          string
	Type        string
	Actor       string
	Incarnation string
	Expired     time.Time
}

// Overdue lists jobs in the hand of actors whose lease ran out: a finding, never by itself a reason to re-run. At most
// 100 actors a type, the longest over first.
func (d *Daemon) Overdue(ctx context.Context, types []string) ([]Lease, error) {
	now, err := d.s.rdb.Time(ctx).Result()
	if err != nil {
		return nil, d.s.fault(ctx, err, nil)
	}
	var out []Lease
	for _, t := range types {
		k := d.s.keys.lease(t)
		zs, err := d.s.rdb.ZRangeByScoreWithScores(ctx, k.name,
			&redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(now.Add(-d.s.lease).UnixMilli(), 10), Count: 100}).Result()
		if err != nil {
			return nil, d.s.fault(ctx, err, []key{k})
		}
		for _, z := range zs {
			inc, _ := z.Member.(string)
			held, err := d.HeldJobs(ctx, []string{inc})
			if err != nil {
				return nil, err
			}
			for _, job := range held {
				out = append(out, Lease{
					ID: job.ID, Type: job.Type, Actor: job.Actor, Incarnation: inc, Expired: time.UnixMilli(int64(z.Score)).Add(d.s.lease).UTC(),
				})
			}
		}
	}
	slices.SortFunc(out, func(a, b Lease) int {
		if c := a.Expired.Compare(b.Expired); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}
