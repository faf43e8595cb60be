package store

import (
	"context"
	"fmt"
)

// Forgotten is a job that ended since an old copy of Redis was made, and by that copy has not.
type Forgotten struct {
	ID, Type string
	Sequence uint64
	Dead     bool // its record is in the bucket of the dead
	Over     bool // by that copy it is dead, and it is in the bucket no more
}

// MaxForget bounds one Forget.
const MaxForget = 50

// Forget drops jobs of one type, at most MaxForget, from an old copy that was voided; what waits for one that is not dead is
// released. OK and how many there were: a record of another message, or of a job that has ended and is not Over, stays. Kept if Redis carries
// an epoch: nothing was done.
func (s *Store) Forget(ctx context.Context, jobType string, jobs []Forgotten) (Code, int, error) {
	if err := bad("script type", jobType); err != nil {
		return "", 0, err
	}
	if len(jobs) == 0 || len(jobs) > MaxForget {
		return "", 0, fmt.Errorf("forget %d jobs: want 1 to %d", len(jobs), MaxForget)
	}
	args := []any{jobType}
	for _, j := range jobs {
		if err := bad("job id", j.ID); err != nil {
			return "", 0, err
		}
		how := "settled"
		switch {
		case j.Over:
			how = "over"
		case j.Dead:
			how = "dead"
		}
		args = append(args, dec(j.Sequence)+" "+how+" "+j.ID)
	}
	r, err := s.run(ctx, "forget", s.jobKeys(jobType, s.keys.delayed(jobType)), args...)
	if err != nil {
		return "", 0, err
	}
	if r.code() == Kept {
		return Kept, 0, r.err
	}
	return r.code(), r.num(1), r.err
}
