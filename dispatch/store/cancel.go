package store

import "context"

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

// Cancel ends a waiting or delayed job with ReasonCancelled. A running one is marked and its actor told, by its wake
// list and at its next renewal: unless it ends well first, it ends with ReasonCancelled, whoever ends it.
func (d *Daemon) Cancel(ctx context.Context, id string) (Cancelled, error) {
	jobType, err := d.typeOf(ctx, id)
	if err != nil {
		return Cancelled{}, err
	}
	k := d.s.keys
	r, err := d.s.run(ctx, "cancel",
		d.s.jobKeys(jobType, k.job(id), k.delayed(jobType), k.groups()), d.s.jobArgs(d.epoch, jobType, id)...)
	if err != nil {
		return Cancelled{}, err
	}
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

// typeOf reads the queue's name of a record, which never changes; "" if there is no record.
func (d *Daemon) typeOf(ctx context.Context, id string) (string, error) {
	if err := bad("job id", id); err != nil {
		return "", err
	}
	k := d.s.keys.job(id)
	f, err := d.s.rdb.HMGet(ctx, k.name, "type", "script_type").Result()
	if err != nil {
		return "", d.s.fault(ctx, err, []key{k})
	}
	ours, _ := f[0].(string)
	theirs, _ := f[1].(string)
	return typeOfRecord(ours, theirs), nil
}
