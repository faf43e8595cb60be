package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lost empties Redis and raises the epoch; the actors say hello.
func (b *bed) lost(epoch uint64, actors ...*Actor) {
	b.Helper()
	if err := b.s.rdb.FlushAll(b.ctx()).Err(); err != nil {
		b.Fatal(err)
	}
	must[uint64](b)(raise(b, epoch))
	for _, a := range actors {
		b.wantCode(must[Hello](b)(a.Hello(b.ctx())).Code, OK)
	}
}

// assert says that an actor holds one job still, and wants an answer to that; it returns the job under its new token.
func (b *bed) assert(a *Actor, j Claimed, want Code) Claimed {
	b.Helper()
	codes, code, err := a.Assert(b.ctx(), []InHand{{Claimed: j, Ran: time.Minute}})
	if err != nil || code != OK || !slices.Equal(codes, []Code{want}) {
		b.Fatalf("assert of %s: %v %v %v, want %s", j.ID, codes, code, err, want)
	}
	j.Token.Epoch = a.epoch.Load()
	return j
}

var assertCases = map[string]func(b *bed){
	"assert keeps a job in its hand, and the log adds the rest": func(b *bed) {
		a := b.actor("p_1", "i1")
		sub := Submission{ID: "j1", Type: "sh", Script: "x", Sequence: 7, Retries: 1, Env: map[string]string{"A": "b"}, Timeout: time.Hour, Priority: 3}
		b.accept(sub)
		j := b.take(a)
		b.lost(2, a)
		begun := time.Now()
		j = b.assert(a, j, OK)
		b.assert(a, Claimed{ID: j.ID, Script: j.Script, Token: Token{Epoch: 1, Attempt: 1}}, OK) // said before
		got := b.accept(sub)[0]
		if got.Code != Same || got.Status != StatusStarted || got.Sequence != 7 || got.Handed != "p_1" || got.Adopted {
			b.Errorf("accept of a job in hand: %+v", got)
		}
		r := b.record("j1")
		if r.Attempts != 1 || r.Actor != "p_1" || r.Sequence != 7 || r.Timeout != time.Hour || r.Token != j.Token {
			b.Errorf("%+v", r)
		}
		if ran := begun.Sub(r.StartedAt); ran < 50*time.Second || ran > 70*time.Second {
			b.Errorf("it began %v ago, want a minute", ran)
		}
		other := b.actor("p_2", "i2")
		b.wantCode(b.claim(other).Code, Idle)
		if res := must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Failed: true, Reason: "exit 1"}, false)); res.Code != OK {
			b.Errorf("%+v", res)
		}
		if r := b.record("j1"); r.Status != StatusDispatched { // its retry
			b.Errorf("%+v", r)
		}
	},
	"a job kept over a rebuild has begun, and is not late when it is tried again": func(b *bed) {
		a := b.actor("p_1", "i1")
		first := Submission{ID: "j1", Type: "sh", Script: "x", Sequence: 7, Retries: 1, StartBy: time.Now().Add(time.Hour)}
		second := first
		second.ID, second.Sequence = "j2", 8
		b.accept(first, second)
		for i, inc := range []string{"i1", "i2"} { // the log tells of j1 behind the assertion, of j2 before it
			j := b.take(a)
			b.lost(uint64(i+2), a)
			late := []Submission{first, second}[i]
			late.StartBy, late.Refilled = time.Now().Add(-time.Second), true // that is how late the refill came
			if i == 1 {
				b.accept(late)
			}
			j = b.assert(a, j, OK)
			b.accept(late)
			if r := b.record(j.ID); !r.StartBy.IsZero() || b.exists(b.s.keys.startby("sh")) {
				b.Errorf("%s runs, and is to begin by %v", j.ID, r.StartBy)
			}
			must[Recovered](b)(b.d.Recover(b.ctx(), inc, false, 3))
			a = b.actor("p_1", fmt.Sprint("i", i+2))
			b.run(a, j.ID, true)
			b.accept(second)
		}
	},
	"what waits for a job that is kept is not forgotten when the log tells of that": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.accept(level("p", 7, 3))
		j := b.take(a)
		b.lost(2, a)
		j = b.assert(a, j, OK)
		b.accept(needing("d", 0, "p"), level("p", 7, 3))
		b.wantCode(b.finish(a, j, false).Code, OK)
		b.run(a, "d", true)
	},
	"an end before the log has told of the job is an end": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 7)
		j := b.take(a)
		b.lost(2, a)
		j = b.assert(a, j, OK)
		b.wantCode(b.finish(a, j, false).Code, OK)
		if got := b.job("j1", 7); got.Code != Same || got.Status != StatusFinished {
			b.Errorf("%+v", got)
		}
		es := b.ended(10)
		if d := cmp.Diff([]EndedEntry{{Sequence: 7, ID: "j1", Outcome: "finished"}}, es); d != "" {
			b.Error(d)
		}
		if ttl := b.ttl(b.s.keys.job("j1").name); ttl >= 0 {
			b.Errorf("its record expires in %v, before the log's message is gone", ttl)
		}
	},
	"an end before the log has told that the job was revived is the end of the revived one": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 5)
		b.wantCode(must[FinishResult](b)(a.Finish(b.ctx(), b.take(a), Outcome{Failed: true, Reason: "exit 1"}, false)).Code, OK)
		again := Submission{ID: "j1", Type: "sh", Script: "echo j1", Sequence: 7, Again: true}
		b.wantCode(b.accept(again)[0].Code, OK)
		j := b.take(a)
		b.lost(2, a)
		j = b.assert(a, j, OK)
		b.wantCode(b.finish(a, j, false).Code, OK)
		again.Refilled = true
		if got := b.accept(again)[0]; got.Code != Same || got.Status != StatusFinished || got.Sequence != 7 {
			b.Errorf("%+v", got)
		}
		b.wantCode(b.claim(a).Code, Idle)
	},
	"a failure before the log has told of the job is tried again": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 7)
		j := b.take(a)
		b.lost(2, a)
		j = b.assert(a, j, OK)
		for range 2 { // and its answer was lost
			b.wantCode(must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Failed: true, Reason: "exit 1"}, false)).Code, OK)
		}
		b.wantCode(b.claim(a).Code, Idle)
		if got := b.job("j1", 7); got.Code != OK || got.Handed != "p_1" {
			b.Errorf("%+v", got)
		}
		if r := b.record("j1"); r.Attempts != 2 || r.Sequence != 7 {
			b.Errorf("%+v", r)
		}
	},
	"a job that waits again stays with who holds it, and one handed out again does not": func(b *bed) {
		a, late := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.job("j1", 1)
		j1 := b.take(a)
		b.job("j2", 2)
		j2 := b.take(late)
		b.lost(2, a)
		b.job("j1", 1)
		j := b.assert(a, j1, OK)
		b.job("j2", 2)
		b.wantCode(b.finish(a, j, false).Code, OK)
		again := b.take(a) // j2; j1 in the queue is spent
		if again.ID != "j2" {
			b.Errorf("got %s", again.ID)
		}
		b.wantCode(must[Hello](b)(late.Hello(b.ctx())).Code, OK)
		stale := b.assert(late, j2, Stale)
		b.wantCode(b.finish(late, stale, false).Code, Stale)
		b.wantCode(b.finish(a, again, false).Code, OK)
		b.assert(late, j2, Stale) // it has ended
	},
	"assert is refused": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		if _, code, err := must[*Actor](b)(b.s.Actor("p_9", "sh", "i9")).Assert(b.ctx(), nil); !errors.Is(err, ErrNoEpoch) {
			b.Errorf("before hello: %v %v", code, err)
		}
		another := j
		another.Token.Attempt = 7
		b.assert(a, another, Stale) // of this epoch
		b.lost(2, a)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		b.assert(a, j, Stale) // closed, and answered that nothing is in hand
		must[Gate](b)(b.d.OpenGate(b.ctx(), "p_1"))
		b.job("j0", 9)
		b.take(a)
		b.assert(a, j, Stale) // its hand is full
		b.actor("p_1", "i2")
		if _, code, err := a.Assert(b.ctx(), []InHand{{Claimed: j}}); code != Unregistered || err != nil {
			b.Errorf("%v %v", code, err)
		}
	},
	"who has asserted, and how much": func(b *bed) {
		a := b.actor("p_1", "i1")
		idle := b.actor("p_2", "i2")
		b.job("j1", 1)
		j := b.take(a)
		b.lost(2, a, idle)
		if done, n, err := b.d.Asserted(b.ctx()); len(done) > 0 || n > 0 || err != nil {
			b.Errorf("%v %d %v", done, n, err)
		}
		b.assert(a, j, OK)
		if _, code, err := idle.Assert(b.ctx(), nil); code != OK || err != nil {
			b.Errorf("%v %v", code, err)
		}
		done, n, err := b.d.Asserted(b.ctx())
		if d := cmp.Diff(map[string]bool{"i1": true, "i2": true}, done); d != "" || n != 1 || err != nil {
			b.Errorf("%s %d %v", d, n, err)
		}
		if done, n, err := b.s.Daemon(3).Asserted(b.ctx()); len(done) > 0 || n > 0 || err != nil {
			b.Errorf("of another epoch: %v %d %v", done, n, err)
		}
	},
	"what was given back is not taken again": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		must[uint64](b)(raise(b, 2)) // an epoch that was lost alone: the record is there
		b.wantCode(must[Hello](b)(a.Hello(b.ctx())).Code, OK)
		b.assert(a, j, Stale)
	},
	"a job that waits is taken from where it waits": func(b *bed) {
		a := b.actor("p_1", "i1")
		for _, sub := range []Submission{{}, {Priority: 3}, {Due: time.Now().Add(time.Hour)}} {
			sub.ID, sub.Type, sub.Script, sub.Sequence = "j1", "sh", "x", 1
			now := sub
			now.Due = time.Time{}
			b.accept(now)
			j := b.take(a)
			b.lost(a.epoch.Load()+1, a)
			b.accept(sub)
			b.assert(a, j, OK)
			k := b.s.keys
			queued, prio, delayed := len(b.list(k.queue("sh"))), b.s.rdb.ZCard(b.ctx(), k.prio("sh").name).Val(), b.s.rdb.ZCard(b.ctx(), k.delayed("sh").name).Val()
			if queued+int(prio)+int(delayed) > 0 {
				b.Errorf("%+v is in the queue %d, of another level %d, delayed %d times", sub, queued, prio, delayed)
			}
			b.lost(a.epoch.Load()+1, a)
		}
	},
	"its death gives back what was kept": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 7)
		j := b.take(a)
		b.lost(2, a)
		b.assert(a, j, OK)
		b.job("j1", 7)
		if r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3)); r.Code != OK || len(r.Jobs) != 1 {
			b.Errorf("%+v", r)
		}
		if again := b.take(b.actor("p_2", "i2")); again.ID != "j1" || again.Token.Attempt != 2 {
			b.Errorf("%+v", again)
		}
	},
}

// An actor of many slots asserts in calls of a bounded size, and only the last one says that this is all.
func TestAssertInParts(t *testing.T) {
	big := InHand{Claimed: Claimed{Script: strings.Repeat("x", assertBytes/2)}}
	for name, c := range map[string]struct {
		jobs []InHand
		want int
	}{
		"none": {nil, 0}, "few": {make([]InHand, 3), 3}, "many": {make([]InHand, 250), assertJobs},
		"big": {[]InHand{big, big, big}, 2}, "one alone": {[]InHand{{Claimed: Claimed{Script: strings.Repeat("x", 2*assertBytes)}}, big}, 1},
	} {
		if got := (&Actor{}).assertable(c.jobs); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// An actor of several types asserts in one call for each, whatever the order of its jobs, and hears of each what it asked about it.
func TestAssertTypeByType(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, srv *server) {
		b := newBed(t, srv)
		calls := recordCodes(b.s)
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		if err := errors.Join(a.SetSlots(40), a.Serve(map[string]int{"sh": 1, "py": 1, "lua": 1})); err != nil {
			t.Fatal(err)
		}
		must[Hello](b)(a.Hello(b.ctx()))
		var jobs []InHand
		for i := range 30 {
			jobs = append(jobs, InHand{Claimed: Claimed{
				ID: fmt.Sprint("j", i), Type: []string{"sh", "py", "lua"}[i%3], Script: "x", Token: Token{Epoch: 1, Attempt: 1, Incarnation: "i1"},
			}})
		}
		must[uint64](b)(raise(b, 2))
		b.wantCode(must[Hello](b)(a.Hello(b.ctx())).Code, OK)
		jobs[4].Token.Epoch = 2 // of this epoch, and not in its hand
		codes, code, err := a.Assert(b.ctx(), jobs)
		if err != nil || code != OK || len(codes) != len(jobs) {
			t.Fatalf("%v %s %v", codes, code, err)
		}
		for i, c := range codes {
			if want := map[bool]Code{true: Stale, false: OK}[i == 4]; c != want {
				t.Errorf("%s: %s, want %s", jobs[i].ID, c, want)
			}
		}
		if n := calls.counts["assert OK"]; n != 3 {
			t.Errorf("%d calls", n)
		}
		if r := b.record("j7"); r.Type != "py" || r.Token.Epoch != 2 {
			t.Errorf("%+v", r)
		}
	})
}
