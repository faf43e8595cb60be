package dispatch

import (
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

func TestStandstill(t *testing.T) {
	const after = 5 * time.Second
	begin := time.Unix(1000, 0)
	s := &standstill{}
	at := func(sec float64, ready int, claims uint64, want standStep) {
		t.Helper()
		now := begin.Add(time.Duration(sec * float64(time.Second)))
		got := s.look(now, ready, claims, after)
		if got != want {
			t.Fatalf("at %v s: step %d, want %d", sec, got, want)
		}
		if got != standNothing {
			s.took(got, now)
		}
	}
	at(0, 3, 7, standNothing)
	at(4.9, 3, 7, standNothing)
	at(5, 9, 7, standRing) // that more come changes nothing
	at(6, 9, 7, standNothing)
	at(10, 9, 7, standPing)
	at(15, 9, 7, standRestart)
	at(16, 9, 7, standNothing) // all begins again
	at(20, 9, 7, standRing)
	at(21, 9, 8, standNothing) // one was taken
	at(25.9, 9, 8, standNothing)
	at(26, 9, 8, standRing)
	at(27, 0, 8, standNothing) // nothing waits
	at(40, 1, 8, standNothing)
	at(44, 1, 8, standNothing)
	at(45, 1, 8, standRing)
	// What waited by an old count is gone, or nobody has room any more: no step, and all begins again.
	for _, seen := range [][2]int{{0, 1}, {3, 0}} {
		at(50, 1, 9, standNothing)
		if step := s.look(begin.Add(55*time.Second), 1, 9, after); step != standRing || s.confirm(begin.Add(55*time.Second), seen[0], seen[1]) {
			t.Errorf("%d ready, %d with room: a step %d was due and is confirmed", seen[0], seen[1], step)
		}
		at(59.9, 1, 9, standNothing)
		at(60, 1, 9, standRing)
		if !s.confirm(begin.Add(60*time.Second), 1, 1) {
			t.Error("a job waits beside one that has room, and that is not confirmed")
		}
		at(61, 0, 9, standNothing)
	}
	rung := begin
	quiet, lively := idleActor{name: "a_1", seen: begin}, idleActor{name: "a_2", seen: begin.Add(time.Millisecond)}
	if got := hung([]idleActor{quiet, lively}, rung); len(got) != 1 || got[0] != quiet {
		t.Errorf("hung: %v", got)
	}
}

// An actor that has room and takes nothing while jobs wait is rung, asked and replaced; each step is told. One that
// is rung and then works is left alone.
func TestWatchdog(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.cfg.MeasureEvery, b.cfg.WatchAfter = 10*time.Millisecond, 50*time.Millisecond
		b.up()
		orders, err := b.bus.Subscribe(events.Of(events.ActorPing{}), events.Of(events.ActorRestart{}))
		if err != nil {
			t.Fatal(err)
		}
		defer orders.Unsubscribe()
		p := b.spawn() // lives, says hello, and hangs
		a, err := b.store.Actor("bash_1", "bash", p.inc.String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Hello(b.soon()); err != nil {
			t.Fatal(err)
		}
		b.submit("x", Options{})
		for _, step := range []string{events.StalledRing, events.StalledPing, events.StalledRestart} {
			e := expect(b, func(e events.ActorStalled) bool { return e.Step == step })
			if e.Actor != "bash_1" || e.Type != "bash" || e.Ready != 1 || e.For <= 0 {
				t.Errorf("%+v", e)
			}
		}
		if n := b.rdb.LLen(b.soon(), "hero:wake:bash_1").Val(); n == 0 {
			t.Error("it was not rung")
		}
		for _, want := range []events.Event{events.ActorPing{}, events.ActorRestart{}} {
			select {
			case raw := <-orders.C:
				m, err := orders.Open(raw)
				if err != nil || events.KindOf(m.Event) != events.KindOf(want) {
					t.Errorf("%+v %v, want a %T", m.Event, err, want)
				}
				if e, restart := m.Event.(events.ActorRestart); restart && (!e.Hung || e.Actor != "bash_1") {
					t.Errorf("%+v: it would be left alone if its program is gone", e)
				}
			case <-time.After(patience):
				t.Fatalf("no %T", want)
			}
		}
	})
}

// Who has a free slot has room, whatever it runs; and what is ready is counted in Redis, not as it was measured.
func TestWhoHasRoom(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		c := b.up()
		p := b.spawn()
		a, err := b.store.Actor("bash_1", "bash", p.inc.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := a.SetSlots(2); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Hello(b.soon()); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			id := b.submit("x", Options{ID: "j" + numeral(i)})
			expect(b, func(e events.JobQueued) bool { return e.Job == id })
		}
		for held, wantRoom := range []int{1, 1, 0} {
			if held > 0 {
				if got, err := a.Claim(b.soon()); err != nil || got.Code != store.GotJob {
					t.Fatalf("%+v %v", got, err)
				}
			}
			c.waiting.Store(&map[string]int{"bash": 99})
			actors, ready, _, err := c.withRoom(b.soon(), "bash")
			if err != nil || len(actors) != wantRoom || ready != 3-held {
				t.Errorf("it holds %d: %v with room, %d ready, %v; want %d and %d", held, actors, ready, err, wantRoom, 3-held)
			}
		}
	})
}

// A backlog beside busy actors is no fault.
func TestWatchdogLeavesBusyActorsAlone(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.cfg.MeasureEvery, b.cfg.WatchAfter = 10*time.Millisecond, 20*time.Millisecond
	c := b.up()
	holding := make(chan struct{})
	release := make(chan struct{})
	b.actor("bash_1", busy(holding, release))
	first := b.submit("x", Options{})
	<-holding
	for range 3 {
		b.submit("x", Options{})
	}
	b.eventually("they wait", func() bool { return (*c.waiting.Load())["bash"] == 3 })
	// Several of its looks: each measure is told when the counts change, so a count of ticks is what there is.
	time.AfterFunc(200*time.Millisecond, func() { close(release) })
	expect(b, func(e events.JobEnded) bool { return e.Job == first })
	if n := count(b, any1[events.ActorStalled]); n != 0 {
		t.Error("a busy actor was stirred")
	}
}
