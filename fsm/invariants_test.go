package fsm

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herosup/events"
)

// TestInvariantsUnderAnyInput throws whatever can be said at one machine, true or
// not, in any order, and looks at each step. What the world can really do is in
// world_test.go; here the world lies.
func TestInvariantsUnderAnyInput(t *testing.T) {
	chart, err := NewChart()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		in := &inquisitor{t: t, chart: chart, now: time.Unix(0, 0), state: Initial}
		in.a = NewActor(events.LocalNode, "bash_1", PoolConfig{Max: 1, CrashLoop: CrashLimit{Exits: 3, Within: time.Minute}}.withDefaults(), "n")
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			in.step()
		}
	})
}

// inquisitor keeps, beside the machine, what it may conclude from the outside.
type inquisitor struct {
	t     *rapid.T
	chart *Chart
	a     Actor
	now   time.Time

	state       State              // as published
	placed      bool               // anything was published
	gate        string             // nonce of the last close, "" when opened since
	outstanding bool               // a StartProcess without an outcome
	ended       events.Incarnation // the last one that was told to end
	final       bool               // and that by an order that no failed restart takes back
}

func (q *inquisitor) step() {
	before := q.a
	var e events.Event
	var out Output
	if !before.Due.IsZero() && rapid.IntRange(0, 5).Draw(q.t, "elapse") == 0 {
		q.now = before.Due
		q.a, out = q.chart.Elapse(q.t.Context(), before, q.now)
	} else {
		q.now = q.now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(q.t, "ms")) * time.Millisecond)
		if !before.Due.IsZero() && !q.now.Before(before.Due) {
			q.now = before.Due.Add(-1)
		}
		e = anyInput(q.t, before)
		q.a, out = q.chart.Fold(q.t.Context(), before, e, q.now)
		again, _ := q.chart.Fold(q.t.Context(), before, e, q.now)
		if fmt.Sprint(again) != fmt.Sprint(q.a) {
			q.t.Fatalf("%+v: the same input gave another record", e)
		}
	}
	if out.Fault != nil {
		q.t.Fatal(out.Fault)
	}
	q.spared(e)
	q.answered(e, out)
	q.outcome(before, e)
	var last Event
	for _, p := range out.Publish {
		switch p := p.(type) {
		case events.ActorStateChanged:
			q.moved(p)
			last = Event(p.On)
		case events.CloseIntake:
			q.gate = p.Nonce
		case events.OpenIntake:
			q.gate = ""
			q.opens(e)
		case events.StartProcess:
			q.starts(before, e, last)
		case events.StopProcess:
			q.orders(p.Incarnation, true)
			q.stops(e, p.Incarnation)
		case events.RestartProcess:
			q.orders(p.Incarnation, false)
			q.stops(e, p.Incarnation)
		case events.KillProcess:
			q.orders(p.Incarnation, !p.Replace)
			q.kills(before, last, p)
			q.ended = p.Incarnation
		}
	}
	if q.a.State != q.state {
		q.t.Fatalf("it is %s, published was %s", q.a.State, q.state)
	}
	if q.a.is(Running) != (q.a.is(Starting, Idle, Pinging, Running) && q.a.busy()) {
		q.t.Fatalf("state %s with jobs %q", q.a.State, q.a.Hand)
	}
	if q.a.is(Idle, Running, Pinging) && q.a.Incarnation.IsZero() {
		q.t.Fatalf("%s without a process", q.a.State)
	}
	if open := q.gate == ""; q.a.is(Starting, Idle, Pinging, Running) && !open || q.a.is(Draining, Recycling) && open {
		q.t.Fatalf("%s with the gate at %q", q.a.State, q.gate)
	}
	if len(q.a.Pings) > maxPings || len(q.a.Failures) > q.a.Settings.CrashLoop.Exits {
		q.t.Fatalf("%d pings, %d failures are kept", len(q.a.Pings), len(q.a.Failures))
	}
}

func isCommand(e events.Event) bool {
	return e != nil && events.KindOf(e).Branch == events.Command
}

// Every command ends in an answer or a refusal, and a refusal changed nothing.
func (q *inquisitor) answered(e events.Event, out Output) {
	switch n := btoi(out.Answer != nil) + btoi(out.Refusal != nil); {
	case n != btoi(isCommand(e)):
		q.t.Fatalf("%T: answer %v, refusal %v", e, out.Answer, out.Refusal)
	case out.Refusal != nil && len(out.Publish) > 0:
		q.t.Fatalf("%T was refused and yet: %+v", e, out.Publish)
	case out.Refusal != nil && (out.Refusal.Hint == "" || out.Refusal.Reason == ""):
		q.t.Fatalf("%T was refused without a word: %+v", e, out.Refusal)
	case out.Answer != nil && out.Answer.Already && len(out.Publish) > 0:
		q.t.Fatalf("%T was so already and yet: %+v", e, out.Publish)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// The published transitions are a path in the table.
func (q *inquisitor) moved(c events.ActorStateChanged) {
	from := State(c.From)
	if c.From == "" {
		if q.placed {
			q.t.Fatalf("a first state after others: %+v", c)
		}
		from = Initial
	}
	q.placed = true
	if from != q.state {
		q.t.Fatalf("%+v, but it was %s", c, q.state)
	}
	if want := "-> " + c.To; !strings.HasPrefix(verdict(from, Event(c.On))+":", want+":") && !(c.From == "" && c.To == string(Initial)) {
		q.t.Fatalf("%+v is not in the table, which says %s", c, verdict(from, Event(c.On)))
	}
	if c.Reason == "" {
		q.t.Fatalf("%+v has no reason", c)
	}
	if from == Quarantined && Event(c.On) != ResetRequested && Event(c.On) != StopRequested && Event(c.On) != StopWithdrawnLate {
		q.t.Fatalf("left quarantine by itself: %+v", c)
	}
	if Event(c.On) == StopRequested || Event(c.On) == StopWithdrawnLate {
		q.outstanding = false // a start that follows withdraws the stop and is said anew
	}
	q.state = State(c.To)
}

// outcome ends the wait for a start.
func (q *inquisitor) outcome(before Actor, e events.Event) {
	_, failed := e.(events.ProcessStartFailed)
	if failed || before.Incarnation != q.a.Incarnation || e == nil && before.is(Starting, Restarting) {
		q.outstanding = false
	}
}

func (q *inquisitor) starts(before Actor, e events.Event, on Event) {
	if q.outstanding {
		q.t.Fatalf("a second StartProcess on %s while one is outstanding", on)
	}
	q.outstanding = true
	if _, reset := e.(events.ActorReset); before.is(Quarantined) && !reset {
		q.t.Fatalf("a quarantined actor was started by %T", e)
	}
}

// orders notes that a process was told to end, and whether for good.
func (q *inquisitor) orders(meant events.Incarnation, final bool) {
	q.final = final || q.final && q.ended == meant
}

// A process is told to end only by its name, and only after its own gate was
// closed and it held nothing; or again, after it was told or killed before. An
// order without a name keeps the next process from coming and hits none.
func (q *inquisitor) stops(e events.Event, meant events.Incarnation) {
	repeat := q.ended == meant
	q.outstanding, q.ended = false, meant
	if d, ok := e.(events.ActorDrained); ok {
		if q.gate == "" || d.Nonce != q.gate {
			q.t.Fatalf("stopped on an answer to close %q, the last one is %q", d.Nonce, q.gate)
		}
		return
	}
	if !meant.IsZero() && !repeat {
		q.t.Fatalf("%s was stopped on %T%+v", meant, e, e)
	}
}

// spared takes the word that a restart has let its process be.
func (q *inquisitor) spared(e events.Event) {
	if f, ok := e.(events.ProcessStartFailed); ok && f.Kept == q.ended && !q.final {
		q.ended = events.Incarnation{}
	}
}

// The gate of a process that was told to end stays closed, unless it was spared.
func (q *inquisitor) opens(e events.Event) {
	if !q.ended.IsZero() && q.ended == q.a.Incarnation {
		q.t.Fatalf("%s was told to end, and its gate was opened on %T%+v", q.ended, e, e)
	}
}

func (q *inquisitor) kills(before Actor, on Event, k events.KillProcess) {
	q.outstanding = false
	if k.Replace && k.Down || k.Replace != (on == DrainExpired && !k.Down && !before.Hung) && on != "" {
		q.t.Fatalf("%+v while %s, on %q", k, before.State, on)
	}
	switch {
	case before.is(Running) && on == JobOverran && !before.RedisLost:
	case before.is(Draining, Recycling) && (on == JobOverran && !before.RedisLost || on == DrainExpired):
	case before.is(Recycling) && on == Drained && before.Hung && !k.Down:
	case before.is(Pinging) && on == PingsExhausted && !before.RedisLost:
	case before.is(Starting) && on == StartTimedOut && !before.RedisLost && !before.ZinitLost:
	case before.is(Stopping) && on == "": // StopTimedOut is no transition
	case before.is(Restarting, Failed) && on == "" && q.ended == before.Incarnation: // once more
	default:
		q.t.Fatalf("killed while %s, on %q", before.State, on)
	}
}

// anyInput draws something that can be said, with a bias to what fits a.
func anyInput(t *rapid.T, a Actor) events.Event {
	const id = "bash_1"
	pool := "bash"
	inc := func() events.Incarnation {
		if rapid.IntRange(0, 2).Draw(t, "other") > 0 && !a.Incarnation.IsZero() {
			return a.Incarnation
		}
		return life(rapid.IntRange(0, 6).Draw(t, "life"))
	}
	job := func() string {
		if a.busy() && rapid.Bool().Draw(t, "its job") {
			return rapid.SampledFrom(a.Hand).Draw(t, "of its hand").ID
		}
		return rapid.SampledFrom([]string{"J1", "J2", "J3"}).Draw(t, "job")
	}
	deadline := func() events.Seconds {
		return rapid.SampledFrom([]events.Seconds{0, 0, 1, 60, -1, 1e9}).Draw(t, "deadline")
	}
	nonce := func() string {
		if a.Gate != "" && rapid.Bool().Draw(t, "its gate") {
			return a.Gate
		}
		return fmt.Sprintf("n-%d", rapid.IntRange(0, a.Nonces).Draw(t, "nonce"))
	}
	flip := func(what string) bool { return rapid.Bool().Draw(t, what) }
	said := []func() events.Event{
		func() events.Event { return events.ActorStart{Actor: id} },
		func() events.Event { return events.ActorStop{Actor: id, Deadline: deadline()} },
		func() events.Event { return events.ActorRestart{Actor: id, Deadline: deadline(), Hung: flip("hung")} },
		func() events.Event { return events.ActorPing{Actor: id} },
		func() events.Event { return events.ActorReset{Actor: id} },
		func() events.Event { return events.ProcessStarted{Pool: pool, Actor: id, Incarnation: inc()} },
		func() events.Event { return events.ProcessReady{Pool: pool, Actor: id, Incarnation: inc()} },
		func() events.Event {
			return events.ProcessExited{Pool: pool, Actor: id, Incarnation: inc(), ByUs: flip("by us")}
		},
		func() events.Event { return events.ProcessBlocked{Pool: pool, Actor: id, Reason: "x"} },
		func() events.Event { return events.ProcessStartFailed{Pool: pool, Actor: id, Reason: "x"} },
		func() events.Event { return events.ProcessStartFailed{Pool: pool, Actor: id, Reason: "x", Kept: inc()} },
		func() events.Event {
			return events.ProcessObserved{Pool: pool, Actor: id, Incarnation: inc(), WantedUp: flip("wanted")}
		},
		func() events.Event { return events.ProcessObserved{Pool: pool, Actor: id, WantedUp: flip("wanted")} },
		func() events.Event {
			return events.JobStarted{Actor: id, Job: job(), Incarnation: inc(), Attempt: 1 + btoi(flip("again"))}
		},
		func() events.Event {
			return events.JobEnded{Actor: id, Job: job(), Incarnation: inc(), Attempt: 1 + btoi(flip("again"))}
		},
		func() events.Event {
			return events.ActorRegistered{Actor: id, Incarnation: inc(), Anew: flip("anew"), Holds: []string{job()}}
		},
		func() events.Event { return events.JobOverran{Actor: id, Job: job(), Incarnation: inc()} },
		func() events.Event {
			return events.ActorPonged{Pool: pool, Actor: id, Incarnation: inc(), Nonce: nonce()}
		},
		func() events.Event { return events.ActorUnresponsive{Pool: pool, Actor: id, Incarnation: inc()} },
		func() events.Event { return events.ActorDrained{Pool: pool, Actor: id, Nonce: nonce()} },
		func() events.Event { return events.RedisLost{} },
		func() events.Event { return events.RedisBack{} },
		func() events.Event { return events.RedisRefilled{} },
		func() events.Event { return events.ZinitLost{} },
		func() events.Event { return events.ZinitBack{} },
	}
	return said[rapid.IntRange(0, len(said)-1).Draw(t, "what")]()
}
