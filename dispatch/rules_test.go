package dispatch

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// A job that waits for others is told as such, queued when they have ended, and run then; one that waits for
// nobody known is refused by that name and leaves the log.
func TestPrerequisitesThroughTheLog(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.submit("x", Options{ID: "p1"})
		b.submit("x", Options{ID: "p2"})
		b.submit("x", Options{ID: "d", CallerID: "me", Prerequisites: []Prerequisite{{ID: "p1"}, {ID: "p2", Rule: store.RuleRun}}})
		w := expect(b, any1[events.JobWaiting])
		if w.Job != "d" || !slices.Equal(w.Prerequisites, []string{"p1", "p2"}) || w.CallerID != "me" || w.Sequence == 0 {
			t.Errorf("%+v", w)
		}
		b.submit("x", Options{ID: "lost", Prerequisites: []Prerequisite{{ID: "p1"}, {ID: "nobody"}}})
		c := expect(b, func(e events.CommandRejected) bool { return e.Job == "lost" })
		if c.Code != "unknown_prerequisite" || !strings.Contains(c.Reason, "nobody") || c.Hint == "" {
			t.Errorf("%+v", c)
		}
		var v JobView
		if err := b.bus.Request(b.soon(), events.JobShow{Job: "d"}, &v); err != nil {
			t.Fatal(err)
		}
		if v.State != StateBlocked || len(v.Waits) != 2 || v.Waits[0] != (Need{ID: "p1", Rule: "fail", Status: "dispatched"}) {
			t.Errorf("%+v", v)
		}
		var first JobView
		if err := b.bus.Request(b.soon(), events.JobShow{Job: "p1"}, &first); err != nil || first.Waiting != 1 || !slices.Equal(first.Dependents, []string{"d"}) {
			t.Errorf("%+v %v", first, err)
		}
		b.actor("bash_1", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == "d" && e.Outcome == events.Finished })
		var told []string
		for _, e := range b.told.events() {
			switch e := e.(type) {
			case events.JobWaiting:
				told = append(told, "waiting "+e.Job)
			case events.JobQueued:
				told = append(told, "queued "+e.Job)
			case events.JobStarted:
				told = append(told, "started "+e.Job)
			case events.JobEnded:
				told = append(told, "ended "+e.Job)
			}
		}
		if n := len(told); n != 10 || told[6] != "ended p2" || told[7] != "queued d" || told[8] != "started d" {
			t.Errorf("told %q", told)
		}
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
	})
}

// Redis forgets which prerequisites ended and were settled: what waits for them runs all the same, and what waits
// for one that has not ended waits on.
func TestRefillKnowsWhatHadEnded(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		first := b.up()
		b.submit("x", Options{ID: "p1"})
		b.submit("x", Options{ID: "p2", Delay: time.Hour})
		b.submit("x", Options{ID: "d1", Prerequisites: []Prerequisite{{ID: "p1"}, {ID: "p2", Rule: store.RuleRun}}})
		b.actor("bash_1", nil)
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"}) // the keeper speaks of it: so it is rung
		expect(b, func(e events.JobEnded) bool { return e.Job == "p1" })
		b.eventually("p1 has left the log", func() bool { return b.logged() == 2 })
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		if err := b.rdb.FlushAll(b.soon()).Err(); err != nil {
			t.Fatal(err)
		}
		b.up()
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
		expect(b, any1[events.RedisRefilled])
		needs, err := b.store.Needs(b.soon(), "d1")
		if err != nil || len(needs) != 1 || needs[0].ID != "p2" {
			t.Fatalf("waits for %+v, %v", needs, err)
		}
		if err := b.bus.Request(b.soon(), events.JobCancel{Job: "p2"}, nil); err != nil {
			t.Fatal(err)
		}
		expect(b, func(e events.JobEnded) bool { return e.Job == "d1" && e.Outcome == events.Finished })
	})
}

// A job that nobody begins in time ends by the daemon's timer, with no actor there, and what waits for it
// learns that.
func TestLateJobsEndFromZeroActors(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.LookEvery, b.cfg.MeasureEvery = time.Hour, time.Hour
		b.up()
		b.submit("x", Options{ID: "late", StartWithin: 300 * time.Millisecond, Priority: 3})
		b.submit("x", Options{ID: "d", Prerequisites: []Prerequisite{{ID: "late"}}})
		b.submit("x", Options{ID: "intime", StartWithin: time.Hour})
		e := expect(b, func(e events.JobEnded) bool { return e.Job == "late" })
		if e.Outcome != events.Errored || e.Reason != store.ReasonExpired || e.Actor != "" {
			t.Errorf("%+v", e)
		}
		if e := expect(b, func(e events.JobEnded) bool { return e.Job == "d" }); e.Reason != "prerequisite late" {
			t.Errorf("%+v", e)
		}
		var v JobView
		if err := b.bus.Request(b.soon(), events.JobShow{Job: "late"}, &v); err != nil || v.State != StateExpired {
			t.Errorf("%+v %v", v, err)
		}
		b.eventually("they have left the log", func() bool { return b.logged() == 1 })
		b.actor("bash_1", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == "intime" && e.Outcome == events.Finished })
	})
}

// More wait for one job than its end may look at: the timer goes on with the rest at once.
func TestManyWaitForOne(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.submit("x", Options{ID: "p", Delay: time.Hour})
		const jobs = 1100
		for i := range jobs {
			b.submit("x", Options{ID: "j" + numeral(i), Prerequisites: []Prerequisite{{ID: "p", Rule: store.RuleRun}}})
		}
		expectNth(b, jobs, any1[events.JobWaiting])
		begun := time.Now()
		if err := b.bus.Request(b.soon(), events.JobCancel{Job: "p"}, nil); err != nil {
			t.Fatal(err)
		}
		expectNth(b, jobs+1, any1[events.JobQueued])
		if took := time.Since(begun); took > delayedEvery/2 {
			t.Errorf("released in %v: by the timer's own pace", took)
		}
	})
}

// A higher level goes first also when all come through the log.
func TestLevelsThroughTheLog(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		for i, priority := range []int{-1, 0, 5, 0, 10} {
			b.submit("x", Options{ID: "j" + numeral(i), Priority: priority})
		}
		expectNth(b, 5, any1[events.JobQueued])
		order := make(chan string, 5)
		b.actor("bash_1", func(_ context.Context, j store.Claimed) (store.Outcome, bool) {
			order <- j.ID
			return store.Outcome{}, true
		})
		var got []string
		for range 5 {
			got = append(got, <-order)
		}
		if !slices.Equal(got, []string{"j4", "j2", "j1", "j3", "j0"}) {
			t.Errorf("%v", got)
		}
	})
}
