package scaler

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"herosup/events"
)

func TestSubmissionsStartActorsAtOnce(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		before := time.Now()
		b.say(b.dispatch, b.queued("j1"))
		b.want(b.quiet(), "start bash_1", "decided: bash 0→1: 1 ready, 0 running, target 1 per actor; limited by nothing")
		b.say(b.dispatch, b.queued("j2"))
		b.want(actions(b.quiet()), "start bash_2")
		if d := time.Since(before); d != 0 {
			t.Errorf("took %s", d)
		}
	})
}

func TestStartIsLinkedToTheSubmission(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		all, err := b.anyone.Subscribe(events.FactsOf("job"), events.CommandsOf("actor"))
		if err != nil {
			t.Fatal(err)
		}
		b.say(b.dispatch, b.queued("j1"))
		var submission, cause string
		for range 2 { // they may overtake each other on their way here
			m, err := all.Open(<-all.C)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := m.Event.(events.JobQueued); ok {
				submission = m.ID
			} else {
				cause = m.CausationID
			}
		}
		if cause == "" || cause != submission {
			t.Errorf("the start was caused by %q, want %q", cause, submission)
		}
	})
}

// What was started counts until it is heard of, or is late.
func TestNothingIsStartedTwice(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		b.say(b.dispatch, b.queued("j1"))
		b.want(actions(b.quiet()), "start bash_1")
		b.measure(events.QueueMeasured{Type: "bash", Ready: 1}, 29*time.Second)
		b.want(actions(b.quiet()))
		b.moved("bash_1", "starting")
		b.measure(events.QueueMeasured{Type: "bash", Ready: 1}, 29*time.Second)
		b.want(actions(b.quiet()))
		b.measure(events.QueueMeasured{Type: "bash", Ready: 1}, 2*time.Second)
		b.want(actions(b.quiet()), "start bash_2") // bash_1 hangs in its start
	})
}

// A start of which nothing is ever heard is asked for again, also when no fact
// comes to wake anybody.
func TestUnheardStartIsRepeatedAfterItsTimeout(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		b.say(b.dispatch, b.queued("j1"))
		b.want(actions(b.quiet()), "start bash_1")
		b.pass(30*time.Second - time.Millisecond)
		b.want(actions(b.quiet()))
		b.pass(time.Millisecond)
		b.want(actions(b.quiet()), "start bash_1")
	})
}

func TestBurstStartsExactlyMax(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		for i := range 1000 {
			b.say(b.dispatch, events.JobQueued{Type: "bash", Job: fmt.Sprint("j", i), Ready: i + 1})
		}
		b.want(actions(b.quiet()), "start bash_1", "start bash_2", "start bash_3", "start bash_4")
	})
}

func TestIdleActorsGoAfterTheTimeoutAndNotBefore(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		b.moved("bash_1", "idle")
		b.moved("bash_2", "running")
		b.quiet()
		b.measure(events.QueueMeasured{Type: "bash", InFlight: 1}, 299*time.Second)
		b.want(actions(b.quiet()))
		b.measure(events.QueueMeasured{Type: "bash", InFlight: 1}, 2*time.Second)
		b.want(actions(b.quiet()), "stop bash_1")
		// The stop counts although nothing is heard of it yet.
		b.measure(events.QueueMeasured{Type: "bash", InFlight: 1}, 10*time.Second)
		b.want(actions(b.quiet()))
		// Work in the meantime calls it back rather than starting another.
		b.moved("bash_1", "draining")
		b.quiet()
		b.say(b.dispatch, b.queued("j9"))
		b.want(actions(b.quiet()), "start bash_1")
		b.moved("bash_1", "idle")
		b.say(b.keeper, events.ActorStateChanged{Pool: "bash", Actor: "bash_2", To: "idle"}, events.JobStarted{Type: "bash", Job: "j9", Actor: "bash_1", Attempt: 1})
		b.measure(events.QueueMeasured{Type: "bash"}, 301*time.Second)
		b.want(actions(b.quiet()), "stop bash_2")
	})
}

func TestNothingShrinksWithoutMeasurementsOrRedis(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		b.moved("bash_1", "idle")
		b.pass(time.Hour)
		b.want(actions(b.quiet()))
		b.say(b.dispatch, events.RedisLost{}, events.QueueMeasured{Type: "bash"})
		b.want(actions(b.quiet()))
		b.say(b.dispatch, events.RedisBack{})
		b.want(actions(b.quiet()))
		b.say(b.dispatch, events.QueueMeasured{Type: "bash"})
		b.want(actions(b.quiet()), "stop bash_1")
	})
}

// A dead actor is replaced at once from another slot.
func TestCapacityComesFromAnotherSlot(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		b.say(b.dispatch, b.queued("j1"))
		b.moved("bash_1", "idle")
		b.say(b.dispatch, events.JobStarted{Type: "bash", Job: "j1", Actor: "bash_1", Attempt: 1})
		b.quiet()
		b.moved("bash_1", "failed")
		b.say(b.dispatch, events.JobRetried{Type: "bash", Job: "j1", Actor: "bash_1", Attempt: 1, Ready: 1})
		b.want(actions(b.quiet()), "start bash_2")
	})
}

func TestRefusedStartFreesItsPlace(t *testing.T) {
	bubble(t, bash(func(p *Policy) { p.Max = 2 }), func(t *testing.T, b *bed) {
		b.up()
		b.say(b.dispatch, b.queued("j1"))
		b.quiet()
		b.say(b.keeper, events.CommandRejected{Command: "actor-start", Actor: "bash_1", Code: "not_now"})
		b.want(actions(b.quiet()), "start bash_2")
		b.say(b.keeper, events.CommandRejected{Command: "actor-start", On: "hero.cmd.actor.start.bash_2", Code: "not_now"})
		b.want(actions(b.quiet())) // nobody is left to ask
		b.pass(RefusalPause)
		b.want(actions(b.quiet()), "start bash_1")
		// Somebody else's refusal frees nothing.
		b.say(b.keeper, events.CommandRejected{Command: "actor-start", Actor: "bash_2", Code: "not_now"})
		b.want(actions(b.quiet()))
	})
}

func TestPoolThatCanNotBeHadIsDegraded(t *testing.T) {
	bubble(t, bash(func(p *Policy) { p.Max = 2 }), func(t *testing.T, b *bed) {
		b.up()
		b.say(b.dispatch, b.queued("j1"), b.queued("j2"))
		b.quiet()
		b.moved("bash_1", "quarantined")
		b.moved("bash_2", "idle")
		b.pass(2 * time.Second)
		b.want(b.quiet(), "decided: bash 1 stays (wanted 2): 2 ready, 0 running, target 1 per actor; limited by crash_loop: 1 quarantined",
			"degraded bash: wants 2, can have 1: 1 quarantined")
		b.moved("bash_1", "starting")
		b.pass(2 * time.Second)
		b.want(b.quiet(), "decided: bash 2 stays: 2 ready, 0 running, target 1 per actor; limited by nothing")
	})
}

// A keeper that refuses everything is not asked in a tight circle.
func TestRefusalsAreBounded(t *testing.T) {
	bubble(t, bash(func(p *Policy) { p.Min = 4 }), func(t *testing.T, b *bed) {
		sub, err := b.keeper.Subscribe(events.CommandsOf("actor"))
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		n := make(chan int)
		go func() {
			asked := 0
			for {
				select {
				case raw := <-sub.C:
					asked++
					m, _ := sub.Open(raw)
					_ = b.keeper.Reject(m, &events.Refusal{Status: 409, Code: "no", Reason: "no"})
				case <-stop:
					n <- asked
					return
				}
			}
		}()
		b.up()
		b.pass(10 * time.Second)
		close(stop)
		if asked := <-n; asked < 40 || asked > 48 {
			t.Errorf("asked %d times in 10 s, want 4 a second", asked)
		}
	})
}

// Actors that live on from before the daemon's restart are not started again:
// nothing is decided before all is in place.
func TestNothingIsDecidedBeforeTheSystemStarted(t *testing.T) {
	bubble(t, bash(func(p *Policy) { p.Min = 1 }), func(t *testing.T, b *bed) {
		b.say(b.dispatch, b.queued("j1"))
		b.want(b.quiet())
		b.pass(time.Second)
		b.want(b.quiet())
		b.moved("bash_1", "idle")
		b.quiet()
		b.say(b.dispatch, events.SystemStarted{})
		b.want(b.quiet(), "decided: bash 1 stays: 1 ready, 0 running, target 1 per actor; limited by nothing")
	})
	bubble(t, bash(nil), func(t *testing.T, b *bed) { // somebody forgot to say it
		b.say(b.dispatch, b.queued("j1"))
		b.pass(defaultSettle)
		b.want(actions(b.quiet()), "start bash_1")
	})
}

// The scaler starts last: what the keeper said before it hears from the monitor's
// list, and waits for it.
func TestStatesFromBeforeTheStartAreRead(t *testing.T) {
	var svc *events.Service
	bubbleAfter(t, bash(func(p *Policy) { p.Min = 1 }), func(b *bed) {
		var err error
		if svc, err = b.keeper.Serve(events.ServiceConfig{Name: "list", Description: "test", Patterns: []events.Pattern{events.Of(events.ActorList{})}}); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T, b *bed) {
		defer func() { _ = svc.Stop() }()
		b.say(b.dispatch, events.QueueMeasured{Type: "bash"}, events.SystemStarted{}, b.queued("j1"))
		b.want(b.quiet())
		since := time.Now().Add(-10 * time.Minute)
		if err := b.next(svc).Respond([]known{{Name: "bash_1", State: Running, Holds: 1, Since: since}, {Name: "bash_2", State: Idle, Since: since}}); err != nil {
			t.Fatal(err)
		}
		b.want(b.quiet(), "decided: bash 2 stays: 1 ready, 1 running, target 1 per actor; limited by nothing")
		b.say(b.dispatch, events.JobStarted{Type: "bash", Job: "j1", Actor: "bash_2", Attempt: 1}, events.JobEnded{Type: "bash", Job: "j0", Actor: "bash_1"})
		b.want(actions(b.quiet()))
	})
}

// What an answer knows was told to the scaler before, too, if it has not read it yet: a job that began while it asked counts once.
func TestAJobThatBeginsDuringTheQuestionCountsOnce(t *testing.T) {
	srv := newServer(t)
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	hub := events.NewHub(events.HubConfig{State: "test", Dial: func(_ string, more ...nats.Option) (*nats.Conn, error) {
		return nats.Connect("", append(more, nats.InProcessServer(srv))...)
	}})
	defer hub.Close()
	own, err := hub.Connect("scaler")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	dispatch, err := hub.Connect("dispatch")
	if err != nil {
		t.Fatal(err)
	}
	defer dispatch.Close()
	s, err := New(Config{Pools: bash(nil)}, own, nil)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := own.Subscribe(events.Facts)
	if err != nil {
		t.Fatal(err)
	}
	if err := dispatch.Publish(events.JobStarted{Type: "bash", Job: "j1", Actor: "bash_1", Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	s.answered(facts, answer{actors: []known{{Name: "bash_1", State: Running, Holds: 1}}})
	s.drain(facts, &events.Service{})
	if snapshot, _ := s.view.Snapshot("bash", time.Now()); snapshot.Actors[0].Jobs != 1 {
		t.Errorf("it holds %d jobs, want 1", snapshot.Actors[0].Jobs)
	}
}

func TestNothingIsStartedWhileTheSystemStops(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		b.say(b.keeper, events.SystemStopping{StopActors: true})
		b.say(b.keeper, b.queued("j1"))
		b.pass(time.Hour)
		b.want(actions(b.quiet()))
	})
}

// After a hole in the facts nothing shrinks before the next measurement, and the
// actors' states are read again.
func TestHoleInTheFacts(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		svc, err := b.keeper.Serve(events.ServiceConfig{Name: "list", Description: "test", Patterns: []events.Pattern{events.Of(events.ActorList{})}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = svc.Stop() }()
		b.up()
		b.moved("bash_1", "idle")
		b.moved("bash_2", "idle")
		b.measure(events.QueueMeasured{Type: "bash"}, 295*time.Second)
		b.quiet()
		b.numbered(1, events.ZinitBack{})
		b.numbered(5, events.ZinitBack{})
		if err := b.next(svc).Respond([]known{{Name: "bash_1", State: Stopped}, {Name: "bash_2", State: Idle}}); err != nil {
			t.Fatal(err)
		}
		b.pass(6 * time.Second)
		b.want(actions(b.quiet()))
		b.say(b.dispatch, events.QueueMeasured{Type: "bash"})
		b.want(actions(b.quiet()), "stop bash_2")
	})
}

// numbered publishes a fact with a sequence of its own.
func (b *bed) numbered(seq int, e events.Event) {
	b.t.Helper()
	k := events.KindOf(e)
	data, err := json.Marshal(e)
	if err != nil {
		b.t.Fatal(err)
	}
	body := fmt.Sprintf(`{"specversion":"1.0","id":"x%d","source":"gap","type":%q,"sequence":"%d","data":%s}`, seq, k.Type(), seq, data)
	if err := b.anyone.Conn().Publish("hero.evt."+k.Entity+"."+k.Verb, []byte(body)); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

// A rule that comes and goes with each job is told once a second.
func TestFlappingRuleIsToldOnceASecond(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		b.moved("bash_1", "idle")
		b.pass(2 * time.Second)
		b.quiet()
		for i := range 500 {
			id := fmt.Sprint("j", i)
			b.say(b.dispatch, b.queued(id), events.JobStarted{Type: "bash", Job: id, Actor: "bash_1", Attempt: 1})
			synctest.Wait()
			b.say(b.dispatch, events.JobEnded{Type: "bash", Job: id, Actor: "bash_1"})
			b.pass(10 * time.Millisecond)
		}
		if n := len(b.quiet()); n > 8 {
			t.Errorf("%d decisions told in 5 s", n)
		}
	})
}

func TestStartAndStopHammered(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	srv := newServer(t)
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	for i := range 100 {
		bus := newBus(t, srv, "scaler")
		s, err := New(Config{Pools: bash(nil)}, bus, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if i%4 == 0 {
			cancel() // before the start
		}
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		if i%2 == 0 {
			<-s.Ready()
		}
		cancel()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		bus.Close()
	}
}

// A pool whose interpreter is missing starts nobody, whatever waits; when it is there, what waits is served at once.
func TestBlockedPoolStartsWhenItIsUnblocked(t *testing.T) {
	bubble(t, bash(nil), func(t *testing.T, b *bed) {
		b.up()
		b.say(b.dispatch, events.PoolBlocked{Pool: "bash", Reason: "lua is not here"}, b.queued("j1"))
		b.want(b.quiet(), "decided: bash 0 stays (wanted 1): 1 ready, 0 running, target 1 per actor; limited by blocked: lua is not here")
		b.say(b.dispatch, events.PoolBlocked{Pool: "none", Reason: "of no pool"}, b.queued("j2"))
		b.want(actions(b.quiet()))
		b.say(b.dispatch, events.PoolUnblocked{Pool: "bash"})
		b.want(actions(b.quiet()), "start bash_1", "start bash_2")
	})
}
