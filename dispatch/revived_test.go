package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herosup/dispatch/store"
	"herosup/events"
)

// died brings about the death of a job, of which the bucket alone knows then, and the death of its actor.
func (b *bed) died(c *running, id string) {
	b.Helper()
	worker := b.actor("bash_1", func(context.Context, store.Claimed) (store.Outcome, bool) {
		return store.Outcome{Failed: true, Reason: "exit 3"}, true
	})
	b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
	b.submit("x", Options{ID: id, Retries: new(1)})
	expect(b, func(e events.JobDead) bool { return e.Job == id })
	b.eventually("it is in the bucket, and in the log no more", func() bool { return len(c.buried()) == 1 && b.logged() == 0 })
	worker.die()
	b.publish(worker.exited(false))
	b.eventually("its actor is gone", func() bool {
		return b.rdb.Exists(b.soon(), "hero:idle:bash", "hero:held:"+worker.p.inc.String()).Val() == 0
	})
}

func (b *bed) flush() {
	b.Helper()
	if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) status(id string, want store.Status) {
	b.Helper()
	if rec, err := b.store.Job(b.soon(), id); err != nil || rec.Status != want {
		b.Errorf("%s: %s, %v, want %s", id, rec.Status, err, want)
	}
}

// What lies in the bucket of a job that lives again is out of it before the job's message leaves the log, whenever the daemon was
// killed: after its good end an emptied Redis does not have it as dead, which would fail what needs it.
func TestWhatADaemonLeftInTheBucketIsNotBelieved(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		c := b.up()
		b.died(c, "first")
		was, err := c.deadKV.Get(b.soon(), "first")
		if err != nil {
			t.Fatal(err)
		}
		if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
			t.Fatal(r)
		}
		b.eventually("it is hidden", func() bool { return len(c.buried()) == 0 })
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.deadKV.Put(b.soon(), "first", was.Value()); err != nil {
			t.Fatal(err)
		}
		c = b.up()
		needs := b.submit("x", Options{ID: "second", Delay: time.Hour, Prerequisites: []Prerequisite{{ID: "first"}}})
		b.actor("bash_2", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == "first" && e.Outcome == events.Finished })
		b.eventually("its message is gone", func() bool { return b.logged() == 1 })
		b.flush()
		expect(b, any1[events.RedisRefilled])
		b.status(needs, store.StatusDispatched)
		if _, err := c.deadJob(b.soon(), "first"); !errors.Is(err, store.ErrNoJob) || len(c.buried()) != 0 {
			t.Errorf("in the bucket: %v, in the list: %d", err, len(c.buried()))
		}
	})
}

// What holds for a dead job holds on when that was retried, waits and Redis is emptied.
func TestWhatHoldsForARevivedJobHoldsAfterARefill(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		c := b.up()
		b.died(c, "first")
		held := b.submit("x", Options{ID: "held", Prerequisites: []Prerequisite{{ID: "first", Rule: store.RuleHold}}})
		expect(b, func(e events.JobWaiting) bool { return e.Job == held })
		if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
			t.Fatal(r)
		}
		b.eventually("it is hidden", func() bool { return len(c.buried()) == 0 })
		b.flush()
		expect(b, any1[events.RedisRefilled])
		b.status("first", store.StatusDispatched)
		b.status(held, store.StatusWaiting)
		b.actor("bash_2", nil)
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "idle"})
		expect(b, func(e events.JobEnded) bool { return e.Job == held && e.Outcome == events.Finished })
		var order []string
		for _, e := range b.told.events() {
			if e, ok := e.(events.JobStarted); ok {
				order = append(order, e.Job)
			}
		}
		order = slices.Compact(order) // whoever lost facts over the flush is told anew what runs
		if n := len(order); n < 2 || order[n-2] != "first" || order[n-1] != held {
			t.Errorf("begun in the order %v", order)
		}
		b.eventually("all is settled", func() bool { return b.logged() == 0 })
		if _, err := c.deadJob(b.soon(), "first"); !errors.Is(err, store.ErrNoJob) || len(c.buried()) != 0 {
			t.Errorf("in the bucket: %v, in the list: %d", err, len(c.buried()))
		}
	})
}

// The end of a revived job is known, its message is in the log still and its old end in the bucket, and Redis is emptied: it is not dead, what held
// for it goes on, and the bucket forgets it with the message.
func TestAKnownEndOfARevivedJobIsBelieved(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		var held atomic.Bool
		c := b.up(func(c *Component) {
			c.after = func(step string) error {
				if step == "keep" && held.Load() {
					return errors.New("held here by the test")
				}
				return nil
			}
		})
		b.died(c, "first")
		needs := b.submit("x", Options{ID: "second", Delay: time.Hour, Prerequisites: []Prerequisite{{ID: "first", Rule: store.RuleHold}}})
		held.Store(true)
		if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
			t.Fatal(r)
		}
		worker := b.actor("bash_2", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == "first" })
		worker.die()
		if _, err := c.deadJob(b.soon(), "first"); err != nil || b.logged() != 2 {
			t.Fatalf("in the bucket: %v, %d in the log", err, b.logged())
		}
		b.flush()
		expect(b, any1[events.RedisRefilled])
		b.status(needs, store.StatusDispatched)
		if _, err := b.store.Job(b.soon(), "first"); !errors.Is(err, store.ErrNoJob) {
			t.Errorf("its record: %v", err)
		}
		b.eventually("its message is deleted", func() bool { return b.logged() == 1 })
		if _, err := c.deadJob(b.soon(), "first"); !errors.Is(err, store.ErrNoJob) {
			t.Errorf("in the bucket: %v", err)
		}
	})
}

// A message leaves the log when the bucket has forgotten the job's earlier end, not before.
func TestTheBucketForgetsBeforeTheLog(t *testing.T) {
	b := newBed(t, miniRedis(t)).fast()
	at := make(chan error, 1)
	var watched atomic.Bool
	c := b.up(func(c *Component) {
		c.after = func(step string) error {
			if step == "delete" && watched.CompareAndSwap(true, false) {
				_, err := c.deadJob(b.soon(), "first")
				if n := b.logged(); n != 1 {
					err = fmt.Errorf("%d in the log", n)
				}
				at <- err
			}
			return nil
		}
	})
	b.died(c, "first")
	if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
		t.Fatal(r)
	}
	watched.Store(true)
	b.actor("bash_2", nil)
	if err := <-at; !errors.Is(err, store.ErrNoJob) {
		t.Errorf("when its message is to be deleted the bucket has it still: %v", err)
	}
}

// The daemon ends before any step that takes a revived job's good end out of the bucket and the log, and Redis is emptied: what holds for the job and what
// needs it go on, and nothing of the job is left.
func TestKillsAtTheEndOfARevivedJob(t *testing.T) {
	for _, point := range []string{"keep", "delete", "settle"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, miniRedis(t)).fast()
			var armed atomic.Bool
			at := make(chan struct{}, 1)
			c := b.up(func(c *Component) {
				c.after = func(step string) error {
					if step != point || !armed.Load() {
						return nil
					}
					select {
					case at <- struct{}{}:
					default:
					}
					return errors.New("stopped here by the test")
				}
			})
			b.died(c, "first")
			needs := func(id string, rule store.Rule) {
				b.submit("x", Options{ID: id, Delay: time.Hour, Prerequisites: []Prerequisite{{ID: "first", Rule: rule}}})
				expect(b, func(e events.JobWaiting) bool { return e.Job == id })
			}
			needs("holds", store.RuleHold)
			if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
				t.Fatal(r)
			}
			needs("needs", store.RuleFail)
			armed.Store(true)
			worker := b.actor("bash_2", nil)
			<-at
			if err := c.stop(); err != nil {
				t.Fatal(err)
			}
			worker.die()
			b.flush()
			c = b.up()
			expect(b, any1[events.RedisRefilled])
			b.actor("bash_3", nil)
			for _, id := range []string{"holds", "needs"} {
				b.eventually(id+" goes on", func() bool {
					rec, err := b.store.Job(b.soon(), id)
					return err == nil && rec.Status == store.StatusDispatched
				})
			}
			b.eventually("nothing of the job is left", func() bool {
				_, err := c.deadJob(b.soon(), "first")
				return errors.Is(err, store.ErrNoJob) && b.logged() == 2 && len(c.buried()) == 0
			})
			if n := count(b, func(e events.JobEnded) bool { return e.Job != "first" }); n != 0 {
				t.Errorf("%d of the others ended", n)
			}
		})
	}
}

// Before the log is read it is known which of the dead it revives, by the daemon's word alone.
func TestWhatIsRestored(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		c := b.up()
		b.died(c, "first")
		d, err := c.deadJob(b.soon(), "first")
		if err != nil {
			t.Fatal(err)
		}
		if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
			t.Fatal(r)
		}
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"second", "third"} {
			d.ID, d.Fields["id"] = id, id
			value, err := d.encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.deadKV.Put(b.soon(), id, value); err != nil {
				t.Fatal(err)
			}
		}
		b.raw("bash", map[string][]string{HeaderJobID: {"second"}, HeaderAgain: {"no proof"}}, "x")
		b.flush()
		if _, _, err := b.store.RaiseEpoch(b.soon(), 2); err != nil {
			t.Fatal(err)
		}
		c.useEpoch(2)
		for range 2 { // a repeat changes nothing
			if err := c.restoreDead(b.soon(), c.reporter("test")); err != nil {
				t.Fatal(err)
			}
			b.status("first", store.StatusDispatched)
			b.status("second", store.StatusError)
			b.status("third", store.StatusError)
		}
		dead := b.rdb.ZRange(b.soon(), "hero:dead", 0, -1).Val()
		if d := cmp.Diff([]string{"second", "third"}, dead); d != "" {
			t.Error(d)
		}
	})
}

// What lives again is not listed, and stays in the bucket over its bounds; what comes late about an earlier end changes nothing.
func TestTheIndexOfTheDead(t *testing.T) {
	c := &Component{cfg: Config{DeadMost: 1, DeadAge: time.Hour}}
	b := newBurial(c)
	now := time.Now()
	check := func(what string, want ...string) {
		t.Helper()
		b.bound(now)
		b.publish()
		var got []string
		for _, e := range c.buried() {
			got = append(got, e.id)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v are listed, want %v", what, got, want)
		}
	}
	b.take(deadSaved{id: "a", at: now.Add(-2 * time.Minute), sequence: 1, size: 10})
	b.take(deadLives{"a", 1}) // it died by that one
	check("dead", "a")
	b.take(deadLives{"a", 3})
	check("revived")
	b.take(deadSaved{id: "b", at: now.Add(-time.Minute), sequence: 2, size: 10})
	b.take(deadSaved{id: "c", at: now, sequence: 4, size: 10})
	check("over the number", "c")
	now = now.Add(time.Hour)
	check("over the age", "c")
	now = now.Add(time.Second)
	check("over the age")
	if len(b.byID) != 1 || len(b.drops) != 2 {
		t.Errorf("%d kept, %d dropped", len(b.byID), len(b.drops))
	}
	b.take(deadSaved{id: "a", at: now, sequence: 3, size: 10})
	b.take(deadLives{"a", 3})
	check("dead again", "a")
	b.take(deadSaved{id: "a", at: now.Add(time.Second), sequence: 3, size: 20}) // said again
	check("dead again", "a")
	if b.bytes != 20 {
		t.Errorf("%d bytes", b.bytes)
	}
	done := make(chan error, 1)
	b.take(deadOver{jobs: []deadBy{{"a", 3}, {"b", 9}}, done: done})
	check("an earlier end", "a")
	b.take(deadOver{jobs: []deadBy{{"a", 4}}})
	check("over")
	if len(b.byID) != 0 || len(b.drops) != 3 || len(b.asked) != 1 {
		t.Errorf("%d kept, %d dropped, %d ask", len(b.byID), len(b.drops), len(b.asked))
	}
}

// A daemon that starts knows what lives again.
func TestAStartKnowsWhatLivesAgain(t *testing.T) {
	b := newBed(t, miniRedis(t)).fast()
	c := b.up()
	b.died(c, "first")
	if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
		t.Fatal(r)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		change func(key string)
		want   string
	}{
		"it waits":                     {func(string) {}, "hidden"},
		"it has died again":            {func(key string) { b.rdb.HSet(b.soon(), key, "status", "error", "dead_ms", "1") }, "hidden"},
		"it has ended":                 {func(key string) { b.rdb.HSet(b.soon(), key, "status", "finished") }, "dropped"},
		"it has ended by that message": {func(key string) { b.rdb.HSet(b.soon(), key, "status", "error", "sequence", "1") }, "listed"},
		"it has no record":             {func(key string) { b.rdb.Del(b.soon(), key) }, "listed"},
	} {
		t.Run(what, func(t *testing.T) {
			const key = "hero:job:first"
			was := b.rdb.HGetAll(b.soon(), key).Val()
			defer func() { b.rdb.Del(b.soon(), key); b.rdb.HSet(b.soon(), key, was) }()
			tt.change(key)
			load := newBurial(c.Component)
			if err := load.load(b.soon()); err != nil {
				t.Fatal(err)
			}
			got := "listed"
			if e, in := load.byID["first"]; !in && len(load.drops) == 1 {
				got = "dropped"
			} else if e.lives {
				got = "hidden"
			}
			if got != tt.want {
				t.Errorf("%s: %+v", got, load.byID)
			}
		})
	}
}

// Many dead jobs are retried while the daemon ends and another starts, and asked for again where no answer came; Redis is emptied as well: each runs once,
// and nothing of it is left.
func TestARetryOfManyOverARestart(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		c := b.up()
		gone := b.failing()
		const jobs = 60
		for i := range jobs {
			b.submit("x", Options{ID: "j" + numeral(i), Retries: new(1)})
		}
		b.eventually("all are dead, and settled", func() bool { return len(c.buried()) == jobs && b.logged() == 0 })
		gone()
		retry := func() (answered chan struct{}, over *sync.WaitGroup) {
			answered, over = make(chan struct{}, jobs), &sync.WaitGroup{}
			for i := range jobs {
				over.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // who answers may be gone
					defer cancel()
					_ = b.bus.Request(ctx, events.JobRetry{Job: "j" + numeral(i)}, nil)
					answered <- struct{}{}
				})
			}
			return answered, over
		}
		answered, over := retry()
		for range jobs / 4 {
			<-answered
		}
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
		b.flush()
		c = b.up()
		expect(b, any1[events.RedisRefilled])
		over.Wait()
		_, over = retry() // one that lives is refused
		over.Wait()
		var mu sync.Mutex
		runs := map[string]int{}
		b.actor("bash_2", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			mu.Lock()
			defer mu.Unlock()
			runs[j.ID]++
			return store.Outcome{Output: "done"}, true
		})
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "idle"})
		b.eventually("all have ended", func() bool {
			return count(b, func(e events.JobEnded) bool { return e.Outcome == events.Finished }) >= jobs && b.logged() == 0
		})
		mu.Lock()
		defer mu.Unlock()
		for i := range jobs {
			if n := runs["j"+numeral(i)]; n != 1 {
				t.Errorf("j%d ran %d times", i, n)
			}
		}
		if n := count(b, func(e events.JobEnded) bool { return e.Outcome == events.Finished }); n != jobs {
			t.Errorf("%d ends were told", n)
		}
		b.unburied(c, "j0")
	})
}
