package dispatch

import (
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// push writes a job as other Hero programs do: the record first, then the id.
func (b *bed) push(id, script string, more ...any) {
	b.Helper()
	fields := append([]any{
		"id", id, "caller_id", "them", "context_id", "ctx", "script", script, "script_type", "bash", "timeout", "30", "retries", "0",
		"concurrent", "false", "created_at", "2025-08-01T00:00:00Z", "updated_at", "2025-08-01T00:00:00Z", "status", "dispatched",
	}, more...)
	if err := b.rdb.HSet(b.soon(), "hero:job:"+id, fields...).Err(); err != nil {
		b.Fatal(err)
	}
	if err := b.rdb.LPush(b.soon(), "hero:q:work:type:bash", id).Err(); err != nil {
		b.Fatal(err)
	}
}

// A push tells nobody: it is seen, told, and taken into the log, so that it runs
// also after Redis has forgotten it.
func TestAForeignPushIsAdopted(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		b.push("f1", "echo theirs", "env_vars", `{"A":"b"}`)
		if q := expect(b, func(e events.JobQueued) bool { return e.Job == "f1" }); q.Ready != 1 || q.Type != "bash" {
			t.Errorf("queued %+v", q)
		}
		a := expect(b, func(e events.JobAdopted) bool { return e.Job == "f1" })
		rec, err := b.store.Job(b.soon(), "f1")
		if err != nil || rec.Sequence != a.Sequence || a.Sequence == 0 {
			t.Errorf("sequence %d in the record, %d told: %v", rec.Sequence, a.Sequence, err)
		}
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		b.submit("x", Options{ID: "mine"}) // makes the daemon notice, without a poll
		expect(b, any1[events.RedisRefilled])
		b.actor("bash_1", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == "f1" })
		rec, err = b.store.Job(b.soon(), "f1")
		if err != nil || rec.Output != "echo theirs" || rec.Caller != "them" || rec.Context != "ctx" || rec.EnvJSON != `{"A":"b"}` || rec.Timeout != 30*time.Second {
			t.Errorf("record after the refill: %+v, %v", rec, err)
		}
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
	})
}

// With an idle actor a push is served at once, and its life is told in its order.
func TestAForeignPushReachesAnIdleActor(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		b.actor("bash_1", nil)
		b.eventually("it is idle", func() bool { return b.rdb.ZCard(b.soon(), "hero:idle:bash").Val() == 1 })
		for i := range 20 {
			id := "f" + numeral(i)
			b.push(id, "echo")
			expect(b, func(e events.JobEnded) bool { return e.Job == id })
			if life := told(b, id); life != "q s1 e" && life != "q s1 e a" && life != "q s1 a e" && life != "q a s1 e" {
				t.Errorf("job %s: told %q", id, life)
			}
		}
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
	})
}

// Many pushes into a queue that is not empty are found by the look, a few pages at
// a time.
func TestForeignPushesIntoABacklogAreAdopted(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.LookEvery = 20 * time.Millisecond
		b.up()
		b.submit("x", Options{ID: "mine"})
		expect(b, func(e events.JobQueued) bool { return e.Job == "mine" })
		const pushed = 600
		for i := range pushed {
			b.push("f"+numeral(i), "echo")
		}
		b.eventually("all are in the log", func() bool { return b.logged() == pushed+1 })
		b.eventually("each is told once", func() bool { return count(b, any1[events.JobAdopted]) == pushed })
		if n := count(b, any1[events.JobQueued]); n != pushed+1 {
			t.Errorf("%d queued told, want %d", n, pushed+1)
		}
	})
}

// What can not go into the log runs from Redis; an id without a record is dead.
func TestUnfitForeignPushes(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.push("f1", "echo", "env_vars", `{"LD_PRELOAD":"x"}`)
		expect(b, func(e events.JobQueued) bool { return e.Job == "f1" })
		if err := b.rdb.LPush(b.soon(), "hero:q:work:type:bash", "ghost").Err(); err != nil {
			t.Fatal(err)
		}
		b.actor("bash_1", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == "f1" })
		if e := expect(b, func(e events.JobDead) bool { return e.Job == "ghost" }); e.Reason != store.ReasonNoRecord {
			t.Errorf("dead because %q", e.Reason)
		}
		if n := b.logged(); n != 0 {
			t.Errorf("%d messages in the log", n)
		}
		if n := count(b, any1[events.RedisLost]); n != 0 {
			t.Error("told as a lost Redis")
		}
	})
}

// Who starts a job of theirs once more by its id gets a second run.
func TestAForeignJobIsStartedAgain(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		b.actor("bash_1", nil)
		b.eventually("it is idle", func() bool { return b.rdb.ZCard(b.soon(), "hero:idle:bash").Val() == 1 })
		for n := range 3 {
			b.push("f1", "echo")
			e := expectNth(b, n+1, func(e events.JobEnded) bool { return e.Job == "f1" })
			if e.Attempt != n+1 || e.Outcome != string(store.StatusFinished) {
				t.Errorf("run %d: %+v", n+1, e)
			}
		}
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
	})
}
