package store

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Restoration is a dead job whose record is to come back.
type Restoration struct {
	Type, ID string
	Fields   map[string]string // of its record, as Fields had them
	At       time.Time         // it died
	// Again is the sequence of the message of the log that revives it, 0 for none: with one it is back as a job that waits
	// until that message is accepted, and a record of an earlier end is made one.
	Again uint64
}

// RestoreOutcome is what became of one of several: OK, or Same if there is a record.
type RestoreOutcome struct {
	Code Code
	Err  error
}

// MaxRestore bounds the jobs of one RestoreAll.
const MaxRestore = 100

// Restore brings the record of a dead job back, for a time, unless there is one (Same).
func (d *Daemon) Restore(ctx context.Context, j Restoration) (Code, error) {
	out, err := d.RestoreAll(ctx, []Restoration{j})
	if err != nil {
		return "", err
	}
	return out[0].Code, out[0].Err
}

// RestoreAll does for each job, at most MaxRestore, what Restore does for one, in one round trip. What goes wrong with one
// says nothing of the others.
func (d *Daemon) RestoreAll(ctx context.Context, jobs []Restoration) ([]RestoreOutcome, error) {
	if len(jobs) > MaxRestore {
		return nil, fmt.Errorf("restore %d jobs: want at most %d at once", len(jobs), MaxRestore)
	}
	k := d.s.keys
	calls := make([]scriptCall, len(jobs))
	for i, j := range jobs {
		if err := bad("job id", j.ID); err != nil {
			return nil, err
		}
		args := []any{dec(d.epoch), j.Type, j.ID, strconv.FormatInt(j.At.UnixMilli(), 10), dec(j.Again)}
		for f, v := range j.Fields {
			args = append(args, f, v)
		}
		calls[i] = scriptCall{[]key{k.epoch(), k.dead(), k.job(j.ID)}, args}
	}
	cmds, err := d.s.runAll(ctx, d.s.scripts["restore"], calls)
	if cmds == nil {
		return nil, err
	}
	out := make([]RestoreOutcome, len(jobs))
	for i, cmd := range cmds {
		v, err := cmd.Result()
		if err != nil {
			out[i].Err = d.s.fault(ctx, err, calls[i].keys)
			continue
		}
		r, err := readReply("restore", v)
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i] = RestoreOutcome{r.code(), r.err}
	}
	return out, nil
}
