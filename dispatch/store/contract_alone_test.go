package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slotted registers an actor with so many slots.
func (b *bed) slotted(name, inc string, slots int) *Actor {
	b.Helper()
	return b.serving(name, inc, slots, map[string]int{"sh": 1})
}

// got is one exchange's code and jobs, "JOB j1 j2".
func (b *bed) got(a *Actor, ended ...Ended) string {
	b.Helper()
	res := must[ExchangeResult](b)(a.Exchange(b.ctx(), ended, Listening, a.slots))
	out := []string{string(res.Code)}
	for _, j := range res.Jobs {
		out = append(out, j.ID)
	}
	return strings.Join(out, " ")
}

func (b *bed) wantGot(want string, a *Actor, ended ...Ended) {
	b.Helper()
	if got := b.got(a, ended...); got != want {
		b.Errorf("%s got %q, want %q", a.name, got, want)
	}
}

// end of the job that an actor of this epoch holds.
func (b *bed) end(id string, failed bool) Ended {
	b.Helper()
	return Ended{Job: Claimed{ID: id, Type: "sh", Token: b.record(id).Token}, Outcome: Outcome{Failed: failed, Error: "no"}}
}

// sharedDeath makes suspects of s0 and s1: they wait alone.
func (b *bed) sharedDeath() {
	b.Helper()
	b.dying(func() {})
}

// dying is sharedDeath, with something that happens right before it.
func (b *bed) dying(before func()) {
	b.Helper()
	a := b.slotted("d_1", "gone", 2)
	b.typed("s0", "sh", 1)
	b.typed("s1", "sh", 0)
	b.wantGot("JOB s0 s1", a)
	before()
	r := must[Recovered](b)(b.d.Recover(b.ctx(), "gone", false, 2))
	for _, j := range r.Jobs {
		if j.Crashes != 0 || j.Dead {
			b.Errorf("%+v", j)
		}
	}
}

// twoBusy are two actors of two slots with a job each, j0 and j1; their gates are closed, so that what comes next goes to others.
func (b *bed) twoBusy() (one, two *Actor) {
	b.Helper()
	one, two = b.slotted("p_1", "i1", 2), b.slotted("p_2", "i2", 2)
	for i, a := range []*Actor{one, two} {
		b.typed(fmt.Sprint("j", i), "sh", 0)
		b.wantGot(fmt.Sprint("IDLE j", i), a)
		must[Gate](b)(b.d.CloseGate(b.ctx(), a.name))
	}
	return one, two
}

func (b *bed) open(actors ...*Actor) {
	b.Helper()
	for _, a := range actors {
		must[Gate](b)(b.d.OpenGate(b.ctx(), a.name))
	}
}

var aloneCases = map[string]func(b *bed){
	"a death with several in hand counts for none, and they run alone": func(b *bed) {
		b.sharedDeath()
		if f := b.lastFact(); f.Kind != FactRetried || f.How != AttemptSuspected || f.Crashes != 0 {
			b.Errorf("%+v", f)
		}
		r := b.record("s0")
		if !r.Alone || r.Crashes != 0 || len(r.History) != 1 || r.History[0].Outcome != AttemptSuspected {
			b.Errorf("%+v", r)
		}
		if d := b.depth("sh")["sh"]; d.Ready != 2 {
			b.Errorf("%+v", d)
		}
		b.job("j1", 3)
		a := b.slotted("p_1", "i1", 3)
		b.wantGot("JOB s0", a)
		if f := b.lastFact(); f.Kind != FactStarted || !f.Alone {
			b.Errorf("%+v", f)
		}
		if rec, _, err := b.d.ActorRecord(b.ctx(), "p_1"); err != nil || !rec.Alone {
			b.Errorf("%+v %v", rec, err)
		}
		b.wantGot("JOB", a)
		b.wantGot("JOB s1", a, b.end("s0", false))
		b.wantGot("IDLE j1", a, b.end("s1", false))
		b.wantStatus("s0", StatusFinished, "")
		if r := b.record("s0"); r.Alone { // it killed nobody
			b.Errorf("%+v", r)
		}
		if b.exists(b.s.keys.alone("sh")) || b.exists(b.s.keys.clearing("sh")) {
			b.Error("a list is left")
		}
	},
	"the next death is its own": func(b *bed) {
		b.sharedDeath()
		for i, want := range []Returned{{ID: "s0", Crashes: 1}, {ID: "s0", Crashes: 2, Dead: true}} {
			inc := fmt.Sprint("i", i)
			b.wantGot("JOB s0", b.slotted("p_1", inc, 3))
			b.draws(0)
			r := must[Recovered](b)(b.d.Recover(b.ctx(), inc, false, 2))
			if d := cmp.Diff([]Returned{want}, r.Jobs); d != "" {
				b.Error(d)
			}
		}
		b.wantStatus("s0", StatusError, ReasonCrashes)
	},
	"one that died by itself is no suspect": func(b *bed) {
		a := b.slotted("p_1", "i1", 2)
		b.job("j1", 1)
		b.wantGot("IDLE j1", a)
		if r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3)); r.Jobs[0].Crashes != 1 || b.record("j1").Alone {
			b.Errorf("%+v", r)
		}
	},
	"nobody is accused by one that never began": func(b *bed) {
		a := b.slotted("p_1", "i1", 2)
		b.wantGot("IDLE", a)
		b.job("j1", 1) // both by message, of which one is read
		b.job("j2", 2)
		b.wantCode(must[Wake](b)(a.WaitWake(b.ctx(), time.Second)).codeOf(), GotJob)
		r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		if d := cmp.Diff([]Returned{{ID: "j1", Crashes: 1}, {ID: "j2"}}, r.Jobs); d != "" {
			b.Error(d)
		}
	},
	"where no hand is empty one is emptied, and the others go on": func(b *bed) {
		one, two := b.twoBusy()
		b.dying(func() {
			b.open(one, two)
			b.wantGot("IDLE", one)
			b.wantGot("IDLE", two)
		})
		// p_2 had work last: it clears its hand, and p_1 goes on.
		if who := must[string](b)(b.d.Clears(b.ctx(), "sh")); who != "p_2 i2" {
			b.Errorf("%q clears", who)
		}
		b.typed("j2", "sh", 0)
		if r := b.record("j2"); r.Actor != "p_1" {
			b.Errorf("%+v", r)
		}
		b.wantGot("JOB", two)
		b.wantGot("JOB s0", two, b.end("j1", false))
		b.wantGot("IDLE", one, b.end("j0", false))
		b.wantGot("JOB s1", one, b.end("j2", false))
	},
	"who clears and is closed is followed by another": func(b *bed) {
		one, two := b.twoBusy()
		b.dying(func() { b.open(one, two) })
		b.wantGot("JOB", one)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		b.wantGot("JOB", two)
		if who := must[string](b)(b.d.Clears(b.ctx(), "sh")); who != "p_2 i2" {
			b.Errorf("%q clears", who)
		}
	},
	"an idle empty hand gets one at once": func(b *bed) {
		a := b.slotted("p_1", "i1", 2)
		other := b.slotted("d_1", "gone", 2)
		b.typed("s0", "sh", 0)
		b.typed("s1", "sh", 0)
		b.wantGot("JOB s0 s1", other)
		b.wantGot("IDLE", a)
		r := must[Recovered](b)(b.d.Recover(b.ctx(), "gone", false, 3))
		if d := cmp.Diff([]Returned{{ID: "s0", Handed: "p_1"}, {ID: "s1"}}, r.Jobs); d != "" {
			b.Error(d)
		}
		b.typed("j1", "sh", 0)
		if s := b.record("j1").Status; s != StatusDispatched {
			b.Errorf("j1 is %s beside one that runs alone", s)
		}
	},
	"an actor of one slot takes them too": func(b *bed) {
		b.sharedDeath()
		b.wantGot("JOB s0", b.slotted("p_1", "i1", 1))
	},
	"an actor of several types takes them too": func(b *bed) {
		b.sharedDeath()
		b.waiting("py", 1)
		a := must[*Actor](b)(b.s.Actor("p_1", "py", "i1"))
		for _, err := range []error{a.SetSlots(2), a.Serve(map[string]int{"py": 1, "sh": 1})} {
			if err != nil {
				b.Fatal(err)
			}
		}
		b.wantCode(must[Hello](b)(a.Hello(b.ctx())).Code, OK)
		b.wantGot("JOB s0", a)
		b.wantGot("JOB s1", a, b.end("s0", false))
		b.wantGot("IDLE py0", a, b.end("s1", false))
	},
	"of a type whose turn comes last, beside a backlog of the other": func(b *bed) {
		b.sharedDeath()
		a := b.serving("p_1", "i1", 2, map[string]int{"sh": 1, "aa": 20})
		b.waiting("aa", 5)
		b.wantGot("JOB s0", a)
		b.wantGot("JOB s1", a, b.end("s0", false))
		b.wantGot("JOB aa0 aa1", a, b.end("s1", false))
	},
	"who cleared its hand is told that it may take jobs again": func(b *bed) {
		one := b.slotted("p_1", "i1", 3)
		b.typed("j0", "sh", 0)
		b.wantGot("IDLE j0", one)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		b.dying(func() { must[Gate](b)(b.d.OpenGate(b.ctx(), "p_1")) })
		b.wantCode(Code(must[Wake](b)(one.WaitWake(b.ctx(), time.Second)).Kind), Code(WakeRing)) // of the opening
		b.wantGot("JOB", one)                                                                    // it clears
		two := b.slotted("p_2", "i2", 1)
		b.wantGot("JOB s0", two)
		b.wantGot("JOB s1", two, b.end("s0", false))
		if who := must[string](b)(b.d.Clears(b.ctx(), "sh")); who != "" {
			b.Errorf("%s clears its hand for none", who)
		}
		b.typed("j1", "sh", 0)
		b.wantCode(Code(must[Wake](b)(one.WaitWake(b.ctx(), time.Second)).Kind), Code(WakeRing))
		b.wantGot("IDLE j1", one)
	},
	"the last that ran alone is cancelled": func(b *bed) {
		one := b.slotted("p_1", "i1", 3)
		b.typed("j0", "sh", 0)
		b.wantGot("IDLE j0", one)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		b.dying(func() { must[Gate](b)(b.d.OpenGate(b.ctx(), "p_1")) })
		b.wantGot("JOB", one)
		for _, id := range []string{"s0", "s1"} {
			must[Cancelled](b)(b.d.Cancel(b.ctx(), id))
		}
		if who := must[string](b)(b.d.Clears(b.ctx(), "sh")); who != "" {
			b.Errorf("%s clears its hand for none", who)
		}
	},
	"who has nothing in hand and takes none does not clear it for ever": func(b *bed) {
		one, two := b.twoBusy()
		b.dying(func() { b.open(one, two) })
		b.wantGot("JOB", one)
		must[ExchangeResult](b)(one.Exchange(b.ctx(), []Ended{b.end("j0", false)}, Listening, 0)) // wants none
		b.wantGot("JOB", two)
		b.wantGot("JOB s0", two, b.end("j1", false))
	},
	"one whose script fails does not kill": func(b *bed) {
		b.sharedDeath()
		a := b.slotted("p_1", "i1", 2)
		b.wantGot("JOB s0", a)
		b.draws(0)
		b.wantGot("JOB s1", a, b.end("s0", true))
		if b.record("s0").Alone {
			b.Error("s0 is a suspect still")
		}
	},
	"cancelled while it waits alone": func(b *bed) {
		b.sharedDeath()
		must[Cancelled](b)(b.d.Cancel(b.ctx(), "s0"))
		if l := b.list(b.s.keys.alone("sh")); !slices.Equal(l, []string{"s1"}) {
			b.Errorf("%v", l)
		}
	},
	"in no list, it is put back into its own": func(b *bed) {
		b.sharedDeath()
		must[int64](b)(b.s.rdb.Del(b.ctx(), b.s.keys.alone("sh").name).Result())
		b.wantCode(must[Code](b)(b.d.Adrift(b.ctx(), "sh", "s0", 0)), OK)
		b.wantCode(must[Code](b)(b.d.Adrift(b.ctx(), "sh", "s0", 0)), Kept)
		if l := b.list(b.s.keys.alone("sh")); !slices.Equal(l, []string{"s0"}) {
			b.Errorf("%v", l)
		}
		if w := must[[]Record](b)(b.s.Waiting(b.ctx(), "sh", 9)); len(w) != 1 || w[0].ID != "s0" {
			b.Errorf("%+v", w)
		}
		if n := must[int](b)(b.s.Ahead(b.ctx(), b.record("s0"))); n != 0 {
			b.Errorf("%d ahead", n)
		}
	},
}

func (w Wake) codeOf() Code {
	if w.Kind == WakeJob {
		return GotJob
	}
	return Code(w.Kind)
}
