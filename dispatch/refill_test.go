package dispatch

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// Redis forgets everything in the middle: every job ends all the same.
func TestFlushInTheMiddle(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		for i := range 4 {
			b.actor("bash_"+numeral(i+1), func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
				return store.Outcome{Output: j.Script}, pause(ctx, 2*time.Millisecond)
			})
			// The keeper speaks of each: that is how they are known to be rung.
			b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_" + numeral(i+1), To: "idle"})
		}
		const jobs = 200
		for i := range jobs {
			b.submit("x", Options{ID: "j" + numeral(i)})
			if i == jobs/2 {
				if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		f := expect(b, any1[events.RedisRefilled])
		if f.Epoch != 2 || f.Jobs == 0 || !strings.Contains(f.Reason, "no epoch") {
			t.Errorf("refilled: %+v", f)
		}
		waitEnded(b, jobs)
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
	})
}

// A refill waits for the living actors to say what they hold, but not for long, and for the dead not at all.
func TestARefillWaitsForWhoLives(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		p := b.spawn()
		a, err := r.open(b).Actor("bash_1", "bash", p.inc.String())
		if err != nil {
			t.Fatal(err)
		}
		flush := func() {
			t.Helper()
			if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		b.hello(a)
		expect(b, any1[events.ActorRegistered])
		id := b.submit("x", Options{})
		expect(b, func(e events.JobQueued) bool { return e.Job == id })
		got, err := a.Claim(b.soon())
		if err != nil || got.Job == nil {
			t.Fatalf("%+v %v", got, err)
		}
		expect(b, any1[events.JobStarted])
		flush()
		b.hello(a)
		if codes, code, err := a.Assert(b.soon(), []store.InHand{{Claimed: *got.Job}}); err != nil || code != store.OK || codes[0] != store.OK {
			t.Fatalf("%v %v %v", codes, code, err)
		}
		if f := expect(b, any1[events.RedisRefilled]); f.Kept != 1 || f.Silent != 0 {
			t.Errorf("it spoke: %+v", f)
		}
		expectNth(b, 2, any1[events.JobStarted]) // told anew to who counts what runs
		flush()
		if f := expectNth(b, 2, any1[events.RedisRefilled]); f.Kept != 0 || f.Silent != 1 {
			t.Errorf("it did not speak: %+v", f)
		}
		b.hello(a)
		expectNth(b, 3, any1[events.ActorRegistered])
		p.kill()
		flush()
		if f := expectNth(b, 3, any1[events.RedisRefilled]); f.Kept != 0 || f.Silent != 0 {
			t.Errorf("it is dead: %+v", f)
		}
	})
}

// After a refill everybody known is rung. Who is spoken of for the first time only then, as after a restart of the
// daemon, waits on a list that is gone as well.
func TestWhoIsHeardOfBehindTheRingIsRung(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		b.actor("bash_1", nil)
		expect(b, any1[events.ActorRegistered])
		b.eventually("it is idle", func() bool { return b.rdb.ZCard(b.soon(), "hero:idle:bash").Val() == 1 })
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		b.up()
		expect(b, any1[events.RedisRefilled])
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
		expectNth(b, 2, any1[events.ActorRegistered])
	})
}

// An idle system is flushed: the daemon notices by itself, and idle actors, which
// wait on lists that are gone, are rung and take the next job.
func TestFlushOfAnIdleSystem(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.PingEvery = 50 * time.Millisecond
		b.up()
		b.actor("bash_1", nil)
		expect(b, any1[events.ActorRegistered])
		b.eventually("it is idle", func() bool { return b.rdb.ZCard(b.soon(), "hero:idle:bash").Val() == 1 })
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		expect(b, any1[events.RedisRefilled])
		b.eventually("the scripts are there for actors in other languages", func() bool {
			scripts, err := b.rdb.Keys(b.soon(), "hero:script:*").Result()
			return err == nil && len(scripts) == 1 && b.rdb.HExists(b.soon(), scripts[0], "hello").Val()
		})
		expectNth(b, 2, any1[events.ActorRegistered])
		id := b.submit("x", Options{})
		expect(b, func(e events.JobEnded) bool { return e.Job == id })
	})
}

// The log is the truth while nobody reads it: Redis and the daemon both come back
// empty-handed, and what was accepted runs.
func TestRedisIsEmptyAtTheStart(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		delayed := b.submit("x", Options{Delay: time.Hour})
		id := b.submit("x", Options{})
		expect(b, func(e events.JobQueued) bool { return e.Job == id })
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		b.up()
		if f := expect(b, any1[events.RedisRefilled]); f.Jobs != 2 || f.Epoch != 2 {
			t.Errorf("refilled: %+v", f)
		}
		b.actor("bash_1", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == id })
		if rec, err := b.store.Job(b.soon(), delayed); err != nil || rec.Status != store.StatusDispatched {
			t.Errorf("the delayed job: %v %v", rec.Status, err)
		}
	})
}

// A start on the same data goes on without a word of a refill.
func TestAnOrdinaryStartRefillsNothing(t *testing.T) {
	b := newBed(t, miniRedis(t))
	first := b.up()
	id := b.submit("x", Options{})
	expect(b, func(e events.JobQueued) bool { return e.Job == id })
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := b.submit("x", Options{})
	b.up()
	expect(b, func(e events.JobQueued) bool { return e.Job == second })
	if n := count(b, func(e events.JobQueued) bool { return e.Job == id }); n != 1 {
		t.Errorf("queued %d times", n)
	}
	if n := count(b, any1[events.RedisRefilled]); n != 0 {
		t.Error("refilled")
	}
}

// Another state folder's daemon is refused by name, and takes over when the first
// one has gone.
func TestAnotherOwnerIsRefusedByName(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		other := newBed(t, r)
		other.cfg.State = "ffffffff"
		cfg := other.cfg
		cfg.Store = r.open(t)
		c, err := New(cfg, other.connect("dispatch"), testLog(t))
		if err != nil {
			t.Fatal(err)
		}
		var owner *OwnerError
		if err := c.Run(b.soon()); !errors.As(err, &owner) || owner.State != "0a1b2c3d" || owner.Lost {
			t.Fatalf("Run: %v, want the owner's name", err)
		}
		if !strings.Contains(owner.Error(), "0a1b2c3d") || owner.Hint() == "" {
			t.Errorf("%q, hint %q", owner, owner.Hint())
		}
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		other.up()
	})
}

// A daemon that lost the prefix ends, rather than working beside the other one.
func TestALostOwnerEnds(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.cfg.OwnerLease = 100 * time.Millisecond
	cfg := b.cfg
	cfg.Store = b.redis.open(t)
	c, err := New(cfg, b.connect("dispatch"), testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(b.soon()) }()
	<-c.Ready()
	until := time.Now().Add(time.Hour).UnixMilli()
	if err := b.rdb.Set(b.soon(), "hero:owner", "ffffffff "+numeral(int(until)), 0).Err(); err != nil {
		t.Fatal(err)
	}
	var owner *OwnerError
	if err := <-done; !errors.As(err, &owner) || owner.State != "ffffffff" || !owner.Lost {
		t.Errorf("Run: %v, want that ffffffff owns it", err)
	}
}

// Redis away is told once, and back once; what was submitted meanwhile runs.
func TestRedisAwayAndBack(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.actor("bash_1", nil)
		expect(b, any1[events.ActorRegistered])
		for round := range 2 {
			r.stop()
			lost := expectNth(b, round+1, any1[events.RedisLost])
			// A miniredis that is closed under a script says that the script is at fault.
			if !strings.Contains(lost.Reason, "away") && !strings.Contains(lost.Reason, "nil pointer dereference") {
				t.Errorf("lost because %q", lost.Reason)
			}
			id := b.submit("x", Options{})
			r.boot()
			expectNth(b, round+1, any1[events.RedisBack])
			expect(b, func(e events.JobEnded) bool { return e.Job == id })
		}
		if n := count(b, any1[events.RedisLost]); n != 2 {
			t.Errorf("lost told %d times", n)
		}
	})
}

// A Redis that refuses is told with its reason. (Real only: miniredis has no such
// limit.)
func TestRedisRefuses(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		if b.rdb.ConfigSet(b.soon(), "maxmemory", "1").Err() != nil {
			return
		}
		id := b.submit("x", Options{})
		if lost := expect(b, any1[events.RedisLost]); !strings.Contains(lost.Reason, "refuses") {
			t.Errorf("lost because %q", lost.Reason)
		}
		if err := b.rdb.ConfigSet(b.soon(), "maxmemory", "0").Err(); err != nil {
			t.Fatal(err)
		}
		expect(b, any1[events.RedisBack])
		expect(b, func(e events.JobQueued) bool { return e.Job == id })
	})
}

// Redis away at the start: the component waits, and begins when it is there.
func TestRedisAwayAtTheStart(t *testing.T) {
	r := miniRedis(t)
	b := newBed(t, r)
	r.stop()
	c := b.start()
	expect(b, any1[events.RedisLost])
	select {
	case <-c.Ready():
		t.Fatal("ready without a Redis")
	default:
	}
	id := b.submit("x", Options{})
	r.boot()
	<-c.Ready()
	expect(b, func(e events.JobQueued) bool { return e.Job == id })
}

// Settling comes after deleting: a daemon that dies between the two leaves the
// entries, and the next one ends the work. Were it the other way round, the
// message would stay and the job would run again after the next refill.
func TestNothingIsSettledBeforeItIsDeleted(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		reached := make(chan uint64, 100)
		first := b.up(func(c *Component) {
			c.after = func(step string) error {
				if step != "settle" {
					return nil
				}
				reached <- b.logged()
				return errors.New("stopped here by the test")
			}
		})
		b.actor("bash_1", nil)
		id := b.submit("x", Options{})
		expect(b, func(e events.JobEnded) bool { return e.Job == id })
		if left := <-reached; left != 0 {
			t.Errorf("%d messages in the log when it comes to settling", left)
		}
		if n := b.rdb.LLen(b.soon(), "hero:ended").Val(); n != 1 {
			t.Errorf("%d entries before settling, want 1", n)
		}
		if ttl := b.rdb.TTL(b.soon(), "hero:job:"+id).Val(); ttl >= 0 {
			t.Errorf("the record expires in %v before it is settled", ttl)
		}
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		b.up()
		b.eventually("it is settled", func() bool { return b.rdb.LLen(b.soon(), "hero:ended").Val() == 0 })
		if ttl := b.rdb.TTL(b.soon(), "hero:job:"+id).Val(); ttl <= 0 {
			t.Errorf("the record expires in %v after it is settled", ttl)
		}
	})
}

// R7: the owner and an actor died together, and nobody released anything. Another state's daemon is refused while the
// lease runs, and then takes over what the dead actor held.
func TestAnotherDaemonTakesOverAfterTheLease(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		a := b.actor("bash_1", func(ctx context.Context, _ store.Claimed) (store.Outcome, bool) {
			<-ctx.Done()
			return store.Outcome{}, false
		})
		id := b.submit("x", Options{})
		expect(b, func(e events.JobStarted) bool { return e.Job == id })
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		a.die()
		const lease = time.Second
		if o, err := b.store.TakeOwner(b.soon(), "ffffffff", lease); err != nil || o.Code != store.OK {
			t.Fatalf("%+v %v", o, err)
		}
		gone := time.Now().Add(lease)
		var owner *OwnerError
		if err := b.fresh().Run(b.soon()); !errors.As(err, &owner) || owner.State != "ffffffff" {
			t.Fatalf("Run while the lease runs: %v", err)
		}
		b.eventually("the lease is over", func() bool {
			o, err := b.store.TakeOwner(b.soon(), b.cfg.State, time.Minute)
			return err == nil && o.Code == store.OK
		})
		if early := time.Until(gone); early > 50*time.Millisecond {
			t.Errorf("taken over %v before the lease was over", early)
		}
		b.up()
		b.actor("bash_2", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == id })
	})
}

// A job that holds for a dead one holds still when Redis was emptied, and is released when that has run again.
func TestWhatHoldsForADeadJobHoldsAfterARefill(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		c := b.up()
		var good atomic.Bool
		b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Output: j.Script, Failed: j.ID == "first" && !good.Load(), Reason: "exit 3"}, true
		})
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
		b.submit("x", Options{ID: "first", Retries: new(1)})
		held := b.submit("x", Options{ID: "held", Prerequisites: []Prerequisite{{ID: "first", Rule: store.RuleHold}}})
		expect(b, func(e events.JobDead) bool { return e.Job == "first" })
		b.eventually("it is in the bucket, and in the log no more", func() bool { return len(c.buried()) == 1 && b.logged() == 1 })
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		expect(b, any1[events.RedisRefilled])
		b.eventually("it is back", func() bool { _, err := b.store.Job(b.soon(), held); return err == nil })
		if rec, err := b.store.Job(b.soon(), held); err != nil || rec.Status != store.StatusWaiting {
			t.Fatalf("what holds for it is %s, %v", rec.Status, err)
		}
		good.Store(true)
		if r := b.request(events.JobRetry{Job: "first"}, nil); r != nil {
			t.Fatal(r)
		}
		expect(b, func(e events.JobEnded) bool { return e.Job == held && e.Outcome == "finished" })
	})
}

// A daemon that ends in the middle of a refill leaves a Redis that carries the bucket's epoch and lacks most. The next one
// fills it from the first message, and the one after that goes on as ever.
func TestARefillThatWasCutShortIsDoneAgain(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		first := b.up()
		worker := b.actor("bash_1", nil)
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
		b.submit("x", Options{ID: "first"})
		needs := b.submit("x", Options{ID: "second", Delay: time.Hour, Prerequisites: []Prerequisite{{ID: "first"}}})
		expect(b, func(e events.JobEnded) bool { return e.Job == "first" })
		b.eventually("it is settled", func() bool { return b.logged() == 1 })
		worker.die()
		// One that lives and does not say what it has in hand: the refill waits for it before it reads the log.
		silent, err := r.open(b).Actor("bash_2", "bash", b.spawn().inc.String())
		if err != nil {
			t.Fatal(err)
		}
		b.eventually("it is registered", func() bool {
			h, err := silent.Hello(b.soon())
			return err == nil && h.Code == store.OK
		})
		expectNth(b, 2, any1[events.ActorRegistered])
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		b.eventually("the epoch is raised", func() bool {
			epoch, err := b.store.Epoch(b.soon())
			return err == nil && epoch == 2
		})
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		second := b.up()
		if f := expect(b, any1[events.RedisRefilled]); f.Epoch != 2 || f.Jobs != 1 {
			t.Errorf("refilled: %+v", f)
		}
		if rec, err := b.store.Job(b.soon(), needs); err != nil || rec.Status != store.StatusDispatched || b.logged() != 1 {
			t.Errorf("the accepted job: %s, %v; %d in the log", rec.Status, err, b.logged())
		}
		if err := second.stop(); err != nil {
			t.Fatal(err)
		}
		b.up()
		last := b.submit("x", Options{Delay: time.Hour})
		expect(b, func(e events.JobQueued) bool { return e.Job == last })
		if n := count(b, any1[events.RedisRefilled]); n != 1 {
			t.Errorf("refilled %d times", n)
		}
	})
}

// The daemon died between keeping a dead job and deleting its message, and Redis was emptied: the job is dead still, and its
// message leaves the log, or it would run again when it has been retried and settled.
func TestTheMessageOfARestoredDeadJobLeavesTheLog(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		c := b.up()
		b.actor("bash_1", func(context.Context, store.Claimed) (store.Outcome, bool) {
			return store.Outcome{Failed: true, Reason: "exit 3"}, true
		})
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
		b.submit("x", Options{ID: "first", Retries: new(1)})
		expect(b, func(e events.JobDead) bool { return e.Job == "first" })
		b.eventually("it is in the bucket, and in the log no more", func() bool { return len(c.buried()) == 1 && b.logged() == 0 })
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
		d, err := c.deadJob(b.soon(), "first")
		if err != nil {
			t.Fatal(err)
		}
		d.Fields["sequence"] = numeral(int(b.raw("bash", map[string][]string{HeaderJobID: {"first"}, HeaderRetries: {"1"}}, "x")))
		value, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.deadKV.Put(b.soon(), "first", value); err != nil {
			t.Fatal(err)
		}
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		c = b.up()
		expect(b, any1[events.RedisRefilled])
		b.eventually("its message is deleted", func() bool { return b.logged() == 0 })
		if rec, err := b.store.Job(b.soon(), "first"); err != nil || rec.DeadAt.IsZero() || len(c.buried()) != 1 {
			t.Errorf("%+v %v, %d kept", rec, err, len(c.buried()))
		}
	})
}

// The last message that a refill waits for may go before it is read, as its job has ended: the refill is over then, and not only with the next
// submission.
func TestARefillOfALogThatEmptiesIsOver(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		b.up(func(c *Component) {
			c.after = func(step string) error {
				if step == "refill" {
					return c.stream.Purge(b.soon())
				}
				return nil
			}
		})
		b.submit("x", Options{ID: "only"})
		expect(b, func(e events.JobQueued) bool { return e.Job == "only" })
		b.flush()
		expect(b, any1[events.RedisRefilled])
	})
}
