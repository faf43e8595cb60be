package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Daemon is the store as the daemon sees it, under one epoch. Values are cheap and
// immutable: after RaiseEpoch make another.
type Daemon struct {
	s     *Store
	epoch uint64
}

// Daemon gives the store's daemon side under an epoch (the one in HERO_STATE).
func (s *Store) Daemon(epoch uint64) *Daemon { return &Daemon{s: s, epoch: epoch} }

// Accepted is the answer for one submission.
type Accepted struct {
	Code     Code   // OK, Same, Conflict, NoNeed, Gap
	Status   Status // the record's now
	Sequence uint64 // the record's: with Same and another than the submission's, the log holds it twice
	Adopted  bool   // with Same: a foreign record took this submission's sequence
	Ready    int    // length of the type's queue after this and those that were accepted with it
	Due      time.Time
	Handed   string   // actor that has it, "" for none
	HandedTo string   // that actor's incarnation
	Waits    []string // ids of what it waits for, when it was taken in
	Missing  string   // with NoNeed: the first prerequisite that is not known
}

// MaxBatch bounds one Accept: a pipeline of calls, kept short of a second even on miniredis.
const MaxBatch = 500

// acceptGroup is how many jobs one call of the script takes: what a call costs beside its jobs is more than a job costs.
const acceptGroup = 50

// Accept puts submissions, in the order of the log, into Redis: one pipeline. It moves the
// position with each, also with Same and Conflict. after is the sequence of the log message before
// the first (0: do not check): if Redis' position is behind it the answer is Gap and
// nothing is written, so a refusal in mid-batch can not leave a hole. On error
// the results before it are returned; go on from Position.
func (d *Daemon) Accept(ctx context.Context, after uint64, jobs []Submission) ([]Accepted, error) {
	if len(jobs) > MaxBatch {
		return nil, fmt.Errorf("accept %d jobs: want at most %d at once", len(jobs), MaxBatch)
	}
	if len(jobs) == 0 {
		return nil, nil
	}
	sc := d.s.scripts["accept"]
	var calls []scriptCall
	var counts []int // of jobs in each
	for rest := jobs; len(rest) > 0; {
		n := alike(rest)
		c, err := d.acceptCall(after, rest[:n])
		if err != nil {
			return nil, err
		}
		calls, counts = append(calls, c), append(counts, n)
		if last := rest[n-1].Sequence; last != 0 {
			after = last
		}
		rest = rest[n:]
	}
	cmds, err := d.s.runAll(ctx, sc, calls)
	if cmds == nil {
		return nil, err
	}
	var out []Accepted
	for i, c := range cmds {
		v, err := c.Result()
		if err != nil {
			return out, d.s.fault(ctx, err, calls[i].keys)
		}
		as, err := readAccepted(v)
		out = append(out, as...)
		if err != nil {
			return out, err
		}
		if len(as) > 0 && as[0].Code == Gap { // and so are all behind
			for len(out) < len(jobs) {
				out = append(out, as[0])
			}
			return out, nil
		}
		if len(as) == 0 || len(as) > counts[i] {
			return out, fmt.Errorf("accept %d jobs: %d answers", counts[i], len(as))
		}
		if len(as) < counts[i] { // it ended before a record that is none: begun with that one it says so
			before := jobs[len(out)-1].Sequence
			more, err := d.Accept(ctx, before, jobs[len(out):])
			return append(out, more...), err
		}
	}
	if len(cmds) < len(calls) {
		return out, d.s.fault(ctx, err, nil)
	}
	return out, nil
}

// alike is how many of the jobs go into the first call: of one type, and no more than it takes.
func alike(jobs []Submission) int {
	n := 1
	for n < len(jobs) && n < acceptGroup && jobs[n].Type == jobs[0].Type {
		n++
	}
	return n
}

func (d *Daemon) acceptCall(after uint64, jobs []Submission) (scriptCall, error) {
	k, jobType := d.s.keys, jobs[0].Type
	c := scriptCall{
		keys: d.s.jobKeys(jobType, k.position(), k.types(), k.delayed(jobType)),
		args: append(make([]any, 0, 3+14*len(jobs)), d.s.jobArgs(d.epoch, jobType, dec(after))...),
	}
	for _, j := range jobs {
		if err := errors.Join(bad("job id", j.ID), bad("script type", j.Type), checkRules(j)); err != nil {
			return scriptCall{}, err
		}
		env, created := "", ""
		if len(j.Env) > 0 {
			b, err := json.Marshal(j.Env)
			if err != nil {
				return scriptCall{}, fmt.Errorf("accept job %s: %w", j.ID, err)
			}
			env = string(b)
		}
		if !j.CreatedAt.IsZero() {
			created = j.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00")
		}
		limit := (j.Timeout + time.Second - 1) / time.Second
		c.keys = append(c.keys, k.job(j.ID))
		c.args = append(c.args, j.ID, dec(j.Sequence), j.Script, j.Caller, j.Context,
			strconv.FormatInt(int64(limit), 10), strconv.Itoa(j.Retries), env, created,
			millis(j.Due), d.s.rareOf(j), needs(j), boolArg(j.Refilled), boolArg(j.Again))
	}
	return c, nil
}

// millis writes a time as the scripts count it; "" for none. Rounded up: not before means not before.
func millis(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Add(time.Millisecond-time.Nanosecond).UnixMilli(), 10)
}

// readAccepted reads the answers of one call: a Gap alone, or one for each job that it came to.
func readAccepted(v any) ([]Accepted, error) {
	const fields = 8
	r, err := readReply("accept", v)
	if err != nil {
		return nil, err
	}
	if r.code() == Gap {
		return []Accepted{{Code: Gap}}, nil
	}
	ready := r.num(1)
	out := make([]Accepted, 0, len(r.fields)/fields)
	for i := 2; i < len(r.fields) && r.err == nil; i += fields {
		a := Accepted{
			Code: Code(r.str(i)), Status: Status(r.str(i + 1)), Sequence: laxUint(r.str(i + 2)), Adopted: r.str(i+3) == "1", Ready: ready,
			Due: msTime(r.str(i + 4)), Handed: r.str(i + 5), HandedTo: r.str(i + 6), Waits: strings.Fields(r.str(i + 7)),
		}
		if a.Code == NoNeed {
			a = Accepted{Code: NoNeed, Missing: r.str(i + 7)}
		}
		out = append(out, a)
	}
	return out, r.err
}

// Position is the sequence of the last log message accepted; 0 for none.
func (d *Daemon) Position(ctx context.Context) (uint64, error) {
	return d.s.number(ctx, d.s.keys.position())
}
