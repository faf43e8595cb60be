package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// Cancelled is the answer of Cancel.
type Cancelled struct {
	Code     Code // OK; Running; EndedCode (also when cancelled before); Unknown
	Type     string
	Status   Status
	Reason   string // the record's
	Actor    string // with Running
	Sequence uint64
	// With Running: the token's, and the script group that is recorded for it (nil: none). Without an incarnation an
	// actor of the original protocol has the job, and nobody can tell it anything.
	Incarnation string
	Attempt     int
	Group       *Group
}

const (
	// MaxCancels bounds one CancelAll.
	MaxCancels = 200
	// cancelGroup bounds one call of the script.
	cancelGroup = 50
)

// Cancel ends a waiting or delayed job with ReasonCancelled. A running one is marked and its actor told, by its wake
// list and at its next renewal: unless it ends well first, it ends with ReasonCancelled, whoever ends it.
func (d *Daemon) Cancel(ctx context.Context, id string) (Cancelled, error) {
	all, err := d.CancelAll(ctx, []string{id})
	if err != nil {
		return Cancelled{}, err
	}
	return all[0].Cancelled, all[0].Err
}

// CancelOutcome is what became of one job of several.
type CancelOutcome struct {
	Cancelled
	Err error
}

// CancelAll does for each of at most MaxCancels jobs what Cancel does for one, in two round trips for all, those of one
// type that follow one another by one script. They are cancelled in order; what goes wrong with one says nothing of the
// others.
func (d *Daemon) CancelAll(ctx context.Context, ids []string) ([]CancelOutcome, error) {
	if len(ids) > MaxCancels {
		return nil, fmt.Errorf("cancel %d jobs: want at most %d at once", len(ids), MaxCancels)
	}
	types, err := d.typesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	var groups [][]int // of places in ids
	for i := range ids {
		if n := len(groups) - 1; n < 0 || types[i] != types[i-1] || len(groups[n]) == cancelGroup {
			groups = append(groups, []int{i})
		} else {
			groups[n] = append(groups[n], i)
		}
	}
	out := make([]CancelOutcome, len(ids))
	failed, err := d.cancelGroups(ctx, groups, ids, types, out)
	if err != nil || len(failed) == 0 {
		return out, err
	}
	// A call that Redis refuses has done nothing; it may be for one of its jobs.
	var each [][]int
	for _, places := range failed {
		each = slices.AppendSeq(each, slices.Chunk(places, 1))
	}
	_, err = d.cancelGroups(ctx, each, ids, types, out)
	return out, err
}

// cancelGroups makes a call for each group and fills in the outcomes. It returns the groups of several that were refused.
func (d *Daemon) cancelGroups(ctx context.Context, groups [][]int, ids, types []string, out []CancelOutcome) (failed [][]int, err error) {
	k := d.s.keys
	calls := make([]scriptCall, len(groups))
	for g, places := range groups {
		t := types[places[0]]
		calls[g] = scriptCall{d.s.jobKeys(t, k.delayed(t), k.groups()), d.s.jobArgs(d.epoch, t)}
		for _, at := range places {
			calls[g].keys, calls[g].args = append(calls[g].keys, k.job(ids[at])), append(calls[g].args, ids[at])
		}
	}
	cmds, err := d.s.runAll(ctx, d.s.scripts["cancel"], calls)
	if cmds == nil {
		return nil, err
	}
	for g, cmd := range cmds {
		var r reply
		v, err := cmd.Result()
		switch {
		case err != nil && isAnswer(err) && len(groups[g]) > 1:
			failed = append(failed, groups[g])
			continue
		case err != nil:
			err = d.s.fault(ctx, err, calls[g].keys)
		default:
			r, err = readReply("cancel", v)
		}
		for n, at := range groups[g] {
			if out[at].Err = err; err == nil {
				one := r.sub(n + 1)
				out[at].Cancelled, out[at].Err = readCancelled(one, ids[at], types[at])
			}
		}
	}
	return failed, nil
}

func readCancelled(r reply, id, jobType string) (Cancelled, error) {
	c := Cancelled{Code: r.code(), Type: jobType}
	if c.Code != Unknown {
		c.Status, c.Reason, c.Actor, c.Sequence = Status(r.str(1)), r.str(2), r.str(3), laxUint(r.str(4))
	}
	if c.Code == Running {
		c.Incarnation, c.Attempt = r.str(5), r.num(6)
		for _, g := range readGroups(map[string]string{c.Incarnation + " " + id: r.str(7)})[c.Incarnation] {
			if g.Attempt == c.Attempt {
				c.Group = &g
			}
		}
	}
	return c, r.err
}

// typesOf reads the queues' names of records, which never change, in one round trip; "" where there is no record.
func (d *Daemon) typesOf(ctx context.Context, ids []string) ([]string, error) {
	p := d.s.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, len(ids))
	keys := make([]key, len(ids))
	for i, id := range ids {
		if err := bad("job id", id); err != nil {
			return nil, err
		}
		keys[i] = d.s.keys.job(id)
		cmds[i] = p.HMGet(ctx, keys[i].name, "type", "script_type")
	}
	if _, err := p.Exec(ctx); err != nil && !isAnswer(err) {
		return nil, d.s.fault(ctx, err, keys)
	}
	types := make([]string, len(ids))
	for i, cmd := range cmds {
		f, err := cmd.Result()
		if err != nil {
			return nil, d.s.fault(ctx, err, keys[i:i+1])
		}
		ours, _ := f[0].(string)
		theirs, _ := f[1].(string)
		types[i] = typeOfRecord(ours, theirs)
	}
	return types, nil
}
