package dispatch

import (
	"errors"
	"testing"
	"time"

	"herosup/dispatch/store"
)

// More dead jobs than go to Redis together are all back behind a loss of it, also when their reading fails in the middle: each once.
func TestManyDeadComeBack(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		c := b.up()
		const many = 2*store.MaxRestore + 50
		died := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
		for i := range many {
			id := "d" + numeral(i)
			d := deadRecord{V: 1, ID: id, Type: "bash", Reason: "exit 3", At: died, Fields: map[string]string{
				"id": id, "type": "bash", "script": "exit 3", "status": "error", "reason": "exit 3", "sequence": numeral(i + 1),
				"dead_ms": numeral(int(died.UnixMilli())),
			}}
			value, err := d.encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.deadKV.Put(b.soon(), id, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
		b.flush()
		seen := 0
		b.up(func(c *Component) {
			c.after = func(step string) error {
				if step == "restore" {
					if seen++; seen == many-100 { // in the second lot
						return errors.New("broken off by the test")
					}
				}
				return nil
			}
		})
		if n := b.rdb.ZCard(b.soon(), "hero:dead").Val(); n != many {
			t.Errorf("%d are back, want %d", n, many)
		}
		// What went to Redis before is not read again: the first lot, and all but it once more.
		if want := many - 100 + many - store.MaxRestore; seen != want {
			t.Errorf("%d were read, want %d", seen, want)
		}
		if rec, err := b.store.Job(b.soon(), "d0"); err != nil || !rec.DeadAt.Equal(died) {
			t.Errorf("the first: %+v %v", rec, err)
		}
	})
}
