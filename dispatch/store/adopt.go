package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Adopted is a page of a type's queue as Adopt found it.
type Adopted struct {
	Foreign []string // ids (tokens) with a record and without a log sequence: put them into the log
	Length  int      // of the queue, before handing over
	Handed  int      // jobs handed to idle actors by this call
}

// adoptMax bounds the page of one Adopt.
const adoptMax = 250

// Adopt looks at count (at most 250) ids of a type's queue from offset, newest first (where
// LPUSH puts them), marks foreign records as seen and hands jobs to idle actors while there are both.
// A foreign job becomes the log's when Accept is called with its id and script.
func (d *Daemon) Adopt(ctx context.Context, jobType string, offset, count int) (Adopted, error) {
	if err := bad("script type", jobType); err != nil {
		return Adopted{}, err
	}
	if offset < 0 || count < 1 || count > adoptMax {
		return Adopted{}, fmt.Errorf("adopt from %d, %d ids: want at most %d", offset, count, adoptMax)
	}
	r, err := d.s.run(ctx, "adopt", d.s.jobKeys(jobType, d.s.keys.types()),
		d.s.jobArgs(d.epoch, jobType, strconv.Itoa(offset), strconv.Itoa(count))...)
	if err != nil {
		return Adopted{}, err
	}
	a := Adopted{Length: r.num(1), Handed: r.num(2)}
	for i := 3; i < len(r.fields); i++ {
		if id := r.str(i); token.MatchString(id) { // others are run all the same, but the log could not name them
			a.Foreign = append(a.Foreign, id)
		}
	}
	return a, r.err
}

// WatchForeign blocks until the type's queue is not empty (true), timeout has passed (at least
// 1 s) or ctx ends. It leaves the queue as it was. For empty types only: else it returns at once.
func (s *Store) WatchForeign(ctx context.Context, jobType string, timeout time.Duration) (bool, error) {
	if err := bad("script type", jobType); err != nil {
		return false, err
	}
	k := s.keys.queue(jobType)
	err := s.blocking(ctx, func(ctx context.Context, c *redis.Client) error {
		// From the right end to the right end: blocks like a pop, moves nothing.
		return c.BLMove(ctx, k.name, k.name, "RIGHT", "RIGHT", max(timeout, time.Second).Truncate(time.Second)).Err()
	})
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, s.fault(ctx, err, []key{k})
}
