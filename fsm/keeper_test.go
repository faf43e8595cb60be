package fsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herosup/events"
)

var bash = map[string]PoolConfig{"bash": {Max: 3}}

func TestKeeperObeysAndTells(t *testing.T) {
	bubble(t, bash, func(b *bed) {
		b.expect(b.quiet(), "resynchronised; observe")
		b.expect(b.ask(events.ActorStart{Actor: "bash_1"}), "bash_1 starting")
		b.expect(b.quiet(), "bash_1 stopped->starting; open bash_1; start bash_1")
		b.expect(b.ask(events.ActorStart{Actor: "bash_1"}), "bash_1 starting already")
		b.say(b.executor, events.ProcessStarted{Pool: "bash", Actor: "bash_1", Incarnation: life(1)},
			events.ProcessReady{Pool: "bash", Actor: "bash_1", Incarnation: life(1)})
		b.say(b.dispatch, events.JobStarted{Type: "bash", Job: "J1", Actor: "bash_1", Incarnation: life(1), Attempt: 1})
		b.expect(b.quiet(), "bash_1 starting->idle; bash_1 idle->running")
		b.expect(b.ask(events.ActorStop{Actor: "bash_1"}), "bash_1 draining")
		b.expect(b.quiet(), "bash_1 running->draining; close bash_1")
		b.pass(time.Hour)
		b.expect(b.quiet(), "")
	})
}

// A stop, its drain, its end: each message names the one that led to it, and all
// of them the command.
func TestKeeperLinksCauses(t *testing.T) {
	bubble(t, bash, func(b *bed) {
		b.up(1)
		b.say(b.dispatch, events.ActorStop{Actor: "bash_1", Reason: "too many"})
		heard := b.messages()
		if len(heard) != 2 {
			t.Fatalf("heard %v", heard)
		}
		closing := heard[1].Event.(events.CloseIntake)
		for _, m := range heard {
			if m.CausationID == "" || m.CausationID != heard[0].CausationID || m.CorrelationID != m.CausationID {
				t.Errorf("%s: caused by %q, correlates with %q", short(m.Event), m.CausationID, m.CorrelationID)
			}
		}
		if c := heard[0].Event.(events.ActorStateChanged); c.Reason != "stopped by command: too many" || c.Incarnation != life(1) {
			t.Errorf("%+v", c)
		}
		b.say(b.dispatch, events.ActorDrained{Pool: "bash", Actor: "bash_1", Incarnation: life(1), Nonce: "not this"})
		b.expect(b.quiet(), "")
		b.say(b.dispatch, events.ActorDrained{Pool: "bash", Actor: "bash_1", Incarnation: life(1), Nonce: closing.Nonce})
		b.expect(b.quiet(), "bash_1 draining->stopping; stop bash_1")
		if got := b.keeper.Ignored(); got != 1 {
			t.Errorf("%d facts were ignored, want the one of another close", got)
		}
	})
}

func TestKeeperRefusesWithReasonHintAndHistory(t *testing.T) {
	bubble(t, map[string]PoolConfig{"bash": {Max: 3}, "my_py": {}}, func(b *bed) {
		b.up(1)
		b.say(b.dispatch, events.JobStarted{Type: "bash", Job: "J1", Actor: "bash_1", Incarnation: life(1), Attempt: 1})
		b.quiet()
		for _, c := range []struct {
			command events.Event
			status  int
			code    string
			hint    string
		}{
			{events.ActorPing{Actor: "bash_1"}, 409, "wrong_state", "only an idle actor can be pinged"},
			{events.ActorReset{Actor: "bash_1"}, 409, "wrong_state", "only a quarantined actor can be reset"},
			{events.ActorRestart{Actor: "bash_2"}, 409, "wrong_state", "`herosup start bash_2` starts it"},
			{events.ActorStop{Actor: "bash_1", Deadline: -1}, 400, "bad_deadline", "leave it out to wait for the job however long it takes"},
			{events.ActorStart{Actor: "bash_4"}, 404, "unknown_actor", "actors of pool bash are bash_1 to bash_3 (max: 3)"},
			{events.ActorStop{Actor: "bash_4"}, 404, "unknown_actor", "actors of pool bash are bash_1 to bash_3 (max: 3)"},
			{events.ActorStart{Actor: "my_py_1"}, 404, "unknown_actor", "pool my_py may have none (max: 0)"},
			{events.ActorStart{Actor: "ruby_1"}, 404, "unknown_pool", "pools: bash, my_py"},
			{events.ActorStart{Actor: "bash"}, 400, "bad_actor", "an actor is named <pool>_<n>, the first one of the pool bash is bash_1"},
			{events.ActorStart{Actor: "bash_01"}, 400, "bad_actor", "an actor is named <pool>_<n>, the first one of the pool bash is bash_1"},
			{events.ActorStart{Actor: "bash_0"}, 400, "bad_actor", "an actor is named <pool>_<n>, the first one of the pool bash is bash_1"},
		} {
			ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
			err := b.dispatch.Request(ctx, c.command, nil)
			cancel()
			var r *events.Refusal
			if !errors.As(err, &r) || r.Status != c.status || r.Code != c.code || r.Hint != c.hint || r.Reason == "" {
				t.Fatalf("%T%+v: %#v, want %d %s: %s", c.command, c.command, err, c.status, c.code, c.hint)
			}
			heard := b.messages()
			if len(heard) != 1 {
				t.Fatalf("%T: heard %v", c.command, heard)
			}
			said, ok := heard[0].Event.(events.CommandRejected)
			if !ok || said.Code != c.code || said.Reason != r.Reason || said.Actor == "" {
				t.Errorf("%T: %+v", c.command, heard[0].Event)
			}
			if _, ping := c.command.(events.ActorPing); ping {
				last := said.History[len(said.History)-1]
				if !strings.HasSuffix(last, "idle --JobStarted--> running") {
					t.Errorf("its history ends in %q", last)
				}
			}
		}
		// What was sent as a bare command and does not decode is refused too.
		if err := b.dispatch.Conn().Publish("hero.cmd.actor.stop.bash_1", []byte("{")); err != nil {
			t.Fatal(err)
		}
		b.expect(b.quiet(), "rejected actor-stop malformed")
	})
}

func TestKeeperKeepsTime(t *testing.T) {
	bubble(t, map[string]PoolConfig{"bash": {Max: 3, StartTimeout: 20 * time.Second}}, func(b *bed) {
		b.ask(events.ActorStart{Actor: "bash_1"})
		b.pass(5 * time.Second)
		b.ask(events.ActorStart{Actor: "bash_2"})
		b.up(3)
		b.ask(events.ActorStop{Actor: "bash_3", Deadline: 17})
		b.quiet()
		b.pass(15*time.Second - time.Millisecond)
		b.expect(b.quiet(), "")
		b.pass(time.Millisecond)
		b.expect(b.quiet(), "bash_1 starting->failed; kill bash_1")
		// It comes back by itself, a second later at the earliest; the executor
		// says nothing, so it fails again, and waits longer.
		b.pass(1500 * time.Millisecond)
		b.expect(b.quiet(), "bash_1 failed->restarting; start bash_1")
		b.pass(500 * time.Millisecond)
		b.expect(b.quiet(), "bash_3 draining->stopping; kill bash_3")
		b.pass(3 * time.Second)
		b.expect(b.quiet(), "bash_2 starting->failed; kill bash_2")
	})
}

// Ten idle minutes, three pings, no answer.
func TestKeeperPings(t *testing.T) {
	bubble(t, bash, func(b *bed) {
		b.up(1)
		b.pass(10 * time.Minute)
		b.expect(b.ask(events.ActorPing{Actor: "bash_1"}), "bash_1 pinging")
		heard := b.messages()
		ping := heard[1].Event.(events.PingIntake)
		b.say(b.dispatch, events.ActorPonged{Pool: "bash", Actor: "bash_1", Nonce: ping.Nonce, Incarnation: life(1)})
		b.expect(b.quiet(), "bash_1 pinging->idle")
		for range 3 {
			b.expect(b.ask(events.ActorPing{Actor: "bash_1"}), "bash_1 pinging")
		}
		b.expect(b.quiet(), "bash_1 idle->pinging; ping bash_1; ping bash_1; ping bash_1")
		b.say(b.dispatch, events.ActorUnresponsive{Pool: "bash", Actor: "bash_1", Incarnation: life(2), Lost: 3})
		b.expect(b.quiet(), "")
		b.say(b.dispatch, events.ActorUnresponsive{Pool: "bash", Actor: "bash_1", Incarnation: life(1), Lost: 3})
		b.expect(b.quiet(), "bash_1 pinging->restarting; close bash_1; kill bash_1")
		b.say(b.dispatch, events.RedisLost{Reason: "test"})
		b.expect(b.ask(events.ActorPing{Actor: "bash_1"}), "ping bash_1: Redis does not answer, and pings go through it")
	})
}

// The daemon dies; actors go on. The next one knows nothing, places them from
// what the executor and dispatch say, and kills none of them, not even with
// Redis away.
func TestKeeperStartsAmongRunningActors(t *testing.T) {
	bubble(t, bash, func(b *bed) {
		b.up(1)
		b.halt()
		b.pass(time.Minute)
		b.run(bash)
		b.expect(b.quiet(), "resynchronised; observe")
		b.pass(5 * time.Second)
		b.expect(b.quiet(), "observe; observe") // the executor is not there yet
		b.say(b.dispatch, events.RedisLost{Reason: "test"},
			events.JobStarted{Type: "bash", Job: "J1", Actor: "bash_2", Incarnation: life(2), Attempt: 1})
		b.say(b.executor,
			events.ProcessObserved{Pool: "bash", Actor: "bash_1", Incarnation: life(1), WantedUp: true},
			events.ProcessObserved{Pool: "bash", Actor: "bash_2", Incarnation: life(2), WantedUp: true},
			events.ProcessObserved{Pool: "bash", Actor: "bash_3"},
			events.ProcessObserved{Pool: "bash", Actor: "bash_9", Incarnation: life(9), WantedUp: true},
			events.ProcessObserved{Pool: "ruby", Actor: "ruby_1", Incarnation: life(10), WantedUp: true})
		b.expect(b.quiet(), "bash_1 ->starting; open bash_1; bash_2 ->starting; open bash_2; bash_2 starting->running; "+
			"bash_3 ->stopped; bash_9 ->starting; open bash_9")
		b.pass(time.Hour)
		b.expect(b.quiet(), "")
		b.say(b.dispatch, events.RedisBack{})
		b.say(b.executor, events.ProcessReady{Pool: "bash", Actor: "bash_1", Incarnation: life(1)},
			events.ProcessReady{Pool: "bash", Actor: "bash_2", Incarnation: life(2)},
			events.ProcessReady{Pool: "bash", Actor: "bash_9", Incarnation: life(9)})
		got := b.quiet()
		for _, want := range []string{"open bash_1", "open bash_2", "bash_1 starting->idle", "bash_9 starting->idle"} {
			if !strings.Contains(got, want) {
				t.Errorf("after Redis came back: %s; want %s", got, want)
			}
		}
		// Above the maximum now: it can be stopped, not restarted.
		b.expect(b.ask(events.ActorRestart{Actor: "bash_9"}), "actor bash_9 is above the maximum 3 of its pool")
		b.expect(b.ask(events.ActorStop{Actor: "bash_9"}), "bash_9 draining")
		b.pass(time.Hour)
		b.expect(b.quiet(), "rejected actor-restart unknown_actor; bash_9 idle->draining; close bash_9")
	})
}

// Lost facts are not guessed: everything is asked anew, once for a burst.
func TestKeeperAsksAfterALoss(t *testing.T) {
	bubble(t, bash, func(b *bed) {
		b.say(b.executor, events.ProcessObserved{Pool: "bash", Actor: "bash_1"})
		b.up(1)
		b.pass(time.Minute)
		// Numbers that this source used for facts nobody got.
		for _, seq := range []int{10, 20, 30} {
			data, err := json.Marshal(map[string]any{
				"specversion": "1.0", "id": fmt.Sprint("x", seq), "source": "herosup/0a1b2c3d/zinit", "type": "hero.process.observed.v1",
				"time": time.Now(), "sequence": fmt.Sprint(seq), "data": events.ProcessObserved{Incarnation: life(1), WantedUp: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.executor.Conn().Publish("hero.evt.process.observed.bash.bash_1", data); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		b.expect(b.quiet(), "resynchronised; observe")
		b.pass(time.Second)
		b.expect(b.quiet(), "resynchronised; observe")
		b.say(b.executor, events.ProcessObserved{Pool: "bash", Actor: "bash_1", Incarnation: life(1), WantedUp: true})
		b.pass(time.Hour)
		b.expect(b.quiet(), "")
	})
}

// An executor that never speaks is not asked for ever.
func TestKeeperAsksABoundedNumberOfTimes(t *testing.T) {
	bubble(t, bash, func(b *bed) {
		b.pass(time.Hour)
		if got, want := strings.Count(b.quiet(), "observe"), observeTries; got != want {
			t.Errorf("asked %d times, want %d", got, want)
		}
	})
}

// Who asks while the keeper goes down is told so or gets no responder; nobody
// waits in vain.
func TestKeeperTurnsRequestsAwayAtTheEnd(t *testing.T) {
	bubble(t, bash, func(b *bed) {
		b.up(1)
		b.stop() // the loop may see this before or after the requests below
		for range 20 {
			if got := b.ask(events.ActorStart{Actor: "bash_1"}); got != "bash_1 idle already" && got != "the daemon stops" && got != "nobody answers" {
				t.Errorf("got %q", got)
			}
		}
		b.halt()
		b.expect(b.ask(events.ActorStart{Actor: "bash_1"}), "nobody answers")
	})
}

func TestKeeperRefusesABadConfiguration(t *testing.T) {
	for want, cfg := range map[string]Config{
		`node "a.b"`:                              {Node: "a.b"},
		`pool name "a b"`:                         {Pools: map[string]PoolConfig{"a b": {}}},
		"pools.x.max: got -1, want 0..100000":     {Pools: map[string]PoolConfig{"x": {Max: -1}}},
		"pools.x.start_timeout: got -1s":          {Pools: map[string]PoolConfig{"x": {StartTimeout: -time.Second}}},
		"pools.x.stop_timeout: got -1s":           {Pools: map[string]PoolConfig{"x": {StopTimeout: -time.Second}}},
		"pools.x.restart.backoff: got [2s 1s]":    {Pools: map[string]PoolConfig{"x": {Backoff: BackoffConfig{2 * time.Second, time.Second}}}},
		"pools.x.restart.crash_loop.exits: got -": {Pools: map[string]PoolConfig{"x": {CrashLoop: CrashLimit{Exits: -1}}}},
		"pools.x.restart.crash_loop.within: got ": {Pools: map[string]PoolConfig{"x": {CrashLoop: CrashLimit{Within: -1}}}},
	} {
		if _, err := New(cfg, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %s", err, want)
		}
	}
	min := PoolConfig{Backoff: BackoffConfig{Min: 2 * time.Minute}}
	if _, err := New(Config{Pools: map[string]PoolConfig{"x": min}}, nil, nil); err != nil {
		t.Errorf("a backoff that starts above the default maximum: %v", err)
	}
}

// An order that could not be sent is said again a second later.
func TestKeeperSaysLostOrdersAgain(t *testing.T) {
	bubble(t, bash, func(b *bed) {
		b.up(1)
		b.ask(events.ActorStop{Actor: "bash_1"})
		b.halt()
		b.quiet()
		// The same machines, seen from inside, on a bus that is gone.
		away := b.bus("away")
		k := b.keeper
		whole := k.bus
		k.bus = away
		away.Close()
		k.publish(events.ObserveProcesses{Node: events.LocalNode}, events.Message{})
		for range 3 { // as long as it is away
			if k.reassertAt.IsZero() {
				b.t.Fatal("nothing is to be said again")
			}
			b.pass(reassertAfter)
			if err := k.elapse(b.t.Context()); err != nil {
				b.t.Fatal(err)
			}
		}
		b.expect(b.quiet(), "")
		k.bus = whole
		b.pass(reassertAfter)
		if err := k.elapse(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
		b.expect(b.quiet(), "close bash_1; resynchronised; observe")
		if !k.reassertAt.IsZero() {
			b.t.Error("and again, though all was sent")
		}
	})
}
