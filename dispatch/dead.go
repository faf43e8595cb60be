package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

// The list of the dead outlives Redis: the bucket events.DeadBucket has the full
// record of each, written before the log's message of the job goes, so that at each
// moment one of the two can bring the job back. One loop owns the index of it.
const (
	// deadBytes bounds the bucket beside number and age: a record may be megabytes.
	deadBytes = 512 << 20
	// deadText bounds output and error of a kept record; the script is kept whole.
	deadText = 128 << 10
	// deadEvery is the pace of dropping those that are too old.
	deadEvery = time.Minute
)

// deadRecord is the value in the bucket, as JSON.
type deadRecord struct {
	V      int               `json:"v"`
	ID     string            `json:"id"`
	Type   string            `json:"type"`
	Reason string            `json:"reason"`
	Cause  string            `json:"cause,omitempty"`
	At     time.Time         `json:"at"`
	Fields map[string]string `json:"fields"` // of the record in Redis
}

// deadEntry is one line of the index.
type deadEntry struct {
	id, jobType, reason string
	at                  time.Time
	size                int
	revision            uint64  // in the bucket
	view                JobView // as lists show it
}

// What the dead loop is told.
type (
	deadSaved deadEntry // it is in the bucket now
	deadGone  string    // take it out: revived, or removed
)

// buried is the index, published for readers: newest first. Never nil while running.
func (c *Component) buried() []deadEntry { return *c.deadIndex.Load() }

// deadOf makes what is kept of a dead job. Long texts are cut, as nobody needs them to retry it.
func deadOf(id string, fields map[string]string) deadRecord {
	rec := store.RecordOf(id, fields)
	kept := make(map[string]string, len(fields))
	for name, value := range fields {
		if (name == "output" || name == "error") && len(value) > deadText {
			value = strings.ToValidUTF8(value[:deadText], "") + fmt.Sprintf("\n... %d bytes cut ...", len(value)-deadText)
		}
		kept[name] = value
	}
	return deadRecord{V: 1, ID: id, Type: rec.Type, Reason: rec.Reason, Cause: rec.Cause, At: rec.DeadAt, Fields: kept}
}

func (d deadRecord) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // scripts are full of < and &
	err := e.Encode(d)
	return b.Bytes(), err
}

func (d deadRecord) entry(size int, revision uint64) deadEntry {
	v := viewOf(store.RecordOf(d.ID, d.Fields), d.At)
	v.Script, v.Output, v.Error, v.Env, v.History = "", "", "", nil, nil
	return deadEntry{view: v, id: d.ID, jobType: d.Type, reason: d.Reason, at: d.At, size: size, revision: revision}
}

// saveDead puts a dead job into the bucket, unless it is dead no more.
func (c *Component) saveDead(ctx context.Context, id string) error {
	var fields map[string]string
	if err := limited(ctx, func(ctx context.Context) (err error) {
		fields, err = c.store.Fields(ctx, id)
		return err
	}); err != nil {
		return err
	}
	d := deadOf(id, fields)
	if d.At.IsZero() || d.Fields["script"] == "" { // revived or removed meanwhile; or nothing that could be run again
		return nil
	}
	value, err := d.encode()
	if err != nil {
		return err
	}
	var revision uint64
	if err := limited(ctx, func(ctx context.Context) (err error) {
		revision, err = c.deadKV.Put(ctx, id, value)
		return err
	}); err != nil {
		if errors.Is(err, nats.ErrMaxPayload) { // a script of control characters, each six bytes long in JSON
			c.log.Warn("dead job is too long to be kept beside Redis", "job", id)
			return nil
		}
		return &logError{"keep dead job " + id, err}
	}
	c.toDead(deadSaved(d.entry(len(value), revision)))
	return nil
}

// deadJob reads one from the bucket: store.ErrNoJob if it is not there.
func (c *Component) deadJob(ctx context.Context, id string) (d deadRecord, err error) {
	err = limited(ctx, func(ctx context.Context) error {
		e, err := c.deadKV.Get(ctx, id)
		if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
			return store.ErrNoJob
		}
		if err != nil {
			return &logError{"read dead job " + id, err}
		}
		return json.Unmarshal(e.Value(), &d)
	})
	return d, err
}

func (c *Component) toDead(v any) {
	select {
	case c.dead <- v:
	case <-c.stopping:
	}
}

// openDead opens the bucket, once.
func (c *Component) openDead(ctx context.Context) error {
	err := limited(ctx, func(ctx context.Context) (err error) {
		c.deadKV, err = c.js.KeyValue(ctx, events.DeadBucket)
		return err
	})
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", events.DeadBucket, err)
	}
	return nil
}

// burial is the index of the bucket and its bounds.
type burial struct {
	c     *Component
	r     *reporter
	byID  map[string]deadEntry
	bytes int
	drops []deadEntry // to be taken out of the bucket
}

func (c *Component) runDead(ctx context.Context) error {
	b := &burial{c: c, r: c.reporter("dead"), byID: map[string]deadEntry{}}
	if err := b.load(ctx); err != nil {
		c.log.Warn("read the dead jobs", "err", err) // what is written from now on is known
	}
	b.publish()
	tick := time.NewTicker(deadEvery)
	defer tick.Stop()
	retry := pace{}
	var again <-chan time.Time
	for {
		select {
		case v := <-c.dead:
			b.take(v)
			for more := true; more; { // one snapshot for what came together
				select {
				case v := <-c.dead:
					b.take(v)
				default:
					more = false
				}
			}
		case <-tick.C:
		case <-again:
		case <-ctx.Done():
			return nil
		}
		b.bound(time.Now())
		b.publish()
		again = nil
		if !b.purge(ctx) {
			again = time.After(retry.next())
		} else {
			retry.reset()
		}
	}
}

func (b *burial) take(v any) {
	switch v := v.(type) {
	case deadSaved:
		b.put(deadEntry(v))
	case deadGone:
		b.forget(string(v))
	}
}

func (b *burial) put(e deadEntry) {
	b.bytes += e.size - b.byID[e.id].size
	b.byID[e.id] = e
}

func (b *burial) forget(id string) {
	if e, known := b.byID[id]; known {
		b.bytes -= e.size
		delete(b.byID, id)
		b.drops = append(b.drops, e)
	}
}

// bound drops the oldest above the bounds.
func (b *burial) bound(now time.Time) {
	over := func() bool { return len(b.byID) > b.c.cfg.DeadMost || b.bytes > deadBytes }
	old := now.Add(-b.c.cfg.DeadAge)
	all := b.sorted()
	for i := len(all) - 1; i >= 0 && (over() || all[i].at.Before(old)); i-- {
		b.forget(all[i].id)
	}
}

// sorted is the index, newest first.
func (b *burial) sorted() []deadEntry {
	all := make([]deadEntry, 0, len(b.byID))
	for _, e := range b.byID {
		all = append(all, e)
	}
	slices.SortFunc(all, func(x, y deadEntry) int {
		return cmp.Or(y.at.Compare(x.at), strings.Compare(x.id, y.id))
	})
	return all
}

func (b *burial) publish() {
	all := b.sorted()
	b.c.deadIndex.Store(&all)
}

// purge takes the dropped out of the bucket, without the markers that a delete leaves; and only what was
// dropped: the job may have died again meanwhile.
func (b *burial) purge(ctx context.Context) bool {
	for len(b.drops) > 0 {
		d := b.drops[0]
		err := limited(ctx, func(ctx context.Context) error {
			s, err := b.c.js.Stream(ctx, "KV_"+events.DeadBucket)
			if err == nil {
				err = s.Purge(ctx, jetstream.WithPurgeSubject("$KV."+events.DeadBucket+"."+d.id), jetstream.WithPurgeSequence(d.revision+1))
			}
			return err
		})
		if err != nil {
			if ctx.Err() == nil {
				b.c.log.Warn("the log does not answer", "err", err)
			}
			return false
		}
		b.drops = b.drops[1:]
	}
	return true
}

// load reads what lies in the bucket.
func (b *burial) load(ctx context.Context) error {
	return b.c.eachDead(ctx, 0, func(d deadRecord, size int, revision uint64) error {
		b.put(d.entry(size, revision))
		return nil
	})
}

// eachDead calls do for each job in the bucket of the dead, from a revision on and in their order, until that fails.
func (c *Component) eachDead(ctx context.Context, from uint64, do func(d deadRecord, size int, revision uint64) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(callTimeout, func() { cancel(fmt.Errorf("nothing came for %s", callTimeout)) })
	defer silence.Stop()
	w, err := c.deadKV.WatchAll(ctx, jetstream.IgnoreDeletes(), jetstream.ResumeFromRevision(from))
	if err != nil {
		return &logError{"read the dead jobs", cmp.Or(context.Cause(ctx), err)}
	}
	defer func() {
		_ = w.Stop()
		for range w.Updates() { // or its goroutine waits for a reader for ever
		}
	}()
	return eachEntry(ctx, w.Updates(), silence, func(e jetstream.KeyValueEntry) error {
		var d deadRecord
		if err := json.Unmarshal(e.Value(), &d); err != nil || d.ID != e.Key() {
			c.log.Warn("dead job that can not be read", "job", e.Key(), "err", err)
			return nil
		}
		return do(d, len(e.Value()), e.Revision())
	})
}

// eachEntry reads to the mark (nil) that all was read. What bounds it is the silence between two entries: how many there are,
// and how long do takes with each, is no fault of the reader.
func eachEntry(ctx context.Context, updates <-chan jetstream.KeyValueEntry, silence *time.Timer, do func(jetstream.KeyValueEntry) error) error {
	for {
		select {
		case e, ok := <-updates:
			if !ok {
				return &logError{"read the dead jobs", cmp.Or(context.Cause(ctx), errReader)}
			}
			if e == nil {
				return nil
			}
			silence.Stop()
			if err := do(e); err != nil {
				return err
			}
			silence.Reset(callTimeout)
		case <-ctx.Done():
			return &logError{"read the dead jobs", context.Cause(ctx)}
		}
	}
}

// restoreDead brings the records of the dead back into a Redis that lost its data, before the log is read: others may wait
// for them. One that the log revives since is revived then. A repeat goes on behind the last that is back.
func (c *Component) restoreDead(ctx context.Context, r *reporter) error {
	for from := uint64(0); ; {
		err := c.eachDead(ctx, from, func(d deadRecord, _ int, revision uint64) error {
			err := limited(ctx, func(ctx context.Context) error {
				_, err := c.d().Restore(ctx, d.ID, d.Fields, d.At)
				return err
			})
			if refused := (*store.RefusedError)(nil); errors.As(err, &refused) && refused.Kind == wrongType {
				c.log.Warn("restore dead job", "job", d.ID, "err", err) // another program has a key of ours
				err = nil
			}
			if err == nil {
				from = revision + 1
			}
			return err
		})
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
