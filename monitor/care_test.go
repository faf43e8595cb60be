package monitor

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"herosup/events"
)

// run steps the clock to each moment at which somebody is to be looked at, until
// end, and returns what was said and when; it gives up after more words than any
// test expects.
func run(v *View, from, end time.Duration, answer func(v *View, e events.Event, now time.Time)) []string {
	var said []string
	for {
		next := v.NextCare()
		if next.IsZero() || next.After(epoch.Add(end)) || len(said) > 20 {
			return said
		}
		now := next
		if now.Before(epoch.Add(from)) {
			now = epoch.Add(from)
		}
		for _, e := range v.Care(now) {
			said = append(said, fmt.Sprintf("%s %s", now.Sub(epoch), words(e)))
			answer(v, e, now)
		}
	}
}

func words(e events.Event) string {
	switch e := e.(type) {
	case events.ActorPing:
		return "ping " + e.Actor
	case events.ActorUnresponsive:
		return fmt.Sprintf("unresponsive %s after %d", e.Actor, e.Lost)
	case events.JobOverran:
		return fmt.Sprintf("overran %s on %s: %s", e.Job, e.Actor, e.Ran.Duration())
	}
	return fmt.Sprintf("%T", e)
}

// deliver plays dispatch: the ping is on the list.
func deliver(v *View, e events.Event, now time.Time) {
	if e, ok := e.(events.ActorPing); ok {
		v.Fold(events.ActorPinged{Pool: "bash", Actor: e.Actor}, now)
	}
}

func pong(v *View, e events.Event, now time.Time) {
	deliver(v, e, now)
	if e, ok := e.(events.ActorPing); ok {
		v.Fold(events.ActorPonged{Pool: "bash", Actor: e.Actor, Incarnation: v.actors[e.Actor].Incarnation}, now.Add(time.Millisecond))
	}
}

func nobody(*View, events.Event, time.Time) {}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %q\nwant\n  %q", got, want)
	}
}

func TestIdleActorIsPingedEveryTenMinutes(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	same(t, run(v, 0, 31*time.Minute, pong), "10m0s ping bash_1", "20m0.001s ping bash_1", "30m0.002s ping bash_1")
}

func TestWorkIsASignOfLife(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	v.Fold(events.JobStarted{Type: "bash", Job: "j", Actor: "bash_1", Attempt: 1}, epoch.Add(5*time.Minute))
	v.Fold(events.JobEnded{Type: "bash", Job: "j", Actor: "bash_1"}, epoch.Add(50*time.Minute))
	same(t, run(v, 0, 61*time.Minute, pong), "1h0m0s ping bash_1")
}

func TestThreeLostPingsMakeUnresponsiveOnce(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	same(t, run(v, 0, 12*time.Minute, deliver),
		"10m0s ping bash_1", "10m5s ping bash_1", "10m10s ping bash_1", "10m15s unresponsive bash_1 after 3")
	// The keeper replaces it, and all begins again.
	v.Fold(moved("bash_1", "pinging", "restarting", 0), epoch.Add(12*time.Minute))
	v.Fold(moved("bash_1", "restarting", "starting", 9), epoch.Add(12*time.Minute))
	v.Fold(moved("bash_1", "starting", "idle", 9), epoch.Add(13*time.Minute))
	same(t, run(v, 13*time.Minute, 24*time.Minute, pong), "23m0s ping bash_1")
	if a := v.Actors("")[0]; a.Restarts != 1 || a.PingsLost != 0 {
		t.Errorf("%+v", a)
	}
}

func TestOneAnswerIsEnough(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	n := 0
	same(t, run(v, 0, 21*time.Minute, func(v *View, e events.Event, now time.Time) {
		if n++; n >= 3 {
			pong(v, e, now)
			return
		}
		deliver(v, e, now)
	}), "10m0s ping bash_1", "10m5s ping bash_1", "10m10s ping bash_1", "20m10.001s ping bash_1")
}

// What its predecessor did not answer is not held against a new process.
func TestLostPingsAreOfOneProcess(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 1), epoch)
	same(t, run(v, 0, 10*time.Minute+10*time.Second, deliver), "10m0s ping bash_1", "10m5s ping bash_1", "10m10s ping bash_1")
	if n := v.Actors("")[0].PingsLost; n != 2 {
		t.Errorf("%d lost", n)
	}
	v.Fold(events.ActorRegistered{Pool: "bash", Actor: "bash_1", Incarnation: inc(2)}, epoch.Add(10*time.Minute+11*time.Second))
	if n := v.Actors("")[0].PingsLost; n != 0 {
		t.Errorf("%d lost by the new process", n)
	}
	v.Fold(moved("bash_1", "starting", "idle", 2), epoch.Add(11*time.Minute))
	same(t, run(v, 0, 22*time.Minute, pong), "21m0s ping bash_1")
}

// A ping that never got to the actor's list says nothing about the actor.
func TestUndeliveredPingsAreNotHeldAgainstIt(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	same(t, run(v, 0, 10*time.Minute+16*time.Second, nobody),
		"10m0s ping bash_1", "10m5s ping bash_1", "10m10s ping bash_1", "10m15s ping bash_1")
	if n := v.Actors("")[0].PingsLost; n != 0 {
		t.Errorf("%d lost", n)
	}
}

func TestNobodyIsJudgedWithoutRedis(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	v.Fold(moved("bash_2", "starting", "idle", 0), epoch)
	deliverTwo := func(v *View, e events.Event, now time.Time) {
		deliver(v, e, now)
		v.Fold(moved(e.(events.ActorPing).Actor, "idle", "pinging", 0), now)
	}
	v.Fold(moved("bash_3", "starting", "idle", 0), epoch.Add(5*time.Minute)) // due while Redis is away
	same(t, run(v, 0, 10*time.Minute, deliverTwo), "10m0s ping bash_1", "10m0s ping bash_2")
	v.Fold(events.RedisLost{}, epoch.Add(10*time.Minute+time.Second))
	same(t, run(v, 0, time.Hour, deliverTwo))
	v.Fold(events.RedisBack{}, epoch.Add(time.Hour))
	same(t, run(v, time.Hour, time.Hour+6*time.Second, pong), "1h0m5s ping bash_1", "1h0m5s ping bash_2", "1h0m5s ping bash_3")
}

func TestRefusedPingIsTriedLater(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	same(t, run(v, 0, 10*time.Minute+4*time.Second, func(v *View, e events.Event, now time.Time) {
		v.Fold(events.CommandRejected{Command: "actor-ping", Actor: "bash_1", Reason: "no"}, now)
	}), "10m0s ping bash_1")
	same(t, run(v, 0, 10*time.Minute+6*time.Second, pong), "10m5s ping bash_1")
}

// Somebody else's ping is counted like ours.
func TestPingByHandIsFollowedUp(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	v.Fold(moved("bash_1", "idle", "pinging", 0), epoch.Add(time.Minute))
	v.Fold(events.ActorPinged{Pool: "bash", Actor: "bash_1"}, epoch.Add(time.Minute))
	same(t, run(v, 0, 5*time.Minute, deliver), "1m5s ping bash_1", "1m10s ping bash_1", "1m15s unresponsive bash_1 after 3")
}

func TestPingsCanBeOff(t *testing.T) {
	c := config()
	c.Pools[0].Health = Health{}
	v := NewView(c)
	v.Fold(moved("bash_1", "starting", "idle", 0), epoch)
	same(t, run(v, 0, 1000*time.Hour, pong))
}

func TestJobThatOverrunsIsToldOnce(t *testing.T) {
	v := NewView(config())
	v.Fold(moved("bash_1", "starting", "idle", 1), epoch)
	v.Fold(events.JobStarted{Type: "bash", Job: "j", Actor: "bash_1", Incarnation: inc(1), Attempt: 1, Timeout: 30}, epoch)
	v.Fold(events.JobStarted{Type: "bash", Job: "j", Actor: "bash_1", Incarnation: inc(1), Attempt: 1, Timeout: 30}, epoch.Add(20*time.Second)) // told anew
	same(t, run(v, 0, time.Hour, nobody), "40s overran j on bash_1: 40s")
	v.Fold(moved("bash_2", "starting", "idle", 2), epoch)
	v.Fold(events.JobStarted{Type: "bash", Job: "k", Actor: "bash_2", Incarnation: inc(2), Attempt: 1}, epoch)
	same(t, run(v, 0, time.Hour, nobody)) // no timeout
}
