package dispatch

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"herosup/dispatch/store"
	"herosup/events"
)

// Jobs that are removed together fare as each would alone: what is wrong with one keeps none of the others.
func TestRemovedTogether(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var armed atomic.Bool
		c := b.up(func(c *Component) {
			c.after = func(step string) error {
				if step == "remove" && armed.CompareAndSwap(true, false) { // looked at, and not deleted yet
					b.rdb.HSet(b.soon(), "hero:job:revived", "sequence", "1000", "status", "dispatched")
				}
				return nil
			}
		})
		gone := b.failing()
		for _, id := range []string{"one", "two", "awaited", "revived"} {
			b.submit("x", Options{ID: id, Retries: new(1)})
		}
		b.eventually("all are in the bucket", func() bool { return len(c.buried()) == 4 && b.logged() == 0 })
		gone()
		held := b.submit("x", Options{ID: "held", Prerequisites: []Prerequisite{{ID: "awaited", Rule: store.RuleHold}}})
		expect(b, func(e events.JobWaiting) bool { return e.Job == held })
		armed.Store(true)
		got := map[string]string{}
		for id, err := range c.removeAll(b.soon(), []string{"one", "unknown", "awaited", "two", "one", "revived", "held"}) {
			refusal := &events.Refusal{}
			switch {
			case err == nil:
				got[id] = "removed"
			case errors.Is(err, store.ErrNoJob):
				got[id] = "unknown"
			case errors.As(err, &refusal):
				got[id] = refusal.Code
			default:
				got[id] = err.Error()
			}
		}
		want := map[string]string{
			"one": "removed", "two": "removed", "unknown": "unknown", "awaited": "waited_for", "revived": "revived", "held": "not_ended",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		b.eventually("what is left is listed", func() bool { return len(c.buried()) == 2 })
		for _, id := range []string{"awaited", "revived"} {
			if _, err := c.deadJob(b.soon(), id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		for _, id := range []string{"one", "two"} {
			b.eventually("it is out of the bucket", func() bool { _, err := c.deadJob(b.soon(), id); return errors.Is(err, store.ErrNoJob) })
			if _, err := b.store.Job(b.soon(), id); !errors.Is(err, store.ErrNoJob) {
				t.Errorf("record of %s: %v", id, err)
			}
		}
		if n := b.logged(); n != 1 {
			t.Errorf("%d messages are left", n)
		}
	})
}

// A job that died again when its earlier end was dropped stays, among more drops than are purged side by side.
func TestAPurgeTakesTheEndsThatWereDropped(t *testing.T) {
	b := newBed(t, miniRedis(t))
	c := b.fresh()
	c.js = b.js
	if err := c.openDead(b.soon()); err != nil {
		t.Fatal(err)
	}
	put := func(id string) uint64 {
		revision, err := c.deadKV.Put(b.soon(), id, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		return revision
	}
	dead := newBurial(c)
	for i := range 2*purgesAtOnce + 1 {
		id := "j" + numeral(i)
		dead.drops = append(dead.drops, &deadEntry{id: id, revision: put(id)})
	}
	again := put("j1")
	if !dead.purge(b.soon()) || len(dead.drops) != 0 {
		t.Fatalf("%d are left", len(dead.drops))
	}
	left, err := c.deadKeys(b.soon())
	if err != nil || len(left) != 1 {
		t.Errorf("in the bucket: %v %v", left, err)
	}
	if e, err := c.deadKV.Get(b.soon(), "j1"); err != nil || e.Revision() != again {
		t.Errorf("its last end: %v %v", e, err)
	}
}

// An id that died without a record is listed among the dead, and so it can be taken from there.
func TestTheDeadWithoutARecordAreRemoved(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.actor("bash_1", nil)
		ghosts := []string{"ghost", "other", "third"}
		for _, id := range ghosts {
			if err := b.rdb.LPush(b.soon(), "hero:q:work:type:bash", id).Err(); err != nil {
				t.Fatal(err)
			}
			expect(b, func(e events.JobDead) bool { return e.Job == id && e.Reason == store.ReasonNoRecord })
		}
		listed := func() int {
			var p JobPage
			if r := b.request(events.JobList{State: StateDead}, &p); r != nil {
				t.Fatal(r)
			}
			return len(p.Jobs)
		}
		if n := listed(); n != len(ghosts) {
			t.Errorf("%d are listed", n)
		}
		if r := b.request(events.JobRemove{Job: "ghost"}, nil); r != nil {
			t.Errorf("remove: %+v", r)
		}
		if r := b.request(events.JobRemove{Job: "ghost"}, nil); r == nil || r.Code != "unknown_job" {
			t.Errorf("removed twice: %+v", r)
		}
		var a PurgeAnswer
		for _, e := range []events.JobPurge{{Type: "bash"}, {Reason: "exit"}, {Older: 3600}} {
			if r := b.request(e, &a); r != nil || a != (PurgeAnswer{}) {
				t.Errorf("purge of others: %+v %+v", a, r)
			}
		}
		if r := b.request(events.JobPurge{Reason: "record"}, &a); r != nil || a != (PurgeAnswer{Removed: 2}) {
			t.Errorf("purge: %+v %+v", a, r)
		}
		if n := listed(); n != 0 {
			t.Errorf("%d are listed", n)
		}
	})
}
