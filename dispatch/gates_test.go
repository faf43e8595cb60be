package dispatch

import (
	"context"
	"testing"

	"herosup/dispatch/store"
	"herosup/events"
)

func closeIntake(actor, nonce string) events.CloseIntake {
	return events.CloseIntake{Node: events.LocalNode, Actor: actor, Pool: "bash", Nonce: nonce}
}

func openIntake(actor string) events.OpenIntake {
	return events.OpenIntake{Node: events.LocalNode, Actor: actor, Pool: "bash"}
}

func drainedAs(nonce string) func(events.ActorDrained) bool {
	return func(e events.ActorDrained) bool { return e.Nonce == nonce }
}

// An idle actor is drained at once and takes nothing more, until its intake opens.
func TestAnIdleActorIsDrainedAtOnce(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		a := b.actor("bash_1", nil)
		expect(b, any1[events.ActorRegistered])
		b.publish(closeIntake("bash_1", "n1"))
		if e := expect(b, drainedAs("n1")); e.Incarnation != a.p.inc || e.Pool != "bash" {
			t.Errorf("drained %+v", e)
		}
		id := b.submit("x", Options{})
		expect(b, func(e events.JobQueued) bool { return e.Job == id })
		b.publish(closeIntake("bash_1", "n2")) // again: answered again
		expect(b, drainedAs("n2"))
		if n := count(b, any1[events.JobStarted]); n != 0 {
			t.Error("a job was taken through a closed gate")
		}
		b.publish(openIntake("bash_1"))
		expect(b, func(e events.JobEnded) bool { return e.Job == id })
	})
}

// A busy actor is drained by the end of its job, which is told before.
func TestABusyActorIsDrainedAfterItsJob(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		holding, release := make(chan string, 10), make(chan struct{})
		run := func(ctx context.Context, j store.Claimed) (store.Outcome, bool) {
			holding <- j.ID
			select {
			case <-release:
				return store.Outcome{}, true
			case <-ctx.Done():
				return store.Outcome{}, false
			}
		}
		b.actor("bash_1", run)
		first := b.submit("x", Options{})
		<-holding
		second := b.submit("x", Options{})
		expect(b, func(e events.JobQueued) bool { return e.Job == second })
		// Closed, opened and closed again while the same job runs: the end of the job
		// answers the last close alone.
		b.publish(closeIntake("bash_1", "n1"))
		b.publish(openIntake("bash_1"))
		b.publish(closeIntake("bash_1", "n2"))
		b.publish(events.PingIntake{Node: events.LocalNode, Actor: "bash_1", Pool: "bash", Nonce: "behind"})
		expect(b, func(e events.ActorPinged) bool { return e.Nonce == "behind" }) // orders keep their order
		release <- struct{}{}
		expect(b, drainedAs("n2"))
		if n := count(b, drainedAs("n1")); n != 0 {
			t.Error("a close that was taken back was answered")
		}
		endedAt, drainedAt := -1, -1
		for i, e := range b.told.events() {
			switch e := e.(type) {
			case events.JobEnded:
				endedAt = i
			case events.ActorDrained:
				drainedAt = i
			case events.JobStarted:
				if e.Job != first {
					t.Errorf("job %s was taken through a closed gate", e.Job)
				}
			}
		}
		if endedAt < 0 || drainedAt < endedAt {
			t.Errorf("ended told at %d, drained at %d", endedAt, drainedAt)
		}
		close(release)
		b.publish(openIntake("bash_1"))
		expect(b, func(e events.JobEnded) bool { return e.Job == second })
	})
}

// A close of an actor that has not come up yet is answered, and kept: its hello
// opens the gate, and it is closed again.
func TestAHelloBehindAWantedCloseIsClosedAgain(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		b.publish(closeIntake("bash_1", "n1"))
		if e := expect(b, drainedAs("n1")); !e.Incarnation.IsZero() {
			t.Errorf("nobody is registered: %+v", e)
		}
		a := b.actor("bash_1", nil)
		expectNth(b, 2, func(e events.ActorDrained) bool { return e.Nonce == "n1" })
		if e := expect(b, func(e events.ActorDrained) bool { return !e.Incarnation.IsZero() }); e.Incarnation != a.p.inc {
			t.Errorf("drained %+v", e)
		}
		id := b.submit("x", Options{})
		expect(b, func(e events.JobQueued) bool { return e.Job == id })
		b.publish(closeIntake("bash_1", "n2"))
		expect(b, drainedAs("n2"))
		if n := count(b, any1[events.JobStarted]); n != 0 {
			t.Error("a job was taken behind a wanted close")
		}
		// The exit of that life ends the story: the next one is open.
		a.die()
		b.publish(a.exited(true))
		b.eventually("it is forgotten", func() bool { return b.rdb.HLen(b.soon(), "hero:incarnations").Val() == 0 })
		b.actor("bash_1", nil)
		expect(b, func(e events.JobEnded) bool { return e.Job == id })
	})
}

// A close that finds Redis away is carried out when it is back.
func TestACloseWaitsForRedis(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		b.actor("bash_1", nil)
		expect(b, any1[events.ActorRegistered])
		r.stop()
		expect(b, any1[events.RedisLost])
		b.publish(closeIntake("bash_1", "n1"))
		b.publish(closeIntake("bash_2", "n2"))
		if err := b.bus.Flush(b.soon()); err != nil {
			t.Fatal(err)
		}
		if n := count(b, any1[events.ActorDrained]); n != 0 {
			t.Error("drained while Redis is away")
		}
		r.boot()
		expect(b, drainedAs("n1"))
		expect(b, drainedAs("n2"))
		expect(b, any1[events.RedisBack])
	})
}

// Pings are told before their pongs, each once, and only when pushed.
func TestPingsAreToldBeforePongs(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		polls(&b.cfg)
		b.up()
		a := b.actor("bash_1", nil)
		expect(b, any1[events.ActorRegistered])
		b.publish(events.PingIntake{Node: events.LocalNode, Actor: "bash_9", Pool: "bash", Nonce: "nobody"})
		const pings = 50
		for i := range pings {
			n := "p" + numeral(i)
			b.publish(events.PingIntake{Node: events.LocalNode, Actor: "bash_1", Pool: "bash", Nonce: n})
			if e := expect(b, func(e events.ActorPonged) bool { return e.Nonce == n }); e.Incarnation != a.p.inc {
				t.Errorf("pong of %s", e.Incarnation)
			}
		}
		open := map[string]int{}
		for _, e := range b.told.events() {
			switch e := e.(type) {
			case events.ActorPinged:
				open[e.Nonce]++
			case events.ActorPonged:
				if open[e.Nonce] != 1 {
					t.Errorf("pong %s after %d pings of that name", e.Nonce, open[e.Nonce])
				}
			}
		}
		if len(open) != pings || open["nobody"] != 0 {
			t.Errorf("%d pings told, want %d", len(open), pings)
		}
	})
}

// The end of a job that a withdrawn close was waiting for does not answer the next
// close, in whatever order the two are heard of.
func TestADrainedFactAnswersItsOwnCloseOnly(t *testing.T) {
	c := &Component{tell: make(chan telling, 10)}
	g := &gates{c: c, want: map[string]*gate{"bash_1": {actor: "bash_1", pool: "bash", close: true, done: true, nonce: "n2", since: "5-1"}}}
	for id, told := range map[string]int{"5-1": 0, "4-9": 0, "5-2": 1, "6-0": 1} {
		g.hear(t.Context(), drainedFact{actor: "bash_1", id: id})
		if n := len(c.tell); n != told {
			t.Errorf("fact %s after a close behind 5-1: told %d times, want %d", id, n, told)
		}
		for len(c.tell) > 0 {
			if e := (<-c.tell).event.(events.ActorDrained); e.Nonce != "n2" {
				t.Errorf("nonce %s", e.Nonce)
			}
		}
	}
	g.hear(t.Context(), drainedFact{actor: "bash_2", id: "9-0"})
	if len(c.tell) != 0 {
		t.Error("told of a gate that nobody wants closed")
	}
}
