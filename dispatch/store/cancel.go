package store

import "context"

// Cancelled is the answer of Cancel.
type Cancelled struct {
	Code     Code // OK; Running; EndedCode (also when cancelled before); Unknown
	Status   Status
	Reason   string // the record's
	Actor    string // with Running
	Sequence uint64
}

// Cancel ends a waiting or delayed job with ReasonCancelled.
func (d *Daemon) Cancel(ctx context.Context, id string) (Cancelled, error) {
	if err := bad("job id", id); err != nil {
		return Cancelled{}, err
	}
	// The script needs the queue's name; a record's type never changes.
	k := d.s.keys
	f, err := d.s.rdb.HMGet(ctx, k.job(id).name, "type", "script_type").Result()
	if err != nil {
		return Cancelled{}, d.s.fault(ctx, err, []key{k.job(id)})
	}
	ours, _ := f[0].(string)
	theirs, _ := f[1].(string)
	jobType := typeOfRecord(ours, theirs)
	r, err := d.s.run(ctx, "cancel",
		d.s.jobKeys(jobType, k.job(id), k.delayed(jobType)), d.s.jobArgs(d.epoch, jobType, id)...)
	if err != nil {
		return Cancelled{}, err
	}
	c := Cancelled{Code: r.code()}
	if c.Code != Unknown {
		c.Status, c.Reason, c.Actor, c.Sequence = Status(r.str(1)), r.str(2), r.str(3), laxUint(r.str(4))
	}
	return c, r.err
}
