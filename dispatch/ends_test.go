package dispatch

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"herosup/dispatch/store"
	"herosup/events"
)

// fails is a script that ends with an error, so many times; then it is good.
func fails(times int) func(context.Context, store.Claimed) (store.Outcome, bool) {
	n := 0
	return func(context.Context, store.Claimed) (store.Outcome, bool) {
		if n++; n <= times {
			return store.Outcome{Failed: true, Error: "no", Reason: "exit 3", ExitCode: "3"}, true
		}
		return store.Outcome{Output: "at last"}, true
	}
}

// fast makes retries wait for next to nothing.
func (b *bed) fast() *bed {
	b.redis.options = func(o *store.Options) { o.RetryBase, o.RetryCap = time.Millisecond, 10*time.Millisecond }
	return b
}

func (b *bed) request(e events.Event, answer any) *events.Refusal {
	b.Helper()
	err := b.bus.Request(b.soon(), e, answer)
	var refusal *events.Refusal
	if err != nil && !errors.As(err, &refusal) {
		b.Fatalf("%T: %v", e, err)
	}
	return refusal
}

func (b *bed) deadIDs(c *running) (ids []string) {
	for _, d := range c.buried() {
		ids = append(ids, d.id)
	}
	return ids
}

// A failed script is run again, without anybody's help and with nobody waiting for it meanwhile.
func TestAFailedScriptIsRunAgain(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		polls(&b.cfg)
		b.up()
		b.actor("bash_1", fails(2))
		id := b.submit("x", Options{Retries: new(2)})
		expect(b, func(e events.JobEnded) bool { return e.Job == id && e.Outcome == events.Finished && e.Attempt == 3 })
		for n := 1; n <= 2; n++ {
			e := expectNth(b, n, any1[events.JobRetried])
			if !e.Failed || e.Reason != "exit 3" || e.Retries != n || e.Next.IsZero() || e.Crashes != 0 || e.Attempt != n {
				t.Errorf("%+v", e)
			}
		}
		var v JobView
		if r := b.request(events.JobShow{Job: id}, &v); r != nil || v.Retried != 2 || len(v.History) != 2 || v.History[0].Outcome != store.AttemptFailed {
			t.Errorf("%+v %v", v, r)
		}
	})
}

// A dead job is kept beside Redis, and lives again at a word: counted from zero, with its history.
func TestADeadJobIsKeptAndRetried(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r).fast()
		c := b.up()
		b.actor("bash_1", fails(4))
		id := b.submit("x", Options{Retries: new(1), CallerID: "me", Env: map[string]string{"A": "b"}, Timeout: new(7 * time.Second)})
		dead := expect(b, func(e events.JobDead) bool { return e.Job == id })
		if dead.Reason != store.ReasonRetries || dead.Cause != "exit 3" || !dead.Failed || dead.Actor != "bash_1" {
			t.Errorf("%+v", dead)
		}
		b.eventually("it is in the bucket and not in the log", func() bool { return len(c.buried()) == 1 && b.logged() == 0 })

		var v JobView
		if r := b.request(events.JobRetry{Job: id}, &v); r != nil || v.ID != id || v.Attempts < 2 {
			t.Fatalf("%+v %v", v, r)
		}
		expectNth(b, 2, func(e events.JobDead) bool { return e.Job == id })
		b.eventually("it died again", func() bool { return len(c.buried()) == 1 && b.logged() == 0 })

		// Redis lets the record go; the bucket has it.
		b.rdb.Del(b.soon(), "hero:job:"+id)
		if r := b.request(events.JobShow{Job: id}, &v); r != nil || v.State != StateDead || v.Cause != "exit 3" || v.Env["A"] != "b" || v.Timeout != 7 || v.CallerID != "me" {
			t.Errorf("%+v %v", v, r)
		}
		var list JobPage
		if r := b.request(events.JobList{State: StateDead, Type: "bash"}, &list); r != nil || len(list.Jobs) != 1 || list.Jobs[0].ID != id ||
			list.Jobs[0].Script != "" || list.Jobs[0].Reason != store.ReasonRetries {
			t.Errorf("%+v %v", list, r)
		}
		b.rdb.Del(b.soon(), "hero:dead") // nor does it list it any more
		if r := b.request(events.JobList{State: StateDead}, &list); r != nil || len(list.Jobs) != 1 || list.Jobs[0].ID != id {
			t.Errorf("%+v %v", list, r)
		}
		if m, r := b.ask("hero.cmd.job.await."+id, nil, ""); r != nil || m.Header.Get(HeaderReason) != store.ReasonRetries {
			t.Errorf("%v %v", m, r)
		}
		if r := b.request(events.JobRetry{Job: id}, &v); r != nil {
			t.Fatal(r)
		}
		end := expect(b, func(e events.JobEnded) bool { return e.Job == id })
		if end.Outcome != events.Finished || end.Attempt != 5 {
			t.Errorf("%+v", end)
		}
		if r := b.request(events.JobShow{Job: id}, &v); r != nil || len(v.History) != 4 || v.Env["A"] != "b" {
			t.Errorf("%+v %v", v, r)
		}
		b.eventually("it is among the dead no more", func() bool { return len(c.buried()) == 0 && b.logged() == 0 })
		if _, err := c.deadJob(b.soon(), id); !errors.Is(err, store.ErrNoJob) {
			t.Errorf("it is in the bucket still: %v", err)
		}
	})
}

// Nobody but the daemon can have a job run again through the log.
func TestOnlyTheDaemonRevives(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	b.actor("bash_1", fails(1))
	id := b.submit("x", Options{})
	expect(b, func(e events.JobEnded) bool { return e.Job == id })
	for _, proof := range []string{"1", "", againProof([]byte("a guess"), id, "bash", []byte("x"))} {
		b.raw("bash", nats.Header{HeaderJobID: {id}, HeaderAgain: {proof}}, "x")
		expect(b, func(e events.CommandRejected) bool { return e.Job == id && e.Code == "daemon_only" })
	}
	if r := CheckSubmission("bash", nats.Header{"hero-again": {"1"}}, []byte("x")); r == nil || r.Code != "daemon_only" {
		t.Errorf("%v", r)
	}
	if n := count(b, func(e events.JobStarted) bool { return e.Job == id }); n != 1 {
		t.Errorf("started %d times", n)
	}
}

func TestDeadJobsAreRemovedAndPurged(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.MaxCrashes = 1
		c := b.up()
		var ids []string
		for i := range 3 {
			holding := make(chan store.Claimed, 1)
			a := b.actor("bash_"+numeral(i+1), hold(holding))
			ids = append(ids, b.submit("x", Options{}))
			<-holding
			a.die()
			b.publish(a.exited(false))
			expect(b, func(e events.JobDead) bool { return e.Job == ids[i] })
		}
		b.eventually("all are in the bucket", func() bool { return len(c.buried()) == 3 })
		if got := b.deadIDs(c); !slices.Equal(got, []string{ids[2], ids[1], ids[0]}) {
			t.Errorf("newest first: %v of %v", got, ids)
		}
		var removed RemoveAnswer
		if r := b.request(events.JobRemove{Job: ids[0]}, &removed); r != nil || removed.Job != ids[0] {
			t.Errorf("%+v %v", removed, r)
		}
		expect(b, func(e events.JobRemoved) bool { return e.Job == ids[0] && e.Type == "bash" })
		for _, e := range []events.Event{events.JobShow{Job: ids[0]}, events.JobRemove{Job: ids[0]}, events.JobRetry{Job: ids[0]}} {
			b.eventually("it is forgotten", func() bool { r := b.request(e, nil); return r != nil && r.Status == http.StatusNotFound })
		}
		// One is in the bucket alone.
		b.rdb.Del(b.soon(), "hero:job:"+ids[1])
		var purged PurgeAnswer
		for _, e := range []events.JobPurge{{Type: "python"}, {Reason: "nothing like it"}, {Older: 3600}} {
			if r := b.request(e, &purged); r != nil || purged != (PurgeAnswer{}) {
				t.Errorf("%+v: %+v %v", e, purged, r)
			}
		}
		if r := b.request(events.JobPurge{Type: "Bash", Reason: "died"}, &purged); r != nil || purged != (PurgeAnswer{Removed: 2}) {
			t.Errorf("%+v %v", purged, r)
		}
		b.eventually("none is left", func() bool { return len(c.buried()) == 0 })
		if n := b.rdb.ZCard(b.soon(), "hero:dead").Val(); n != 0 {
			t.Errorf("%d left in Redis", n)
		}
	})
}

// The bucket is bounded by number and age, and what it has comes back into a Redis that lost everything.
func TestTheDeadAreBoundedAndOutliveRedis(t *testing.T) {
	r := miniRedis(t)
	b := newBed(t, r)
	b.cfg.MaxCrashes, b.cfg.DeadMost = 1, 2
	c := b.up()
	var ids []string
	for i := range 3 {
		holding := make(chan store.Claimed, 1)
		a := b.actor("bash_"+numeral(i+1), hold(holding))
		ids = append(ids, b.submit("x", Options{}))
		<-holding
		a.die()
		b.publish(a.exited(false))
		expect(b, func(e events.JobDead) bool { return e.Job == ids[i] })
		b.eventually("it is settled", func() bool { return b.logged() == 0 })
	}
	b.eventually("the oldest is gone", func() bool { return slices.Equal(b.deadIDs(c), []string{ids[2], ids[1]}) })
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	c = b.up() // reads the bucket
	b.eventually("the index is there", func() bool { return slices.Equal(b.deadIDs(c), []string{ids[2], ids[1]}) })
	b.rdb.FlushAll(b.soon())
	expect(b, any1[events.RedisRefilled])
	b.eventually("they are in Redis again", func() bool {
		got := b.rdb.ZRange(b.soon(), "hero:dead", 0, -1).Val()
		return slices.Equal(got, []string{ids[1], ids[2]})
	})
	var v JobView
	if r := b.request(events.JobShow{Job: ids[1]}, &v); r != nil || v.State != StateDead || v.Reason != store.ReasonCrashes {
		t.Errorf("%+v %v", v, r)
	}
}

// A script that runs is ended by its group; that was its end, and who cancelled learns it.
func TestACancelEndsARunningScript(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		scripts := make(chan *process, 1)
		var a *actor
		ready := make(chan struct{})
		a = b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			<-ready
			p := a.script(ctx, j)
			scripts <- p
			p.over(ctx) // it has no handler: TERM ends it
			return store.Outcome{Failed: true, Reason: "signal SIGTERM", Error: "ended"}, true
		})
		close(ready)
		id := b.submit("x", Options{Retries: new(5)})
		p := <-scripts
		var v JobView
		if r := b.request(events.JobCancel{Job: id}, &v); r != nil || v.State != StateCancelled || v.Actor != "bash_1" {
			t.Fatalf("%+v %v", v, r)
		}
		p.kill()
		if by := p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); by != syscall.SIGTERM {
			t.Errorf("it was ended by %v", by)
		}
		e := expect(b, func(e events.JobEnded) bool { return e.Job == id })
		if e.Reason != store.ReasonCancelled || e.Outcome != events.Errored || e.Actor != "bash_1" {
			t.Errorf("%+v", e)
		}
		if n := count(b, any1[events.JobOverran]) + count(b, any1[events.JobRetried]) + count(b, any1[events.JobCancelled]); n != 0 {
			t.Error("told as something else, too")
		}
		// Again: that is so already.
		if r := b.request(events.JobCancel{Job: id}, &v); r != nil || v.State != StateCancelled {
			t.Errorf("%+v %v", v, r)
		}
	})
}

// A script that does not heed TERM is killed after the grace.
func TestACancelledScriptThatStaysIsKilled(t *testing.T) {
	b := newBed(t, miniRedis(t))
	polls(&b.cfg)
	b.cfg.CancelGrace = 50 * time.Millisecond
	b.up()
	scripts := make(chan *process, 1)
	var a *actor
	ready := make(chan struct{})
	a = b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
		<-ready
		p := b.spawnDeaf()
		if _, err := a.a.RecordGroup(ctx, j, p.cmd.Process.Pid, p.inc.Start); err != nil {
			t.Error(err)
		}
		scripts <- p
		p.over(ctx)
		return store.Outcome{Failed: true, Reason: "signal SIGKILL", Error: "ended"}, true
	})
	close(ready)
	id := b.submit("x", Options{})
	<-scripts
	var v JobView
	if r := b.request(events.JobCancel{Job: id}, &v); r != nil || v.State != StateCancelled {
		t.Fatalf("%+v %v", v, r)
	}
}

// An actor that does not end a cancelled job is given up; its death ends the job, which is not given back.
func TestACancelThatIsNotHeededEndsTheActor(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.cfg.CancelGrace = 50 * time.Millisecond
		b.up()
		holding := make(chan store.Claimed, 1)
		a := b.actor("bash_1", hold(holding))
		id := b.submit("x", Options{Retries: new(5)})
		<-holding
		answer := make(chan *events.Refusal, 1)
		var v JobView
		go func() { answer <- b.request(events.JobCancel{Job: id}, &v) }()
		over := expect(b, func(e events.JobOverran) bool { return e.Job == id })
		if !over.Cancelled || over.Actor != "bash_1" || over.Incarnation != a.p.inc {
			t.Errorf("%+v", over)
		}
		a.die() // what the keeper and the executor do about it
		b.publish(a.exited(true))
		if r := <-answer; r != nil || v.State != StateCancelled {
			t.Errorf("%+v %v", v, r)
		}
		expect(b, func(e events.JobEnded) bool { return e.Job == id && e.Reason == store.ReasonCancelled })
		if n := count(b, any1[events.JobRetried]); n != 0 {
			t.Error("it was given back")
		}
	})
}

// Cancel against finish: one of them wins, and who cancelled learns which.
func TestACancelThatCameTooLateIsToldSo(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		holding, release := make(chan store.Claimed, 1), make(chan struct{})
		b.actor("bash_1", func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			holding <- j
			<-release
			return store.Outcome{Output: "good"}, true
		})
		id := b.submit("x", Options{})
		<-holding
		answer := make(chan *events.Refusal, 1)
		go func() { answer <- b.request(events.JobCancel{Job: id}, nil) }()
		b.eventually("the job is marked", func() bool { return b.rdb.HExists(b.soon(), "hero:job:"+id, "cancel").Val() })
		close(release)
		if r := <-answer; r == nil || r.Code != "ended" || r.Status != http.StatusConflict {
			t.Errorf("%+v", r)
		}
		if e := expect(b, func(e events.JobEnded) bool { return e.Job == id }); e.Outcome != events.Finished {
			t.Errorf("%+v", e)
		}
	})
}

// A result that was asked for and is gone before it was read is answered, not waited for.
func TestAResultThatIsForgotten(t *testing.T) {
	b := newBed(t, miniRedis(t))
	c := b.up()
	id := b.submit("x", Options{})
	expect(b, func(e events.JobQueued) bool { return e.Job == id })
	w := &waiters{c: c.Component, jobs: map[string]*waiting{}}
	w.add(waiter{id: id, run: true, sequence: 5})
	w.looked(looked{id: id, told: 4, err: store.ErrNoJob})
	if w.n != 1 {
		t.Error("a job that is on its way is given up")
	}
	w.looked(looked{id: id, told: 5, err: store.ErrNoJob})
	if w.n != 0 {
		t.Error("a job that ended and was forgotten is waited for")
	}
}

// A refusal is of the one run whose message it names, also when that learns its place in the log afterwards.
func TestARefusalIsOfOneRun(t *testing.T) {
	b := newBed(t, miniRedis(t))
	c := b.up()
	w := &waiters{c: c.Component, jobs: map[string]*waiting{}}
	one, other := whatIs("bash", "one"), whatIs("bash", "other")
	for _, early := range []bool{false, true} {
		w.add(waiter{id: "x", run: true, what: one})
		w.add(waiter{id: "x", run: true, what: other})
		told := []any{ranAs{id: "x", sequence: 5, what: other}, ranAs{id: "x", sequence: 6, what: one}}
		refusal := refusedJob{id: "x", sequence: 5, refusal: conflict("x", 5)}
		if early {
			w.take(refusal)
		}
		for _, v := range told {
			w.take(v)
		}
		if !early {
			w.take(refusal)
		}
		left := w.jobs["x"]
		if left == nil || len(left.requests) != 1 || left.requests[0].what != one {
			t.Fatalf("early %v: left are %+v", early, left)
		}
		w.drop("x")
	}
}

// A result asked for after its retention is refused in one line that says so, by every door.
func TestAResultAfterItsRetention(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.actor("bash_1", nil)
		id := b.submit("x", Options{})
		expect(b, func(e events.JobEnded) bool { return e.Job == id })
		b.eventually("it is settled", func() bool { return b.logged() == 0 && b.rdb.TTL(b.soon(), "hero:job:"+id).Val() > 0 })
		for _, key := range []string{"hero:job:" + id, "hero:q:reply:" + id} { // its time is over
			if ok, err := b.rdb.PExpire(b.soon(), key, -time.Second).Result(); !ok || err != nil {
				t.Fatal(key, ok, err)
			}
		}
		check := func(door string, r *events.Refusal) {
			if r == nil || r.Status != http.StatusNotFound || r.Code != "unknown_job" || r.Reason != "no job "+id || !strings.Contains(r.Hint, "results are kept for a time") {
				t.Errorf("%s: %+v", door, r)
			}
		}
		check("show", b.request(events.JobShow{Job: id}, nil))
		check("explain", b.request(events.JobExplain{Job: id}, nil))
		_, refusal := b.ask("hero.cmd.job.await."+id, nil, "")
		check("await", refusal)
	})
}

// busy runs a first job until it is released, and the others at once.
func busy(holding, release chan struct{}) func(context.Context, store.Claimed) (store.Outcome, bool) {
	first := true
	return func(context.Context, store.Claimed) (store.Outcome, bool) {
		if first {
			first = false
			close(holding)
			<-release
		}
		return store.Outcome{Output: "o"}, true
	}
}

// A result that is not kept reaches who waits for it, and nobody later; what else is known of the job stays.
func TestAResultThatIsNotKept(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	b.actor("bash_1", nil)
	id := b.submit("x", Options{KeepResult: new(time.Duration)})
	if m, r := b.ask("hero.cmd.job.await."+id, nil, ""); r != nil || string(m.Data) != "x" {
		t.Fatalf("%v %v", m, r)
	}
	b.eventually("it is settled", func() bool { return b.rdb.ZCard(b.soon(), "hero:results").Val() == 1 })
	b.rdb.ZAdd(b.soon(), "hero:results", redis.Z{Score: 1, Member: b.rdb.ZRange(b.soon(), "hero:results", 0, 0).Val()[0]})
	b.eventually("it is forgotten", func() bool { return b.rdb.HExists(b.soon(), "hero:job:"+id, "forgotten").Val() })
	_, refused := b.ask("hero.cmd.job.await."+id, nil, "")
	if refused == nil || refused.Status != 410 || refused.Code != "result_gone" || !strings.Contains(refused.Reason, id+" is not kept any more; it has ended (finished)") {
		t.Errorf("%+v", refused)
	}
	var v JobView
	if r := b.request(events.JobShow{Job: id}, &v); r != nil || v.State != StateFinished || v.Output != "" || v.ResultGoneAt.IsZero() {
		t.Errorf("%+v %v", v, r)
	}
}
