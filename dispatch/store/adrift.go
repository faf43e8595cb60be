package store

import (
	"context"
	"strconv"
	"time"
)

// Adrift looks whether a job that waits, or is in a hand, by its record, for longer than age is in a list too, and puts
// it back if not: OK then, Kept if nothing was to be done.
func (d *Daemon) Adrift(ctx context.Context, jobType, id string, age time.Duration) (Code, error) {
	if err := bad("script type", jobType); err != nil {
		return "", err
	}
	k := d.s.keys
	r, err := d.s.run(ctx, "adrift", d.s.jobKeys(jobType, k.job(id), k.delayed(jobType), k.incarnations()),
		d.s.jobArgs(d.epoch, jobType, id, strconv.FormatInt(age.Milliseconds(), 10))...)
	if err != nil {
		return "", err
	}
	return r.code(), r.err
}
