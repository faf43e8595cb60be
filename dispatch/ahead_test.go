package dispatch

import (
	"context"
	"sync/atomic"
	"testing"

	"herosup/dispatch/store"
	"herosup/events"
)

// endedUntold has so many jobs ended and their ends read, while the teller is held up, as by an intake that fills Redis.
func endedUntold(b *bed, jobs int) (c *running, runs *atomic.Int32, let func()) {
	b.Helper()
	var busy atomic.Bool
	hold := make(chan struct{})
	c = b.up(func(c *Component) {
		c.after = func(step string) error {
			if step == "tell" && busy.Load() {
				<-hold
			}
			return nil
		}
	})
	runs = &atomic.Int32{}
	b.actor("bash_1", func(context.Context, store.Claimed) (store.Outcome, bool) {
		runs.Add(1)
		return store.Outcome{ExitCode: "0"}, true
	})
	expect(b, any1[events.ActorRegistered])
	b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
	busy.Store(true)
	for range jobs {
		b.submit("x", Options{})
	}
	var last string
	b.eventually("all have ended", func() bool {
		idle := b.rdb.ZCard(b.soon(), "hero:idle:bash").Val() == 1
		var err error
		last, err = b.store.LastFact(b.soon())
		return int(runs.Load()) == jobs && idle && err == nil
	})
	b.eventually("the reader has read the last end", func() bool { return compareIDs(*c.factsRead.Load(), last) >= 0 })
	if n := count(b, any1[events.JobEnded]); n != 0 {
		b.Errorf("%d ends are told behind the test's back", n)
	}
	return c, runs, func() { close(hold) }
}

// The reader does not wait for the teller: no job runs again when Redis is emptied while ends are untold. Each is told once.
func TestTheReaderDoesNotWaitForTheTeller(t *testing.T) {
	const jobs = 20
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		_, runs, let := endedUntold(b, jobs)
		b.flush()
		let()
		expect(b, any1[events.RedisRefilled])
		expectNth(b, jobs, any1[events.JobEnded])
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
		if n := runs.Load(); n != jobs {
			t.Errorf("%d runs of %d jobs", n, jobs)
		}
		if n := count(b, any1[events.JobEnded]); n != jobs {
			t.Errorf("%d ends of %d jobs are told", n, jobs)
		}
	})
}

// Who comes after us begins behind what we have read, so a stop tells that first.
func TestAStopTellsWhatIsRead(t *testing.T) {
	const jobs = 20
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		c, _, let := endedUntold(b, jobs)
		c.cancel()
		let()
		if err := c.stop(); err != nil {
			t.Error(err)
		}
		expectNth(b, jobs, any1[events.JobEnded])
	})
}
