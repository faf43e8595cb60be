package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/events"
)

// Keys of the bucket: the definition, which holds the script, and apart from it
// how far it has come, which is written at each firing.
const (
	defKey = "def."
	runKey = "run."
)

// callTimeout bounds one call of the bus: its server is in this process or near.
const callTimeout = 5 * time.Second

// errConflict says that somebody else wrote first; what they wrote is read by then.
var errConflict = errors.New("somebody else changed the schedule at the same moment")

// entry is one schedule as the bucket has it, with the revisions that our writes
// must name. A revision of 0 means that there is none.
type entry struct {
	def          Definition
	defAt, runAt uint64
	run          Progress
	times        Timetable
	fault        string // why it can not fire: another version wrote it
}

// plan is the entry as Due wants it. Progress under another definition says nothing
// about this one.
func (e *entry) plan() Plan {
	p := Plan{Name: e.def.Name, Times: e.times, Missed: e.def.Missed, Paused: e.def.Paused, Decided: e.def.Since}
	if e.run.Since.Equal(e.def.Since) {
		p.Decided = e.run.Decided
	}
	return p
}

func (e *entry) view() View {
	v := View{
		Name: e.def.Name, Cron: e.def.Cron, Timezone: e.def.Timezone, Type: e.def.Type, Missed: e.def.Missed, Source: e.def.Source,
		Paused: e.def.Paused, LastDue: e.run.LastDue, LastJob: e.run.LastJob, Fired: e.run.Fired, MissedCount: e.run.Missed, Fault: e.fault,
	}
	if !e.def.Paused && e.fault == "" {
		v.Next = e.times.Next(e.plan().Decided)
	}
	return v
}

// book is the bucket and our copy of it. Writes name the revision they are based
// on, so of two daemons one is first and the other reads again.
type book struct {
	kv      jetstream.KeyValue
	watch   jetstream.KeyWatcher
	log     *slog.Logger
	entries map[string]*entry
	removed map[string]uint64 // by us: the revision up to which the watch has yet to say what was before that
}

// openBook reads the whole bucket and goes on watching it.
func openBook(ctx context.Context, js jetstream.JetStream, log *slog.Logger) (*book, error) {
	b := &book{log: log, entries: map[string]*entry{}, removed: map[string]uint64{}}
	err := limited(ctx, func(ctx context.Context) (err error) {
		b.kv, err = js.KeyValue(ctx, events.SchedulesBucket)
		if err == nil {
			err = b.kv.PurgeDeletes(ctx) // the markers of those removed long ago
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", events.SchedulesBucket, err)
	}
	if b.watch, err = b.kv.WatchAll(ctx); err != nil {
		return nil, fmt.Errorf("watch bucket %s: %w", events.SchedulesBucket, err)
	}
	full := time.NewTimer(callTimeout)
	defer full.Stop()
	for {
		select {
		case u, open := <-b.watch.Updates():
			if !open {
				return nil, fmt.Errorf("read bucket %s: the watch has ended", events.SchedulesBucket)
			}
			if u == nil {
				return b, nil // that was all there is
			}
			b.fold(u)
		case <-full.C:
			_ = b.watch.Stop()
			return nil, fmt.Errorf("read bucket %s: not done in %s", events.SchedulesBucket, callTimeout)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// fold takes one change in. What we wrote ourselves is known already.
func (b *book) fold(u jetstream.KeyValueEntry) {
	name, isDef := strings.CutPrefix(u.Key(), defKey)
	if !isDef {
		name, _ = strings.CutPrefix(u.Key(), runKey)
	}
	if before, ok := b.removed[name]; ok {
		if u.Revision() <= before {
			return
		}
		delete(b.removed, name)
	}
	e := b.entries[name]
	gone := u.Operation() != jetstream.KeyValuePut
	if e == nil {
		if gone {
			return
		}
		e = &entry{}
		b.entries[name] = e
	}
	at := &e.runAt
	if isDef {
		at = &e.defAt
	}
	if u.Revision() <= *at {
		return
	}
	*at = u.Revision()
	switch {
	case gone:
		*at = 0
		if isDef {
			e.def = Definition{}
		} else {
			e.run = Progress{}
		}
		if e.defAt == 0 && e.runAt == 0 {
			delete(b.entries, name)
		}
	case isDef:
		var d Definition
		err := json.Unmarshal(u.Value(), &d)
		d.Name = name // also of one that can not be read: it can be removed
		if err == nil {
			err = d.Check()
		}
		b.define(e, d, err)
	default:
		e.run = Progress{}
		if err := json.Unmarshal(u.Value(), &e.run); err != nil {
			b.log.Warn("read schedule's progress", "schedule", name, "err", err)
		}
	}
}

func (b *book) define(e *entry, d Definition, err error) {
	e.def, e.fault = d, ""
	if err == nil {
		e.times, err = d.times()
	}
	if err != nil {
		e.fault = err.Error()
		b.log.Warn("a kept schedule can not be used", "schedule", d.Name, "err", err)
	}
}

// find returns a schedule that exists.
func (b *book) find(name string) *entry {
	if e := b.entries[name]; e != nil && e.defAt > 0 {
		return e
	}
	return nil
}

// names are those of all schedules, sorted.
func (b *book) names() []string {
	var all []string
	for name, e := range b.entries {
		if e.defAt > 0 {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// plans are those that can fire.
func (b *book) plans() []Plan {
	var all []Plan
	for _, name := range b.names() {
		if e := b.entries[name]; e.fault == "" {
			all = append(all, e.plan())
		}
	}
	return all
}

// putDef keeps a checked definition.
func (b *book) putDef(ctx context.Context, d Definition) error {
	e := b.entries[d.Name]
	if e == nil {
		e = &entry{}
	}
	at, err := b.put(ctx, defKey+d.Name, d, e.defAt)
	if err != nil {
		return err
	}
	e.defAt = at
	b.define(e, d, nil)
	b.entries[d.Name] = e
	return nil
}

func (b *book) putRun(ctx context.Context, e *entry, p Progress) error {
	at, err := b.put(ctx, runKey+e.def.Name, p, e.runAt)
	if err != nil {
		return err
	}
	e.runAt, e.run = at, p
	return nil
}

func (b *book) put(ctx context.Context, key string, v any, at uint64) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	err = limited(ctx, func(ctx context.Context) (err error) {
		if at == 0 {
			at, err = b.kv.Create(ctx, key, data)
		} else {
			at, err = b.kv.Update(ctx, key, data, at)
		}
		return err
	})
	return at, b.written(ctx, key, err)
}

// remove forgets a schedule: the definition first, which is what makes it fire.
func (b *book) remove(ctx context.Context, e *entry) error {
	name := e.def.Name
	err := limited(ctx, func(ctx context.Context) error {
		return b.kv.Delete(ctx, defKey+name, jetstream.LastRevision(e.defAt))
	})
	if err := b.written(ctx, defKey+name, err); err != nil {
		return err
	}
	delete(b.entries, name)
	b.removed[name] = max(e.defAt, e.runAt)
	// What is left of it does not count for another definition of the name.
	err = limited(ctx, func(ctx context.Context) error { return b.kv.Delete(ctx, runKey+name) })
	if err != nil {
		b.log.Warn("forget schedule's progress", "schedule", name, "err", err)
	}
	return nil
}

// written turns a write that came second into errConflict, after reading what came
// first.
func (b *book) written(ctx context.Context, key string, err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyExists),
		errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
	default:
		return fmt.Errorf("write %s: %w", key, err)
	}
	var now jetstream.KeyValueEntry
	err = limited(ctx, func(ctx context.Context) (err error) {
		now, err = b.kv.Get(ctx, key)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound): // removed; the watch tells
	case err != nil:
		return fmt.Errorf("read %s: %w", key, err)
	default:
		b.fold(now)
	}
	return errConflict
}

func limited(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}
