package dispatch

import (
	"context"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// Somebody deletes a queue, and the list of what an actor holds: the jobs run all the same.
func TestJobsInNoListAreFound(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.AdriftEvery, b.cfg.AdriftAge = 20*time.Millisecond, 50*time.Millisecond
		b.up()
		var ids []string
		for range 3 {
			ids = append(ids, b.submit("x", Options{}))
		}
		b.eventually("they wait", func() bool { return b.rdb.LLen(b.soon(), "hero:q:work:type:bash").Val() == 3 })
		if err := b.rdb.Del(b.soon(), "hero:q:work:type:bash").Err(); err != nil {
			t.Fatal(err)
		}
		b.eventually("they are put back", func() bool { return b.rdb.LLen(b.soon(), "hero:q:work:type:bash").Val() == 3 })
		a := b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			if j.ID != ids[0] {
				return store.Outcome{Output: "y"}, true
			}
			<-ctx.Done()
			return store.Outcome{}, false
		})
		expect(b, func(e events.JobStarted) bool { return e.Job == ids[0] })
		held := "hero:held:" + a.p.inc.String()
		if err := b.rdb.Del(b.soon(), held).Err(); err != nil {
			t.Fatal(err)
		}
		b.eventually("it is in its hand again", func() bool { return b.rdb.LLen(b.soon(), held).Val() == 1 })
		a.die()
		b.actor("bash_2", nil)
		for _, id := range ids {
			expect(b, func(e events.JobEnded) bool { return e.Job == id })
		}
		b.eventually("nothing is left", func() bool { return b.logged() == 0 && b.rdb.LLen(b.soon(), "hero:q:work:type:bash").Val() == 0 })
		for _, id := range ids {
			if n := count(b, func(e events.JobEnded) bool { return e.Job == id }); n != 1 {
				t.Errorf("job %s ended %d times", id, n)
			}
		}
	})
}

// A queue that was deleted, and measured as empty, is measured again when its jobs are back in it: nobody else tells of them,
// and without actors nobody takes them.
func TestJobsPutBackAreMeasured(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.cfg.MeasureEvery, b.cfg.AdriftEvery, b.cfg.AdriftAge = 200*time.Millisecond, time.Second, 500*time.Millisecond
	b.up()
	id := b.submit("x", Options{})
	expect(b, func(e events.QueueMeasured) bool { return e.Ready == 1 })
	if err := b.rdb.Del(b.soon(), "hero:q:work:type:bash").Err(); err != nil {
		t.Fatal(err)
	}
	empties := count(b, func(e events.QueueMeasured) bool { return e.Ready == 0 })
	expectNth(b, empties+1, func(e events.QueueMeasured) bool { return e.Ready == 0 })
	before := count(b, func(e events.QueueMeasured) bool { return e.Ready == 1 })
	expectNth(b, before+1, func(e events.QueueMeasured) bool { return e.Ready == 1 })
	b.actor("bash_1", nil)
	expect(b, func(e events.JobEnded) bool { return e.Job == id })
}
