package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serving registers an actor of type sh with so many slots that serves these types.
func (b *bed) serving(name, inc string, slots int, weights map[string]int) *Actor {
	b.Helper()
	a := must[*Actor](b)(b.s.Actor(name, "sh", inc))
	if err := a.SetSlots(slots); err != nil {
		b.Fatal(err)
	}
	if err := a.Serve(weights); err != nil {
		b.Fatal(err)
	}
	b.wantCode(must[Hello](b)(a.Hello(b.ctx())).Code, OK)
	return a
}

// waiting puts n jobs of a type into its queue, "<type>0" and so on.
func (b *bed) waiting(jobType string, n int) {
	b.Helper()
	for i := range n {
		b.typed(fmt.Sprintf("%s%d", jobType, i), jobType, 0)
	}
}

// typed accepts a job with some retries, behind all others in the log.
func (b *bed) typed(id, jobType string, retries int) {
	b.Helper()
	seq := must[uint64](b)(b.d.Position(b.ctx())) + 1
	b.accept(Submission{ID: id, Type: jobType, Script: "x", Sequence: seq, Retries: retries})
}

// ids takes jobs and names them.
func (b *bed) ids(a *Actor, ended []Ended, want int) (ids []string, jobs []Claimed) {
	b.Helper()
	res := must[ExchangeResult](b)(a.Exchange(b.ctx(), ended, Listening, want))
	for i, code := range res.Told {
		if code != OK {
			b.Errorf("end of %s: %s", ended[i].Job.ID, code)
		}
	}
	for _, j := range res.Jobs {
		ids, jobs = append(ids, j.ID), append(jobs, j.Claimed)
		if !strings.HasPrefix(j.ID, j.Type) {
			b.Errorf("job %s is told as of type %s", j.ID, j.Type)
		}
	}
	return ids, jobs
}

func (b *bed) depth(types ...string) map[string]Depth {
	b.Helper()
	all := map[string]Depth{}
	for _, d := range must[[]Depth](b)(b.d.Depths(b.ctx(), types)) {
		all[d.Type] = d
	}
	return all
}

var (
	twoTypes = map[string]int{"sh": 1, "py": 1}
	allThree = []string{"sh", "py", "js"}
)

var serveCases = map[string]func(b *bed){
	"equal types take turns": func(b *bed) {
		a := b.serving("p_1", "i1", 100, map[string]int{"sh": 1, "py": 1, "js": 1})
		b.waiting("sh", 4)
		b.waiting("py", 2)
		b.waiting("js", 3)
		ids, _ := b.ids(a, nil, 100)
		if d := cmp.Diff(strings.Fields("sh0 js0 py0 sh1 js1 py1 sh2 js2 sh3"), ids); d != "" {
			b.Error(d)
		}
	},
	"weights are kept": func(b *bed) {
		a := b.serving("p_1", "i1", 100, map[string]int{"sh": 1, "py": 3})
		b.waiting("sh", 20)
		b.waiting("py", 20)
		ids, _ := b.ids(a, nil, 16)
		n := 0
		for _, id := range ids {
			if strings.HasPrefix(id, "py") {
				n++
			}
		}
		if n != 12 {
			b.Errorf("%d of 16 are of the type with three shares of four: %v", n, ids)
		}
	},
	"turns go on from one exchange to the next": func(b *bed) {
		a := b.serving("p_1", "i1", 1, twoTypes)
		b.waiting("sh", 3)
		b.waiting("py", 3)
		var got []string
		var ended []Ended
		for range 6 {
			ids, jobs := b.ids(a, ended, 1)
			got = append(got, ids...)
			ended = []Ended{{Job: jobs[0], Outcome: Outcome{Output: "ok"}}}
		}
		if d := cmp.Diff(strings.Fields("sh0 py0 sh1 py1 sh2 py2"), got); d != "" {
			b.Error(d)
		}
	},
	"a type that had nothing waiting has no credit": func(b *bed) {
		a := b.serving("p_1", "i1", 100, twoTypes)
		b.waiting("sh", 8)
		b.ids(a, nil, 5)
		b.waiting("py", 5)
		ids, _ := b.ids(a, nil, 4)
		if d := cmp.Diff(strings.Fields("py0 sh5 py1 sh6"), ids); d != "" {
			b.Error(d)
		}
	},
	"among the idle of each type, handed a job of any, and then of none": func(b *bed) {
		a := b.serving("p_1", "i1", 1, twoTypes)
		b.wantCode(b.claim(a).Code, Idle)
		if d := b.depth(allThree...); d["sh"].Idle != 1 || d["py"].Idle != 1 || d["js"].Idle != 0 {
			b.Errorf("%+v", d)
		}
		b.waiting("py", 1)
		if w := must[Wake](b)(a.WaitWake(b.ctx(), time.Second)); w.Kind != WakeJob || w.Job.ID != "py0" || w.Job.Type != "py" {
			b.Errorf("%+v", w)
		}
		if d := b.depth(allThree...); d["sh"].Idle+d["py"].Idle != 0 || d["py"].InFlight != 1 || d["sh"].InFlight != 0 {
			b.Errorf("%+v", d)
		}
		b.waiting("sh", 1)
		if s := b.record("sh0").Status; s != StatusDispatched {
			b.Errorf("sh0 is %s beside a full hand", s)
		}
	},
	"a job fails into its own queue, and ends under its own type": func(b *bed) {
		a := b.serving("p_1", "i1", 1, twoTypes)
		b.typed("py0", "py", 1)
		_, jobs := b.ids(a, nil, 1)
		b.draws(0)
		b.ids(a, []Ended{{Job: jobs[0], Outcome: Outcome{Failed: true, Error: "no"}}}, 0)
		if d := b.depth(allThree...); d["py"].Due+d["py"].Delayed != 1 || d["sh"].Due+d["sh"].Delayed != 0 {
			b.Errorf("%+v", d)
		}
		if f := b.lastFact(); f.Kind != FactRetried || f.Type != "py" || f.Actor != "p_1" {
			b.Errorf("%+v", f)
		}
		must[Promoted](b)(b.d.Promote(b.ctx(), "py"))
		_, jobs = b.ids(a, nil, 1)
		b.ids(a, []Ended{{Job: jobs[0], Outcome: Outcome{Output: "ok"}}}, 0)
		if f := b.lastFact(); f.Kind != FactEnded || f.Type != "py" {
			b.Errorf("%+v", f)
		}
		b.wantStatus("py0", StatusFinished, "")
	},
	"a lost answer comes again with the types": func(b *bed) {
		a := b.serving("p_1", "i1", 2, twoTypes)
		b.waiting("sh", 1)
		b.waiting("py", 1)
		b.ids(a, nil, 2)
		res := must[ExchangeResult](b)(a.Exchange(b.ctx(), nil, 0, 2))
		if len(res.Jobs) != 2 || res.Jobs[0].Type != "sh" || res.Jobs[1].ID != "py0" || res.Jobs[1].Type != "py" || !res.Jobs[1].Held {
			b.Errorf("%+v", res)
		}
	},
	"a dead one's jobs go back to their own queues": func(b *bed) {
		a := b.serving("p_1", "i1", 2, twoTypes)
		b.waiting("sh", 1)
		b.waiting("py", 1)
		b.ids(a, nil, 2)
		other := must[*Actor](b)(b.s.Actor("q_1", "py", "i2"))
		b.wantCode(must[Hello](b)(other.Hello(b.ctx())).Code, OK)
		b.wantCode(b.claim(other).Code, Idle)
		r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		if want := []Returned{{ID: "sh0"}, {ID: "py0", Handed: "q_1"}}; cmp.Diff(want, r.Jobs) != "" || r.Type != "sh" {
			b.Errorf("%+v", r)
		}
		if q := b.list(b.s.keys.alone("sh")); !slices.Equal(q, []string{"sh0"}) {
			b.Errorf("queue of sh: %v", q)
		}
		if regs := must[[]Registered](b)(b.d.Incarnations(b.ctx())); len(regs) != 1 {
			b.Errorf("%+v", regs)
		}
	},
	"a closed gate gives no job of any type": func(b *bed) {
		a := b.serving("p_1", "i1", 1, twoTypes)
		b.wantCode(b.claim(a).Code, Idle)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		b.waiting("py", 1)
		b.wantCode(b.claim(a).Code, Closed)
		if s := b.record("py0").Status; s != StatusDispatched {
			b.Error(s)
		}
	},
	"a rebuilt Redis learns jobs of each type": func(b *bed) {
		a := b.serving("p_1", "i1", 3, twoTypes)
		b.waiting("sh", 1)
		b.waiting("py", 2)
		_, jobs := b.ids(a, nil, 3)
		b.lost(2, a)
		var hand []InHand
		for _, j := range jobs {
			hand = append(hand, InHand{Claimed: j})
		}
		codes, code, err := a.Assert(b.ctx(), hand)
		if err != nil || code != OK || !slices.Equal(codes, []Code{OK, OK, OK}) {
			b.Fatalf("%v %v %v", codes, code, err)
		}
		if r := b.record("py1"); r.Type != "py" || r.Status != StatusStarted {
			b.Errorf("%+v", r)
		}
		if d := b.depth(allThree...); d["py"].InFlight != 2 || d["sh"].InFlight != 1 {
			b.Errorf("%+v", d)
		}
		if done, n, err := b.d.Asserted(b.ctx()); err != nil || !done["i1"] || n != 3 {
			b.Errorf("%v %d %v", done, n, err)
		}
	},
	"what an actor serves is judged": func(b *bed) {
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		many := map[string]int{"sh": 1}
		for i := range MaxServed {
			many[fmt.Sprintf("t%d", i)] = 1
		}
		for _, bad := range []map[string]int{{"py": 1}, {"sh": 0}, {"sh": 1, "p y": 1}, {"sh": 1, "py": MaxWeight + 1}, many} {
			if err := a.Serve(bad); err == nil {
				b.Errorf("%v taken", bad)
			}
		}
	},
}
