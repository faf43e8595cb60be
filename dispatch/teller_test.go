package dispatch

import (
	"testing"
	"testing/synctest"

	"herosup/dispatch/store"
	"herosup/events"
)

// What is fitted in waits for the facts before it, and is told once.
func TestTheTellerFitsIn(t *testing.T) {
	b := newBed(t, miniRedis(t))
	c, err := New(Config{Store: b.store, State: "0a1b2c3d"}, b.connect("dispatch"), testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	te := &teller{c: c, r: c.reporter("teller"), last: "4-0", pings: map[string]events.Event{}, announced: newRecent(100)}
	drained := events.ActorDrained{Pool: "bash", Actor: "bash_1", Nonce: "n1"}
	pinged := events.ActorPinged{Pool: "bash", Actor: "bash_1", Nonce: "p1"}
	te.say(telling{kind: tellDrained, after: "5-0", event: drained})
	te.say(telling{kind: tellPinging, nonce: "p1", event: pinged})
	te.say(telling{kind: tellForeign, typ: "bash", jobs: []string{"f1"}, ready: 1})
	te.say(telling{kind: tellForeign, typ: "bash", jobs: []string{"f1"}, ready: 1})
	facts := []store.Fact{
		{ID: "4-0", Kind: store.FactEnded, Job: "told before", Type: "bash"},
		{ID: "4-1", Kind: store.FactPong, Actor: "bash_1", Nonce: "p1"},
		{ID: "5-0", Kind: store.FactEnded, Job: "j1", Type: "bash", Outcome: store.StatusFinished},
		{ID: "6-0", Kind: "news"},
		{ID: "6-1", Kind: store.FactStarted, Job: "f1", Type: "bash", Attempt: 1},
		{ID: "6-2", Kind: store.FactStarted, Job: "f2", Type: "bash", Attempt: 1},
	}
	te.chapter(t.Context(), chapter{facts: facts, last: "6-2"})
	te.say(telling{kind: tellPinged, nonce: "p1", event: pinged})
	te.say(telling{kind: tellPinged, nonce: "p2", event: events.ActorPinged{Pool: "bash", Actor: "bash_1", Nonce: "p2"}})
	want := []events.Event{
		events.JobQueued{Type: "bash", Job: "f1", Ready: 1},
		pinged,
		events.ActorPonged{Pool: "bash", Actor: "bash_1", Nonce: "p1"},
		events.JobEnded{Type: "bash", Job: "j1", Outcome: events.Finished},
		drained,
		events.JobStarted{Type: "bash", Job: "f1", Attempt: 1},
		events.JobQueued{Type: "bash", Job: "f2"},
		events.JobStarted{Type: "bash", Job: "f2", Attempt: 1},
		events.ActorPinged{Pool: "bash", Actor: "bash_1", Nonce: "p2"},
	}
	b.eventually("all is told", func() bool { return len(b.told.events()) == len(want) })
	for i, e := range b.told.events() {
		if e != want[i] {
			t.Errorf("told %d: %+v, want %+v", i, e, want[i])
		}
	}
	if len(te.pings) != 0 || len(te.drained) != 0 {
		t.Errorf("left: %d pings, %d drained", len(te.pings), len(te.drained))
	}
}

// A drain that waits for an entry of the facts' stream is told with that entry, though nothing comes after it: its id is
// behind those of the facts in it. (It stayed for ever when an actor's last end was the last fact: an actor draining.)
func TestDrainedIsToldWithTheLastEntry(t *testing.T) {
	b := newBed(t, miniRedis(t))
	c, err := New(Config{Store: b.store, State: "0a1b2c3d"}, b.connect("dispatch"), testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	te := &teller{c: c, r: c.reporter("teller"), last: "4-0", pings: map[string]events.Event{}, announced: newRecent(100)}
	drained := events.ActorDrained{Pool: "bash", Actor: "bash_1", Nonce: "n1"}
	te.say(telling{kind: tellDrained, after: "5-0", event: drained})
	te.chapter(t.Context(), chapter{
		facts: []store.Fact{{ID: "5-0-0", Kind: store.FactEnded, Job: "j1", Type: "bash", Outcome: store.StatusFinished}}, last: "5-0",
	})
	want := []events.Event{events.JobEnded{Type: "bash", Job: "j1", Outcome: events.Finished}, drained}
	b.eventually("both are told", func() bool { return len(b.told.events()) == len(want) })
	for i, e := range b.told.events() {
		if e != want[i] {
			t.Errorf("told %d: %+v, want %+v", i, e, want[i])
		}
	}
}

// A job that is retried by hand is queued anew, and its attempts go on: its next start is not the first, and waits for that queuing all the
// same. (Told ahead of it, it made the scaler start an actor too many, one time in eight.)
func TestNoStartIsToldBeforeItsQueuing(t *testing.T) {
	for _, f := range []store.Fact{
		{Kind: store.FactStarted, Job: "j1", Type: "bash", Sequence: 7, Attempt: 1},
		{Kind: store.FactStarted, Job: "j1", Type: "bash", Sequence: 7, Attempt: 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			te := &teller{c: &Component{told: newProgress()}}
			waited := make(chan struct{})
			go func() {
				te.queuedFirst(t.Context(), f)
				close(waited)
			}()
			synctest.Wait()
			select {
			case <-waited:
				t.Errorf("attempt %d did not wait", f.Attempt)
			default:
			}
			te.c.told.set(7)
			<-waited
		})
	}
}
