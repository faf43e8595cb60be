package store

import (
	"context"
	"slices"
)

// Removed is the answer of Remove.
type Removed struct {
	Code    Code   // OK; Running (it has not ended: see Status); Stale (revived since); Waited; Unknown
	Status  Status // the record's
	Waiting int    // with Waited: the number of jobs that wait for it
}

// Removal is an ended job that is to be forgotten. Sequence is the one of its record (0: in no log), whose message the caller
// has taken out of the log before: otherwise the next refill would run the job again.
type Removal struct {
	ID       string
	Sequence uint64
}

// RemoveOutcome is what became of one job of several.
type RemoveOutcome struct {
	Removed
	Err error
}

// Remove forgets an ended job: record, reply and place among the dead. One that others wait for (Dependents) is kept: they
// would hold for ever.
func (d *Daemon) Remove(ctx context.Context, id string, sequence uint64) (Removed, error) {
	one := d.RemoveAll(ctx, []Removal{{id, sequence}})[0]
	return one.Removed, one.Err
}

// RemoveAll does for each job what Remove does for one, readsAtOnce in two round trips. What goes wrong with one says nothing of
// the others.
func (d *Daemon) RemoveAll(ctx context.Context, jobs []Removal) []RemoveOutcome {
	out := make([]RemoveOutcome, 0, len(jobs))
	for some := range slices.Chunk(jobs, readsAtOnce) {
		part, err := d.removeSome(ctx, some)
		if err != nil {
			part = slices.Repeat([]RemoveOutcome{{Err: err}}, len(some))
		}
		out = append(out, part...)
	}
	return out
}

func (d *Daemon) removeSome(ctx context.Context, jobs []Removal) ([]RemoveOutcome, error) {
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	types, err := d.typesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	k := d.s.keys
	calls := make([]scriptCall, len(jobs))
	for i, j := range jobs {
		calls[i] = scriptCall{
			[]key{k.epoch(), k.facts(), k.dead(), k.job(j.ID), k.reply(j.ID), k.unlocks(j.ID)},
			[]any{dec(d.epoch), types[i], j.ID, dec(j.Sequence)},
		}
	}
	cmds, err := d.s.runAll(ctx, d.s.scripts["remove"], calls)
	if cmds == nil {
		return nil, err
	}
	out := make([]RemoveOutcome, len(jobs))
	for i, cmd := range cmds {
		v, err := cmd.Result()
		if err != nil {
			out[i].Err = d.s.fault(ctx, err, calls[i].keys)
			continue
		}
		out[i].Removed, out[i].Err = readRemoved(v)
	}
	return out, nil
}

func readRemoved(v any) (Removed, error) {
	r, err := readReply("remove", v)
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
