package dispatch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
)

// restoreDead brings the records of the dead back into a Redis that lost its data, before the log is read: others may wait
// for them. One that a message of the log revives is back as one that waits for that message: nobody is told that it is dead, and what holds
// for it holds. One whose end since is known is not back: its message is deleted when it is read. A repeat goes on behind the last that is back.
func (c *Component) restoreDead(ctx context.Context, r *reporter) error {
	var again map[string]uint64
	for {
		var err error
		if again, err = c.revived(ctx); r.told(ctx, err) {
			break
		}
		if !r.pause(ctx) {
			return context.Cause(ctx)
		}
	}
	for from := uint64(0); ; {
		back := &restoring{c: c}
		err := c.eachDead(ctx, from, func(d deadRecord, size int, revision uint64) error {
			if err := c.step("restore"); err != nil {
				return err
			}
			by := again[d.ID]
			if by <= d.sequence() {
				by = 0 // it died by that one
			}
			if !c.endings.has(cmp.Or(by, d.sequence())) {
				back.add(store.Restoration{Type: d.Type, ID: d.ID, Fields: d.Fields, At: d.At, Again: by}, size)
			}
			if len(back.jobs) < store.MaxRestore && back.size < maxRestoreBytes {
				return nil
			}
			if err := back.send(ctx); err != nil {
				return err
			}
			from = revision + 1
			return nil
		})
		if err == nil {
			err = back.send(ctx)
		}
		switch {
		case errors.Is(err, store.ErrNoEpoch): // lost again: that refill restores them
			return nil
		case r.told(ctx, err):
			return nil
		case !r.pause(ctx):
			return context.Cause(ctx)
		}
	}
}

// maxRestoreBytes bounds what is sent to Redis at once: a record may be more than a megabyte.
const maxRestoreBytes = 4 << 20

// restoring are dead jobs that go to Redis together.
type restoring struct {
	c    *Component
	jobs []store.Restoration
	size int
}

func (b *restoring) add(j store.Restoration, size int) {
	b.jobs, b.size = append(b.jobs, j), b.size+size
}

// send restores what there is.
func (b *restoring) send(ctx context.Context) error {
	if len(b.jobs) == 0 {
		return nil
	}
	var out []store.RestoreOutcome
	if err := limited(ctx, func(ctx context.Context) (err error) {
		out, err = b.c.d().RestoreAll(ctx, b.jobs)
		return err
	}); err != nil {
		return err
	}
	for i, o := range out {
		if refused := (*store.RefusedError)(nil); errors.As(o.Err, &refused) && refused.Kind == wrongType {
			b.c.log.Warn("restore dead job", "job", b.jobs[i].ID, "err", o.Err) // another program has a key of ours
		} else if o.Err != nil {
			return o.Err
		}
	}
	b.jobs, b.size = b.jobs[:0], 0
	return nil
}

// revived finds which jobs in the bucket of the dead the log revives, each with the newest message that does. Anybody can write the header;
// what counts is the proof, which is of the whole message.
func (c *Component) revived(ctx context.Context) (map[string]uint64, error) {
	dead, err := c.deadKeys(ctx)
	if err != nil || len(dead) == 0 {
		return nil, err
	}
	var last uint64
	if err := limited(ctx, func(ctx context.Context) (err error) {
		last, err = c.lastLogged(ctx)
		return err
	}); err != nil || last == 0 {
		return nil, err
	}
	said := map[string][]uint64{}
	if err := c.eachLogged(ctx, 1, last, func(seq uint64, m jetstream.Msg) {
		if id := m.Headers()[HeaderJobID]; len(id) == 1 && len(m.Headers()[HeaderAgain]) == 1 {
			if _, is := dead[id[0]]; is {
				said[id[0]] = append(said[id[0]], seq)
			}
		}
	}); err != nil {
		return nil, err
	}
	found := map[string]uint64{}
	for id, seqs := range said {
		for _, seq := range slices.Backward(seqs) {
			ok, err := c.revives(ctx, seq)
			if err != nil {
				return nil, err
			}
			if ok {
				found[id] = seq
				break
			}
		}
	}
	return found, nil
}

// revives reports whether a message, if the log has it still, revives its job.
func (c *Component) revives(ctx context.Context, seq uint64) (ok bool, err error) {
	err = limited(ctx, func(ctx context.Context) error {
		m, err := c.stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return &logError{"read the log", err}
		}
		_, ok = isAgain(c.againSecret, m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], m.Header, m.Data)
		return nil
	})
	return ok, err
}
