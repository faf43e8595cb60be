package dispatch

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"herosup/events"
)

// A key that another program uses is trouble of the one type whose it would be: what waits of others is measured, and what
// they have delayed begins in its time.
func TestAKeyOfAnotherKindHoldsUpOneType(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		for _, key := range []string{"delayed", "startby", "idle", "prio", "lease"} {
			t.Run(key, func(t *testing.T) {
				b := newBed(t, r)
				b.flush()
				if err := b.rdb.Set(b.soon(), "hero:"+key+":aaa", "theirs", 0).Err(); err != nil {
					t.Fatal(err)
				}
				if key != "delayed" { // something of that type is due, and can not be moved
					if err := b.rdb.ZAdd(b.soon(), "hero:delayed:aaa", redis.Z{Score: 1, Member: "gone"}).Err(); err != nil {
						t.Fatal(err)
					}
				}
				b.cfg.Pools = []Pool{{Name: "aaa", Types: []string{"aaa"}}, {Name: "bash", Types: []string{"bash"}}}
				b.up()
				expect(b, func(e events.QueueMeasured) bool { return e.Type == "bash" })
				b.actor("bash_1", nil)
				id := b.submit("x", Options{Delay: 100 * time.Millisecond})
				expect(b, func(e events.JobEnded) bool { return e.Job == id })
				if n := count(b, any1[events.RedisLost]); n != 0 {
					t.Error("told as a lost Redis")
				}
			})
		}
	})
}

// So it is where jobs are searched that are in no list.
func TestAKeyOfAnotherKindAmongJobsInNoList(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.AdriftEvery, b.cfg.AdriftAge = 20*time.Millisecond, 50*time.Millisecond
		if err := b.rdb.Set(b.soon(), "hero:delayed:aaa", "theirs", 0).Err(); err != nil {
			t.Fatal(err)
		}
		b.up()
		for range 30 { // a round finds one of these first
			if _, _, _, err := Submit(b.soon(), b.js, "", "aaa", []byte("x"), Options{}); err != nil {
				t.Fatal(err)
			}
		}
		b.submit("x", Options{})
		waiting := func() int64 { return b.rdb.LLen(b.soon(), "hero:q:work:type:bash").Val() }
		b.eventually("it waits", func() bool { return waiting() == 1 })
		if err := b.rdb.Del(b.soon(), "hero:q:work:type:bash").Err(); err != nil {
			t.Fatal(err)
		}
		b.eventually("it is put back", func() bool { return waiting() == 1 })
	})
}
