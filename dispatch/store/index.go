package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Part is one of the structures that jobs are found in. Together they have every job;
// one that moves meanwhile may be met twice or, at the border of two pages, not at all.
type Part string

// The parts, in the order in which people ask for them. Those of a type take one.
const (
	PartRunning Part = "running" // in the hands of actors, by incarnation, each one's oldest first
	PartReady   Part = "ready"   // of a type, of the default level, in the order of service
	PartLevels  Part = "levels"  // of a type, of other levels, in the order of service
	PartAlone   Part = "alone"   // of a type, to be run by an actor with nothing else in hand
	PartDelayed Part = "delayed" // of a type, by their time
	PartEnded   Part = "ended"   // ended, still in the log, newest first
	PartDone    Part = "done"    // ended before, newest first
	PartDead    Part = "dead"    // given up, newest first
	PartAll     Part = "all"     // every record, in no order, perhaps twice
)

// OfType reports whether the part is one of a job type.
func (p Part) OfType() bool {
	return p == PartReady || p == PartLevels || p == PartAlone || p == PartDelayed
}

// Page is some of the ids of a part.
type Page struct {
	IDs  []string
	Next uint64 // where the next page begins
	More bool   // there may be another page
}

// Page reads about limit (1000) ids of a part, from a cursor on; the first is 0.
func (s *Store) Page(ctx context.Context, part Part, jobType string, cursor uint64, limit int) (Page, error) {
	if part.OfType() {
		if err := bad("script type", jobType); err != nil {
			return Page{}, err
		}
	}
	n := page(limit)
	switch part {
	case PartRunning:
		return s.heldPage(ctx, cursor, int(n))
	case PartLevels:
		return s.zpage(ctx, s.keys.prio(jobType), false, cursor, n, behindOrder)
	case PartDelayed:
		return s.zpage(ctx, s.keys.delayed(jobType), false, cursor, n, whole)
	case PartDead:
		return s.zpage(ctx, s.keys.dead(), true, cursor, n, whole)
	case PartReady:
		return s.lpage(ctx, s.keys.queue(jobType), cursor, n, whole)
	case PartAlone:
		return s.lpage(ctx, s.keys.alone(jobType), cursor, n, whole)
	case PartEnded:
		return s.lpage(ctx, s.keys.ended(), cursor, n, func(e string) string {
			e = behindOrder(e)
			return e[:max(0, strings.LastIndexByte(e, ' '))]
		})
	case PartDone:
		return s.lpage(ctx, s.keys.done(), cursor, n, behindOrder)
	case PartAll:
		return s.scanPage(ctx, cursor)
	}
	return Page{}, fmt.Errorf("part %q is not known", part)
}

// heldPage reads what is in the hands of all who are registered.
func (s *Store) heldPage(ctx context.Context, from uint64, n int) (Page, error) {
	k := s.keys.incarnations()
	incs, err := s.rdb.HKeys(ctx, k.name).Result()
	if err != nil {
		return Page{}, s.fault(ctx, err, []key{k})
	}
	incs = slices.DeleteFunc(incs, func(inc string) bool { return bad("incarnation", inc) != nil }) // written by somebody else
	slices.Sort(incs)
	var all []string
	for some := range slices.Chunk(incs, readsAtOnce) {
		lists, err := s.heldIDs(ctx, some)
		if err != nil {
			return Page{}, err
		}
		all = append(all, slices.Concat(lists...)...)
		if uint64(len(all)) > min(from, math.MaxInt64)+uint64(n) {
			break
		}
	}
	ids := all[min(from, uint64(len(all))):]
	more := len(ids) > n
	ids = ids[:min(n, len(ids))]
	return Page{IDs: ids, Next: from + uint64(len(ids)), More: more}, nil
}

// The entries of a part are an id, "<order> <id>", or "<sequence> <id> <outcome>"; an id that others chose may have blanks.
func whole(entry string) string { return entry }

func behindOrder(entry string) string {
	_, id, _ := strings.Cut(entry, " ")
	return id
}

// zpage reads a sorted set from an offset on.
func (s *Store) zpage(ctx context.Context, k key, newest bool, from uint64, n int64, id func(entry string) string) (Page, error) {
	ids, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{Key: k.name, Start: int64(from), Stop: int64(from) + n - 1, Rev: newest}).Result()
	if err != nil {
		return Page{}, s.fault(ctx, err, []key{k})
	}
	for i, entry := range ids {
		ids[i] = id(entry)
	}
	return Page{IDs: ids, Next: from + uint64(len(ids)), More: int64(len(ids)) == n}, nil
}

// lpage reads a list from its right end on.
func (s *Store) lpage(ctx context.Context, k key, from uint64, n int64, id func(entry string) string) (Page, error) {
	got, err := s.rdb.LRange(ctx, k.name, -int64(from)-n, -int64(from)-1).Result()
	if err != nil {
		return Page{}, s.fault(ctx, err, []key{k})
	}
	ids := make([]string, 0, len(got))
	for i := len(got) - 1; i >= 0; i-- {
		ids = append(ids, id(got[i]))
	}
	return Page{IDs: ids, Next: from + uint64(len(got)), More: int64(len(got)) == n}, nil
}

func (s *Store) scanPage(ctx context.Context, cursor uint64) (Page, error) {
	prefix := s.keys.job("").name
	// The type filter: the transitional queue names of Hero begin alike (research/hero.md 2.1).
	node, err := s.node(ctx)
	if err != nil {
		return Page{}, s.fault(ctx, err, nil)
	}
	names, next, err := node.ScanType(ctx, cursor, prefix+"*", scanCount, "hash").Result()
	if err != nil {
		return Page{}, s.fault(ctx, err, nil)
	}
	for i, n := range names {
		names[i] = strings.TrimPrefix(n, prefix)
	}
	return Page{IDs: names, Next: next, More: next != 0}, nil
}

// Records reads the records of ids, without Script, Output and EnvJSON; scripts asks for
// the first of these too. Ids without a record are left out.
func (s *Store) Records(ctx context.Context, ids []string, scripts bool) ([]Record, error) {
	if scripts {
		return s.recordsWith(ctx, ids, append([]string{"script"}, recordFields...))
	}
	return s.records(ctx, ids)
}

// aheadMost bounds how far Ahead looks from the serving end of a queue.
const aheadMost = 100_000

// Ahead counts the jobs of a waiting job's level that are served before it; -1 if it
// is in no queue, or behind aheadMost others.
func (s *Store) Ahead(ctx context.Context, r Record) (int, error) {
	if err := bad("script type", r.Type); err != nil {
		return -1, err
	}
	k := s.keys.queue(r.Type)
	switch {
	case r.Alone:
		k = s.keys.alone(r.Type)
	case r.Priority != 0:
		return s.aheadOfLevels(ctx, r)
	}
	at, err := s.rdb.LPos(ctx, k.name, r.ID, redis.LPosArgs{Rank: -1, MaxLen: aheadMost}).Result()
	if errors.Is(err, redis.Nil) {
		return -1, nil
	}
	if err != nil {
		return -1, s.fault(ctx, err, []key{k})
	}
	n, err := s.rdb.LLen(ctx, k.name).Result()
	if err != nil {
		return -1, s.fault(ctx, err, []key{k})
	}
	return int(max(n-1-at, 0)), nil
}

// aheadOfLevels finds the place among jobs of other levels: members are "<order> <id>".
func (s *Store) aheadOfLevels(ctx context.Context, r Record) (int, error) {
	for from := uint64(0); from < aheadMost; {
		p, err := s.zpage(ctx, s.keys.prio(r.Type), false, from, pageMax, behindOrder)
		if err != nil {
			return -1, err
		}
		for i, id := range p.IDs {
			if id == r.ID {
				return int(from) + i, nil
			}
		}
		if !p.More {
			break
		}
		from = p.Next
	}
	return -1, nil
}
