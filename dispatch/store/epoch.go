package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Epoch reads the epoch Redis carries now; 0 for none.
func (s *Store) Epoch(ctx context.Context) (uint64, error) { return s.number(ctx, s.keys.epoch()) }

// number reads a key that holds a decimal; 0 when it is not there.
func (s *Store) number(ctx context.Context, k key) (uint64, error) {
	text, err := s.rdb.Get(ctx, k.name).Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, s.fault(ctx, err, []key{k})
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %q is no number; another program writes it, or set another redis.prefix", k.name, text)
	}
	return n, nil
}

// checkEpoch is the scripts' first line for the calls that found nothing to run one on.
func (d *Daemon) checkEpoch(ctx context.Context) error {
	have, err := d.s.Epoch(ctx)
	if err == nil && have != d.epoch {
		return ErrNoEpoch
	}
	return err
}

// RaiseEpoch sets Redis' epoch to a higher one: OK, Same (it was that), or Higher with the one found.
func (s *Store) RaiseEpoch(ctx context.Context, to uint64) (Code, uint64, error) {
	if to == 0 {
		return "", 0, errors.New("raise epoch: 0 means none, the first is 1")
	}
	r, err := s.run(ctx, "epoch", []key{s.keys.epoch()}, dec(to))
	if err != nil {
		return "", 0, err
	}
	return r.code(), r.seq(1), r.err
}

// Owner is who owns the prefix.
type Owner struct {
	Code    Code          // OK: the caller; Other: somebody else
	StateID string        // the owner's
	For     time.Duration // the lease's rest
}

// TakeOwner takes or renews the prefix for a state id. Other while another's lease runs.
func (s *Store) TakeOwner(ctx context.Context, stateID string, lease time.Duration) (Owner, error) {
	if err := bad("state id", stateID); err != nil {
		return Owner{}, err
	}
	if lease < time.Millisecond {
		return Owner{}, fmt.Errorf("take owner: lease %v: want a millisecond at least", lease)
	}
	return s.owner(ctx, stateID, lease)
}

// ReleaseOwner gives it up, if it is this state's.
func (s *Store) ReleaseOwner(ctx context.Context, stateID string) error {
	if err := bad("state id", stateID); err != nil {
		return err
	}
	_, err := s.owner(ctx, stateID, 0)
	return err
}

func (s *Store) owner(ctx context.Context, stateID string, lease time.Duration) (Owner, error) {
	r, err := s.run(ctx, "owner", []key{s.keys.owner()}, stateID, strconv.FormatInt(lease.Milliseconds(), 10))
	if err != nil {
		return Owner{}, err
	}
	return Owner{Code: r.code(), StateID: r.str(1), For: time.Duration(r.num(2)) * time.Millisecond}, r.err
}
