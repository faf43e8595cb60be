package store

import (
	"context"
	"strconv"
	"time"
)

// Removed is the answer of Remove.
type Removed struct {
	Code    Code   // OK; Running (it has not ended: see Status); Stale (revived since); Waited; Unknown
	Status  Status // the record's
	Waiting int    // with Waited: the number of jobs that wait for it
}

// Remove forgets an ended job: record, reply and place among the dead. sequence is the one of the record (0: in
// no log), whose message the caller has taken out of the log before: otherwise the next refill would run the
// job again. One that others wait for (Dependents) is kept: they would hold for ever.
func (d *Daemon) Remove(ctx context.Context, id string, sequence uint64) (Removed, error) {
	jobType, err := d.typeOf(ctx, id)
	if err != nil {
		return Removed{}, err
	}
	k := d.s.keys
	r, err := d.s.run(ctx, "remove", []key{k.epoch(), k.facts(), k.dead(), k.job(id), k.reply(id), k.unlocks(id)},
		dec(d.epoch), jobType, id, dec(sequence))
	if err != nil {
		return Removed{}, err
	}
	out := Removed{Code: r.code()}
	if out.Code != Unknown {
		out.Status = Status(r.str(1))
	}
	if out.Code == Waited {
		out.Waiting = r.num(2)
	}
	return out, r.err
}

// Fields is a record as it lies in Redis: what a dead job is kept as outside of it. nil: there is none.
func (s *Store) Fields(ctx context.Context, id string) (map[string]string, error) {
	if err := bad("job id", id); err != nil {
		return nil, err
	}
	k := s.keys.job(id)
	m, err := s.rdb.HGetAll(ctx, k.name).Result()
	if err != nil || len(m) == 0 {
		return nil, s.fault(ctx, err, []key{k})
	}
	return m, nil
}

// RecordOf reads such fields.
func RecordOf(id string, fields map[string]string) Record { return readRecord(id, fields) }

// Restore brings the record of a dead job back, for a time, unless there is one (Same).
func (d *Daemon) Restore(ctx context.Context, id string, fields map[string]string, at time.Time) (Code, error) {
	if err := bad("job id", id); err != nil {
		return "", err
	}
	k := d.s.keys
	args := []any{dec(d.epoch), id, strconv.FormatInt(at.UnixMilli(), 10)}
	for f, v := range fields {
		args = append(args, f, v)
	}
	r, err := d.s.run(ctx, "restore", []key{k.epoch(), k.dead(), k.job(id)}, args...)
	if err != nil {
		return "", err
	}
	return r.code(), r.err
}
