package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// heldCallMax bounds the incarnations of a call.
const heldCallMax = 200

// HeldJobs lists what incarnations (at most 200) have in hand: the records, without Script, Output and
// EnvJSON, whose token is theirs. In the order of the incarnations, each one's oldest first.
func (d *Daemon) HeldJobs(ctx context.Context, incarnations []string) ([]Record, error) {
	if len(incarnations) > heldCallMax {
		return nil, fmt.Errorf("held jobs of %d incarnations: want at most %d at once", len(incarnations), heldCallMax)
	}
	var ids []string
	listed := map[string]bool{} // "<incarnation> <id>"
	for some := range slices.Chunk(incarnations, readsAtOnce) {
		p := d.s.rdb.Pipeline()
		lists := make([]*redis.StringSliceCmd, len(some))
		for i, inc := range some {
			if err := bad("incarnation", inc); err != nil {
				return nil, err
			}
			lists[i] = p.LRange(ctx, d.s.keys.held(inc).name, 0, MaxSlots-1)
		}
		if _, err := p.Exec(ctx); err != nil {
			return nil, d.s.fault(ctx, err, nil)
		}
		for i, inc := range some {
			for _, id := range lists[i].Val() {
				ids = append(ids, id)
				listed[inc+" "+id] = true
			}
		}
	}
	recs, err := d.s.records(ctx, ids)
	return slices.DeleteFunc(recs, func(r Record) bool {
		pair := r.Token.Incarnation + " " + r.ID
		mine := r.Status == StatusStarted && listed[pair]
		delete(listed, pair) // once
		return !mine
	}), err
}
