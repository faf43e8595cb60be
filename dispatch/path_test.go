package dispatch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// Each job is run once and each life is told in its order; then the log and the
// list of the ended are empty, and the records are about to expire.
func TestJobsAreRunToldAndForgotten(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		for i := range 4 {
			b.actor("bash_"+numeral(i+1), nil)
		}
		const jobs = 200
		for i := range jobs {
			b.submit("echo "+numeral(i), Options{ID: "j" + numeral(i)})
		}
		for i := range jobs {
			expect(b, func(e events.JobEnded) bool { return e.Job == "j"+numeral(i) && e.Outcome == events.Finished })
		}
		wantOrder(b, jobs)
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
		b.eventually("all are settled", func() bool { return b.rdb.LLen(b.soon(), "hero:ended").Val() == 0 })
		if ttl := b.rdb.TTL(b.soon(), "hero:job:j0").Val(); ttl <= 0 {
			t.Errorf("the record of an ended job expires in %v", ttl)
		}
		for i := range 4 {
			expect(b, func(e events.ActorRegistered) bool { return e.Actor == "bash_"+numeral(i+1) && e.Pool == "bash" })
		}
	})
}

// wantOrder checks that every job was queued, started once and ended, in that
// order.
func wantOrder(b *bed, jobs int) {
	b.Helper()
	lives := map[string]string{}
	for _, e := range b.told.events() {
		switch e := e.(type) {
		case events.JobQueued:
			lives[e.Job] += "q"
		case events.JobStarted:
			lives[e.Job] += "s"
		case events.JobEnded:
			lives[e.Job] += "e"
		}
	}
	for i := range jobs {
		if life := lives["j"+numeral(i)]; life != "qse" {
			b.Errorf("job j%d: told %q, want queued, started, ended", i, life)
		}
	}
}

// A daemon that stops in the middle and one that goes on: nothing is lost, nothing
// runs twice, and the actors do not notice.
func TestRestartInTheMiddle(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		ran := make(chan string, 1000)
		slow := func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			ran <- j.ID
			return store.Outcome{}, pause(ctx, time.Millisecond)
		}
		for i := range 4 {
			b.actor("bash_"+numeral(i+1), slow)
		}
		const jobs = 200
		for i := range jobs / 2 {
			b.submit("x", Options{ID: "j" + numeral(i)})
		}
		expectNth(b, 20, any1[events.JobEnded])
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		for i := jobs / 2; i < jobs; i++ { // accepted by the log while nobody reads it
			b.submit("x", Options{ID: "j" + numeral(i)})
		}
		b.up()
		waitEnded(b, jobs)
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
		seen := map[string]int{}
		for len(ran) > 0 {
			seen[<-ran]++
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("job %s ran %d times", id, n)
			}
		}
		if len(seen) != jobs {
			t.Errorf("%d jobs ran, want %d", len(seen), jobs)
		}
	})
}

// waitEnded waits until some actor had the end of each of the jobs j0... taken. (A
// record is no witness: Redis may have forgotten it after the job had left the log.)
func waitEnded(b *bed, jobs int) {
	b.Helper()
	for i := range jobs {
		id := "j" + numeral(i)
		b.eventually("job "+id+" has ended", func() bool {
			_, ok := b.finished.Load(id)
			return ok
		})
	}
}

// A submission before anybody can run it waits; its acceptance comes at once and
// tells who would have to act.
func TestASingleSubmissionIsAcceptedAtOnce(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	var took []time.Duration
	for i := range 20 {
		at := time.Now()
		b.submit("x", Options{ID: "j" + numeral(i), CallerID: "me"})
		q := expect(b, func(e events.JobQueued) bool { return e.Job == "j"+numeral(i) })
		took = append(took, time.Since(at))
		if q.Ready != i+1 || q.Type != "bash" || q.CallerID != "me" || q.Sequence == 0 {
			t.Errorf("queued %+v, want %d ready", q, i+1)
		}
	}
	t.Logf("publish to JobQueued: median %v", median(took))
}

func median(d []time.Duration) time.Duration {
	s := append([]time.Duration(nil), d...)
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
	return s[len(s)/2]
}

// The same id in the log twice is one job; another script under it is a conflict.
func TestIDsAreTakenOnce(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		h := Options{ID: "same"}.Header() // no Nats-Msg-Id: the log does not look at ours
		publish := func(script string) uint64 {
			return b.raw("bash", h, script)
		}
		publish("one")
		publish("one")
		other := publish("two")
		rej := expect(b, func(e events.CommandRejected) bool { return e.Code == "conflict" })
		if rej.Job != "same" || rej.Sequence != other || rej.Hint == "" {
			t.Errorf("refusal %+v", rej)
		}
		b.eventually("the log holds one of three", func() bool { return b.logged() == 1 })
		b.actor("bash_1", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == "same" })
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
		if n := count(b, any1[events.JobQueued]); n != 1 {
			t.Errorf("queued %d times", n)
		}
	})
}

// A job whose id is taken by a key of another kind holds up nobody.
func TestAForeignKeyUnderAnIDIsRefused(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		if err := b.rdb.Set(b.soon(), "hero:job:bad", "theirs", 0).Err(); err != nil {
			t.Fatal(err)
		}
		b.submit("x", Options{ID: "good1"})
		b.submit("x", Options{ID: "bad"})
		b.submit("x", Options{ID: "good2"})
		rej := expect(b, func(e events.CommandRejected) bool { return e.Job == "bad" })
		if rej.Code != "foreign_key" {
			t.Errorf("refusal %+v", rej)
		}
		expect(b, func(e events.JobQueued) bool { return e.Job == "good2" })
		if n := count(b, any1[events.RedisLost]); n != 0 {
			t.Error("one odd key was told as a lost Redis")
		}
	})
}

// Every state of a depth is told: jobs that wait, that are delayed, in hand.
func TestDepthIsTold(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.MeasureEvery = 20 * time.Millisecond
		b.up()
		expect(b, func(e events.QueueMeasured) bool { return e == events.QueueMeasured{Type: "bash"} })
		b.submit("x", Options{Delay: time.Hour})
		for range 3 {
			b.submit("x", Options{})
		}
		expect(b, func(e events.QueueMeasured) bool { return e.Ready == 3 && e.Delayed == 1 && e.InFlight == 0 })
		hold := func(ctx context.Context, _ store.Claimed) (store.Outcome, bool) { return store.Outcome{}, false }
		b.actor("bash_1", hold)
		expect(b, func(e events.QueueMeasured) bool { return e.Ready == 2 && e.Delayed == 1 && e.InFlight == 1 })
		expect(b, func(e events.QueueMeasured) bool { return e.Ready == 2 && e.OldestWait > 0 })
	})
}

// A delayed job starts at its time, and not before; an earlier one that comes
// later is not held up by it.
func TestDelayedJobsStartAtTheirTime(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.actor("bash_1", nil)
		for i, delay := range []time.Duration{600 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
			b.submit("x", Options{ID: "j" + numeral(i), Delay: delay})
		}
		var order []string
		for n := range 3 {
			e := expectNth(b, n+1, any1[events.JobStarted])
			order = append(order, e.Job)
			q := expect(b, func(q events.JobQueued) bool { return q.Job == e.Job })
			late := time.Since(q.DelayedUntil)
			if late < 0 {
				t.Errorf("job %s started %v before its time", e.Job, -late)
			}
			t.Logf("job %s: %v after its time", e.Job, late)
		}
		if fmt.Sprint(order) != "[j1 j2 j0]" {
			t.Errorf("started in the order %v", order)
		}
	})
}

// Types that others name, and more of them than are served, take nothing from those of the pools: what is delayed of
// these begins, and they are measured.
func TestTypesWithoutAPoolPushNoneOut(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		var named []any
		for i := range maxTypes + 1 {
			named = append(named, fmt.Sprint("a", i))
		}
		if err := b.rdb.SAdd(b.soon(), "hero:types", named...).Err(); err != nil {
			t.Fatal(err)
		}
		c := b.up()
		b.actor("bash_1", nil)
		expect(b, func(e events.QueueMeasured) bool { return e.Type == "bash" })
		b.submit("x", Options{ID: "later", Delay: 10 * time.Millisecond})
		expect(b, func(e events.JobStarted) bool { return e.Job == "later" })
		if n := len(c.typesNow()); n != maxTypes {
			t.Errorf("%d types are served, want %d", n, maxTypes)
		}
	})
}
