package dispatch

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"herosup/events"
)

// burial is the index of the bucket and its bounds. What a change costs must not grow with what lies there: of a hundred thousand, each may be retried.
type burial struct {
	c     *Component
	r     *reporter
	byID  map[string]*deadEntry // never changed, as readers have them
	list  *deadList             // of those that do not live again
	bytes int                   // what they have together
	drops []*deadEntry          // to be taken out of the bucket
	asked []chan<- error        // who waits for that
}

func newBurial(c *Component) *burial {
	return &burial{c: c, r: c.reporter("dead"), byID: map[string]*deadEntry{}, list: &deadList{}}
}

func (c *Component) runDead(ctx context.Context) error {
	b := newBurial(c)
	for !b.r.told(ctx, b.load(ctx)) { // until then nothing is taken out, and so no end is settled
		if !b.r.pause(ctx) {
			return nil
		}
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
			for more := true; more; {
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
		again = nil
		var failed error
		if !b.purge(ctx) {
			failed, again = &logError{"purge the dead", errPurge}, time.After(retry.next())
		} else {
			retry.reset()
		}
		for _, done := range b.asked {
			done <- failed
		}
		b.asked = nil
	}
}

func (b *burial) take(v any) {
	switch v := v.(type) {
	case deadSaved:
		b.put(deadEntry(v))
	case deadLives:
		if e, known := b.byID[v.id]; known && e.sequence < v.before {
			b.lives(*e)
		}
	case deadOver:
		for _, j := range v.jobs {
			if e, known := b.byID[j.id]; known && e.sequence < j.before { // or it has died again since
				b.forget(e)
			}
		}
		if v.done != nil {
			b.asked = append(b.asked, v.done)
		}
	}
}

func (b *burial) put(e deadEntry) {
	was := b.listed(e.id)
	b.byID[e.id] = &e
	b.list.swap(was, b.listed(e.id))
	b.bytes += e.weight() - was.weight()
}

// listed is the entry of a job that is in the list; nil: it has none there.
func (b *burial) listed(id string) *deadEntry {
	if e := b.byID[id]; e != nil && !e.lives {
		return e
	}
	return nil
}

// weight is what one adds to the bytes of the list.
func (d *deadEntry) weight() int {
	if d == nil || d.lives {
		return 0
	}
	return d.size
}

func (b *burial) lives(e deadEntry) {
	e.lives = true
	b.put(e)
}

func (b *burial) forget(e *deadEntry) {
	b.list.swap(b.listed(e.id), nil)
	b.bytes -= e.weight()
	delete(b.byID, e.id)
	b.drops = append(b.drops, e)
}

// bound drops the oldest above the bounds. What lives again is bounded by the log, and stays until its end.
func (b *burial) bound(now time.Time) {
	old := now.Add(-b.c.cfg.DeadAge)
	for {
		last, n := b.list.last()
		if n == 0 || n <= b.c.cfg.DeadMost && b.bytes <= deadBytes && !last.at.Before(old) {
			return
		}
		b.forget(last)
	}
}

func newerFirst(x, y *deadEntry) int {
	return cmp.Or(y.at.Compare(x.at), strings.Compare(x.id, y.id))
}

// publish shows the list to readers, from then on.
func (b *burial) publish() { b.c.deadIndex.Store(b.list) }

// purge takes the dropped out of the bucket, without the markers that a delete leaves; and only what was
// dropped: the job may have died again meanwhile.
func (b *burial) purge(ctx context.Context) bool {
	for len(b.drops) > 0 {
		some := b.drops[:min(len(b.drops), purgesAtOnce)]
		var g errgroup.Group
		for _, d := range some {
			g.Go(func() error {
				return limited(ctx, func(ctx context.Context) error {
					return b.c.deadStream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+events.DeadBucket+"."+d.id), jetstream.WithPurgeSequence(d.revision+1))
				})
			})
		}
		if err := g.Wait(); err != nil { // all again: what is gone does no harm
			if ctx.Err() == nil {
				b.c.log.Warn("the log does not answer", "err", err)
			}
			return false
		}
		b.drops = b.drops[len(some):]
	}
	return true
}

// load reads what lies in the bucket, and from Redis which of it lives again, or has ended otherwise since.
func (b *burial) load(ctx context.Context) error {
	b.byID, b.drops = map[string]*deadEntry{}, nil
	if err := b.c.eachDead(ctx, 0, func(d deadRecord, size int, revision uint64) error {
		e := d.entry(size, revision)
		b.byID[d.ID] = &e
		return nil
	}); err != nil {
		return err
	}
	order := slices.SortedFunc(maps.Values(b.byID), newerFirst)
	b.bytes = 0
	for _, e := range order {
		b.bytes += e.size
	}
	b.list = &deadList{order: order}
	for ids := range slices.Chunk(slices.Collect(maps.Keys(b.byID)), listStep) {
		if err := limited(ctx, func(ctx context.Context) error {
			recs, err := b.c.store.Records(ctx, ids, false)
			for _, r := range recs {
				e := b.byID[r.ID]
				switch later := r.Sequence > e.sequence; {
				case !r.Status.Ended() || later && !r.DeadAt.IsZero(): // the next end is on its way here
					b.lives(*e)
				case later:
					b.forget(e)
				}
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// deadList is the order of the dead. The loop alone changes it; a reader's copy is made when one asks, as a copy for each change
// would cost what lies there.
type deadList struct {
	mu    sync.Mutex
	order []*deadEntry // newest first
	copy  []*deadEntry // nil: it has changed since
}

func (l *deadList) all() []*deadEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.copy == nil {
		l.copy = slices.Clone(l.order)
	}
	return l.copy
}

// last is the oldest, and their number.
func (l *deadList) last() (*deadEntry, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.order)
	if n == 0 {
		return nil, 0
	}
	return l.order[n-1], n
}

// swap takes one out and puts another in; either may be nil. A job that dies again is at no moment in neither place.
func (l *deadList) swap(out, in *deadEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if out != nil {
		if at, there := slices.BinarySearchFunc(l.order, out, newerFirst); there {
			l.order = slices.Delete(l.order, at, at+1)
		}
	}
	if in != nil {
		at, _ := slices.BinarySearchFunc(l.order, in, newerFirst)
		l.order = slices.Insert(l.order, at, in)
	}
	l.copy = nil
}
