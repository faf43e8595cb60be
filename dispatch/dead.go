package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"herosup/dispatch/store"
	"herosup/events"
)

// The list of the dead outlives Redis: the bucket events.DeadBucket has the full
// record of each, written before the log's message of the job goes, so that at each
// moment one of the two can bring the job back. One that is retried stays in it, hidden,
// until it has ended once more: what holds for it finds it there when Redis is filled again,
// and the message that revives it. One loop owns the index of the bucket.
const (
	// deadBytes bounds the bucket beside number and age: a record may be megabytes.
	deadBytes = 512 << 20
	// deadText bounds output and error of a kept record; the script is kept whole.
	deadText = 128 << 10
	// deadEvery is the pace of dropping those that are too old.
	deadEvery = time.Minute
	// purgesAtOnce are under way side by side: each is a round trip, and the server lets nobody delete in a bucket but so.
	purgesAtOnce = 32
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
	sequence            uint64  // of the message that it died by
	lives               bool    // a later message revived it, and it has not ended since
	revision            uint64  // in the bucket
	view                JobView // as lists show it
}

// What the dead loop is told.
type (
	deadSaved deadEntry // it is in the bucket now
	deadLives deadBy    // it lives again
	// deadOver: take them out. done is told when they are; nil: nobody waits for that.
	deadOver struct {
		jobs []deadBy
		done chan<- error
	}
)

// deadBy is a job and a bound of its messages: its end is meant if that came by an earlier one.
type deadBy struct {
	id     string
	before uint64
}

// errPurge says that the log did not let go of dead jobs.
var errPurge = errors.New("dead jobs are in their bucket still")

// buried is the index for readers: newest first, without those that live again.
func (c *Component) buried() []*deadEntry { return c.deadIndex.Load().all() }

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
	return deadEntry{view: v, id: d.ID, jobType: d.Type, reason: d.Reason, at: d.At, size: size, sequence: d.sequence(), revision: revision}
}

// sequence is that of the message that it died by; 0: it was in no log.
func (d deadRecord) sequence() uint64 { return store.RecordOf(d.ID, d.Fields).Sequence }

// saveDead puts a dead job into the bucket, unless it is dead no more. epoch is of the Redis that said so: one that was emptied since
// says that it is not.
func (c *Component) saveDead(ctx context.Context, id string, epoch uint64) error {
	if events.CheckToken("job id", id) != nil { // others pushed it, and it is no key of the bucket
		c.log.Warn("dead job is not kept beside Redis", "job", id, "reason", "its id is no token")
		return nil
	}
	var fields map[string]string
	if err := limited(ctx, func(ctx context.Context) (err error) {
		fields, err = c.store.Fields(ctx, id)
		return err
	}); err != nil {
		return err
	}
	d := deadOf(id, fields)
	if d.At.IsZero() { // revived or removed meanwhile
		return c.carries(ctx, epoch)
	}
	if d.Fields["script"] == "" { // nothing that could be run again
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
	return c.revivedMeanwhile(ctx, d)
}

// revivedMeanwhile hides a job again that was revived before the index had it: that it lives was said too early.
func (c *Component) revivedMeanwhile(ctx context.Context, d deadRecord) error {
	return limited(ctx, func(ctx context.Context) error {
		rec, err := c.store.Job(ctx, d.ID)
		switch later := rec.Sequence > d.sequence(); {
		case errors.Is(err, store.ErrNoJob):
			return nil
		case err != nil:
			return err
		case later && rec.Status.Ended() && rec.DeadAt.IsZero():
			c.toDead(deadOver{jobs: []deadBy{{d.ID, rec.Sequence}}})
		case later:
			c.toDead(deadLives{d.ID, rec.Sequence})
		}
		return nil
	})
}

// carries says ErrNoEpoch if Redis carries another epoch than it did.
func (c *Component) carries(ctx context.Context, epoch uint64) error {
	return limited(ctx, func(ctx context.Context) error {
		now, err := c.store.Epoch(ctx)
		if err == nil && now != epoch {
			err = store.ErrNoEpoch
		}
		return err
	})
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

// unbury takes jobs out of the bucket: before the message of their end leaves the log, or they would be dead in a Redis that is filled
// from both.
func (c *Component) unbury(ctx context.Context, jobs []deadBy) error {
	if len(jobs) == 0 {
		return nil
	}
	done := make(chan error, 1)
	c.toDead(deadOver{jobs, done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// openDead opens the bucket, once.
func (c *Component) openDead(ctx context.Context) error {
	err := limited(ctx, func(ctx context.Context) (err error) {
		if c.deadKV, err = c.js.KeyValue(ctx, events.DeadBucket); err == nil {
			c.deadStream, err = c.js.Stream(ctx, "KV_"+events.DeadBucket)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", events.DeadBucket, err)
	}
	return nil
}

// eachDead calls do for each job in the bucket of the dead, from a revision on and in their order, until that fails.
func (c *Component) eachDead(ctx context.Context, from uint64, do func(d deadRecord, size int, revision uint64) error) error {
	return c.readDead(ctx, jetstream.ResumeFromRevision(from), func(e jetstream.KeyValueEntry) error {
		var d deadRecord
		if err := json.Unmarshal(e.Value(), &d); err != nil || d.ID != e.Key() {
			c.log.Warn("dead job that can not be read", "job", e.Key(), "err", err)
			return nil
		}
		return do(d, len(e.Value()), e.Revision())
	})
}

// deadKeys are the ids in the bucket of the dead, with the times at which they came there.
func (c *Component) deadKeys(ctx context.Context) (map[string]time.Time, error) {
	ids := map[string]time.Time{}
	return ids, c.readDead(ctx, jetstream.MetaOnly(), func(e jetstream.KeyValueEntry) error {
		ids[e.Key()] = e.Created()
		return nil
	})
}

// readDead calls do for each entry of the bucket of the dead, until that fails.
func (c *Component) readDead(ctx context.Context, how jetstream.WatchOpt, do func(jetstream.KeyValueEntry) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(callTimeout, func() { cancel(fmt.Errorf("nothing came for %s", callTimeout)) })
	defer silence.Stop()
	w, err := c.deadKV.WatchAll(ctx, jetstream.IgnoreDeletes(), how)
	if err != nil {
		return &logError{"read the dead jobs", cmp.Or(context.Cause(ctx), err)}
	}
	defer func() {
		_ = w.Stop()
		for range w.Updates() { // or its goroutine waits for a reader for ever
		}
	}()
	return eachEntry(ctx, w.Updates(), silence, do)
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
