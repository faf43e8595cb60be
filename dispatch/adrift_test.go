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
