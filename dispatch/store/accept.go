package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
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
	Ready    int    // length of the type's queue after
	Due      time.Time
	Handed   string   // actor that has it, "" for none
	HandedTo string   // that actor's incarnation
	Waits    []string // ids of what it waits for, when it was taken in
	Missing  string   // with NoNeed: the first prerequisite that is not known
}

// MaxBatch bounds one Accept: a pipeline of scripts, kept short of a second even on miniredis.
const MaxBatch = 500

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
	calls := make([]acceptCall, len(jobs))
	for i, j := range jobs {
		c, err := d.acceptCall(after, j)
		if err == nil {
			err = sc.check(c.keys, c.args)
		}
		if err != nil {
			return nil, err
		}
		calls[i] = c
		if j.Sequence != 0 {
			after = j.Sequence
		}
	}
	cmds, err := d.s.acceptAll(ctx, sc, calls, false)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		cmds, err = d.s.acceptAll(ctx, sc, calls, true)
	}
	var out []Accepted
	for i, c := range cmds {
		v, err := c.Result()
		if err != nil {
			return out, d.s.fault(ctx, err, calls[i].keys)
		}
		a, err := readAccepted(v)
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
	if len(cmds) < len(jobs) {
		return out, d.s.fault(ctx, err, nil)
	}
	return out, nil
}

type acceptCall struct {
	keys []key
	args []any
}

func (d *Daemon) acceptCall(after uint64, j Submission) (acceptCall, error) {
	if err := errors.Join(bad("job id", j.ID), bad("script type", j.Type)); err != nil {
		return acceptCall{}, err
	}
	env, created := "", ""
	if len(j.Env) > 0 {
		b, err := json.Marshal(j.Env)
		if err != nil {
			return acceptCall{}, fmt.Errorf("accept job %s: %w", j.ID, err)
		}
		env = string(b)
	}
	if !j.CreatedAt.IsZero() {
		created = j.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	if err := checkRules(j); err != nil {
		return acceptCall{}, err
	}
	limit := (j.Timeout + time.Second - 1) / time.Second
	k := d.s.keys
	return acceptCall{
		keys: d.s.jobKeys(j.Type, k.job(j.ID), k.position(), k.types(), k.delayed(j.Type)),
		args: d.s.jobArgs(d.epoch, j.Type, j.ID, dec(after), dec(j.Sequence), j.Script, j.Caller, j.Context,
			strconv.FormatInt(int64(limit), 10), strconv.Itoa(j.Retries), env, created,
			millis(j.Due), d.s.rareOf(j), needs(j), boolArg(j.Refilled), boolArg(j.Again)),
	}, nil
}

// millis writes a time as the scripts count it; "" for none. Rounded up: not before means not before.
func millis(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Add(time.Millisecond-time.Nanosecond).UnixMilli(), 10)
}

// acceptAll sends one pipeline. load: the first as EVAL, which makes Redis know the script for the rest.
func (s *Store) acceptAll(ctx context.Context, sc *script, calls []acceptCall, load bool) ([]*redis.Cmd, error) {
	p := s.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(calls))
	for i, c := range calls {
		if load && i == 0 {
			cmds[i] = p.Eval(ctx, sc.source, names(c.keys), c.args...)
		} else {
			cmds[i] = p.EvalSha(ctx, sc.sha, names(c.keys), c.args...)
		}
	}
	_, err := p.Exec(ctx)
	return cmds, err
}

func readAccepted(v any) (Accepted, error) {
	r, err := readReply("accept", v)
	if err != nil {
		return Accepted{}, err
	}
	a := Accepted{Code: r.code()}
	switch a.Code {
	case Gap:
	case NoNeed:
		a.Missing = r.str(1)
	default:
		a.Status, a.Sequence, a.Adopted, a.Ready = Status(r.str(1)), laxUint(r.str(2)), r.str(3) == "1", r.num(4)
		a.Due, a.Handed, a.HandedTo = msTime(r.str(5)), r.str(6), r.str(7)
		a.Waits = strings.Fields(r.str(8))
	}
	return a, r.err
}

// Position is the sequence of the last log message accepted; 0 for none.
func (d *Daemon) Position(ctx context.Context) (uint64, error) {
	return d.s.number(ctx, d.s.keys.position())
}
