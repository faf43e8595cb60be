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
		lists, err := d.s.heldIDs(ctx, some)
		if err != nil {
			return nil, err
		}
		for i, inc := range some {
			for _, id := range lists[i] {
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

// heldIDs reads the lists of incarnations, at most readsAtOnce.
func (s *Store) heldIDs(ctx context.Context, incarnations []string) ([][]string, error) {
	p := s.rdb.Pipeline()
	cmds := make([]*redis.StringSliceCmd, len(incarnations))
	for i, inc := range incarnations {
		if err := bad("incarnation", inc); err != nil {
			return nil, err
		}
		cmds[i] = p.LRange(ctx, s.keys.held(inc).name, 0, MaxSlots-1)
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, s.fault(ctx, err, nil)
	}
	lists := make([][]string, len(cmds))
	for i, c := range cmds {
		lists[i] = c.Val()
	}
	return lists, nil
}
