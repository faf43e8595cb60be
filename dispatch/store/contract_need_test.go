package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// needing is a job of type "sh" that waits for others: "id", "id:run", "id:hold".
func needing(id string, seq uint64, prerequisites ...string) Submission {
	s := Submission{ID: id, Type: "sh", Script: "echo " + id, Sequence: seq}
	for _, text := range prerequisites {
		p, rule, _ := strings.Cut(text, ":")
		s.Prerequisites = append(s.Prerequisites, Prerequisite{ID: p, Rule: Rule(rule)})
	}
	return s
}

// run claims the next job, wants it to be id, and ends it.
func (b *bed) run(a *Actor, id string, good bool) {
	b.Helper()
	j := b.take(a)
	if j.ID != id {
		b.Fatalf("%s is served, want %s", j.ID, id)
	}
	out := Outcome{Output: "done"}
	if !good {
		out = Outcome{Failed: true, Error: "broken", Reason: "exit 1", ExitCode: "1"}
	}
	if r := must[FinishResult](b)(a.Finish(b.ctx(), j, out, false)); r.Code != OK {
		b.Fatalf("finish of %s: %s", id, r.Code)
	}
}

// status of a job, with the reason of a bad end.
func (b *bed) wantStatus(id string, want Status, reason string) {
	b.Helper()
	if r := b.record(id); r.Status != want || r.Reason != reason {
		b.Errorf("%s is %s (%s), want %s (%s)", id, r.Status, r.Reason, want, reason)
	}
}

func (b *bed) exists(k key) bool {
	b.Helper()
	return must[int64](b)(b.s.rdb.Exists(b.ctx(), k.name).Result()) == 1
}

var needCases = map[string]func(b *bed){
	"a job waits for all its prerequisites": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		b.job("p2", 2)
		d := b.accept(needing("d", 3, "p1", "p2"))[0]
		if d.Code != OK || d.Status != StatusWaiting || !slices.Equal(d.Waits, []string{"p1", "p2"}) || d.Ready != 2 {
			b.Errorf("%+v", d)
		}
		if again := b.accept(needing("d", 3, "p1", "p2"))[0]; again.Code != Same || again.Status != StatusWaiting {
			b.Errorf("%+v", again)
		}
		ns := must[[]Need](b)(b.s.Needs(b.ctx(), "d"))
		slices.SortFunc(ns, func(a, b Need) int { return strings.Compare(a.ID, b.ID) })
		if diff := cmp.Diff([]Need{
			{Prerequisite: Prerequisite{"p1", RuleFail}, Status: StatusDispatched}, {Prerequisite: Prerequisite{"p2", RuleFail}, Status: StatusDispatched},
		}, ns); diff != "" {
			b.Error(diff)
		}
		b.run(a, "p1", true)
		b.wantStatus("d", StatusWaiting, "")
		b.run(a, "p2", true)
		b.wantStatus("d", StatusDispatched, "")
		if f := b.lastFact(); f.Kind != FactReleased || f.Job != "d" || f.Ready != 1 || f.Sequence != 3 || f.Type != "sh" {
			b.Errorf("%+v", f)
		}
		b.run(a, "d", true)
		for _, id := range []string{"p1", "p2", "d"} {
			if b.exists(b.s.keys.need(id)) || b.exists(b.s.keys.unlocks(id)) {
				b.Errorf("edges of %s are left", id)
			}
		}
	},
	"what has finished already is no reason to wait": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		b.run(a, "p1", true)
		if d := b.accept(needing("d", 2, "p1"))[0]; d.Status != StatusDispatched || len(d.Waits) > 0 || d.Ready != 1 {
			b.Errorf("%+v", d)
		}
		b.run(a, "d", true)
	},
	"a prerequisite that is not known refuses the job, unless Redis forgot it": func(b *bed) {
		b.job("p1", 1)
		d := b.accept(needing("d", 2, "p1", "nobody"))[0]
		if d.Code != NoNeed || d.Missing != "nobody" {
			b.Errorf("%+v", d)
		}
		if _, err := b.s.Job(b.ctx(), "d"); err != ErrNoJob { //nolint:errorlint // the very value
			b.Errorf("a refused job has a record: %v", err)
		}
		if p := must[uint64](b)(b.d.Position(b.ctx())); p != 2 || b.exists(b.s.keys.unlocks("p1")) {
			b.Errorf("position %d", p)
		}
		again := needing("d", 2, "p1", "nobody")
		again.Refilled = true
		if d := b.accept(again)[0]; d.Status != StatusWaiting || !slices.Equal(d.Waits, []string{"p1"}) {
			b.Errorf("%+v", d)
		}
	},
	"a bad end fails, runs or holds": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		b.accept(needing("f", 2, "p1"), needing("r", 3, "p1:run"), needing("h", 4, "p1:hold"), needing("ff", 5, "f"), needing("fr", 6, "f:run"))
		b.run(a, "p1", false)
		b.wantStatus("f", StatusError, "prerequisite p1")
		b.wantStatus("ff", StatusError, "prerequisite f")
		b.wantStatus("h", StatusWaiting, "")
		b.run(a, "r", true)
		b.run(a, "fr", true)
		if first, n, err := b.s.Dependents(b.ctx(), "p1", 10); n != 1 || !slices.Equal(first, []string{"h"}) || err != nil {
			b.Errorf("%v %d %v", first, n, err)
		}
		// They ended once each, and leave the log.
		var ends []string
		for _, e := range b.ended(100) {
			ends = append(ends, e.ID)
		}
		if !slices.Equal(ends, []string{"p1", "f", "ff", "r", "fr"}) {
			b.Errorf("ended: %v", ends)
		}
	},
	"a job whose prerequisite failed before does not begin": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		b.run(a, "p1", false)
		d := b.accept(needing("f", 2, "p1"), needing("r", 3, "p1:run"), needing("h", 4, "p1:hold"))
		if d[0].Status != StatusError || d[1].Status != StatusDispatched || d[2].Status != StatusWaiting {
			b.Errorf("%+v", d)
		}
		if f := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), noFact, 0)).Facts; f[len(f)-1].Kind != FactEnded || f[len(f)-1].Job != "f" || f[len(f)-1].Reason != "prerequisite p1" {
			b.Errorf("%+v", f[len(f)-1])
		}
	},
	"every end counts: cancelled, dead, expired": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.accept(
			Submission{ID: "c", Type: "sh", Script: "x", Sequence: 1},
			Submission{ID: "e", Type: "sh", Script: "x", Sequence: 2, StartBy: time.Now().Add(-time.Second)},
			Submission{ID: "x", Type: "sh", Script: "x", Sequence: 3},
			needing("dc", 4, "c"), needing("de", 5, "e"), needing("dx", 6, "x"), needing("rc", 7, "c:run", "e:run", "x:run"),
		)
		if r := must[Cancelled](b)(b.d.Cancel(b.ctx(), "c")); r.Code != OK {
			b.Errorf("%+v", r)
		}
		b.wantStatus("dc", StatusError, "prerequisite c")
		if j := b.take(a); j.ID != "x" { // a claim ends the late one and serves it never
			b.Errorf("%s is served", j.ID)
		}
		b.wantStatus("e", StatusError, ReasonExpired)
		b.wantStatus("de", StatusError, "prerequisite e")
		b.wantStatus("rc", StatusWaiting, "")
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 1))
		b.wantStatus("dx", StatusError, "prerequisite x")
		b.wantStatus("rc", StatusDispatched, "")
	},
	"a late job of another type gives to the type that released it": func(b *bed) {
		a := b.actor("p_1", "i1")
		other := must[*Actor](b)(b.s.Actor("q_1", "py", "i2"))
		b.wantCode(must[Hello](b)(other.Hello(b.ctx())).Code, OK)
		b.wantCode(must[ClaimResult](b)(other.Claim(b.ctx())).Code, Idle)
		b.job("s1", 1)
		late := needing("p1", 2, "s1")
		late.Type, late.StartBy = "py", time.Now().Add(-time.Second)
		b.accept(late)
		b.accept(needing("s2", 3, "p1:run"))
		ids, _ := b.ids(a, []Ended{{Job: b.take(a)}}, 1)
		b.wantStatus("p1", StatusError, ReasonExpired)
		if w := must[Wake](b)(a.WaitWake(b.ctx(), time.Second)); len(ids) > 0 || w.Kind != WakeJob || w.Job.ID != "s2" {
			b.Errorf("taken %v, then %+v: want s2 by message", ids, w)
		}
	},
	"cancel of a job that waits or holds": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		b.accept(needing("d", 2, "p1"), needing("h", 3, "p1:hold"), needing("dd", 4, "d:run"))
		if r := must[Cancelled](b)(b.d.Cancel(b.ctx(), "d")); r.Code != OK {
			b.Errorf("%+v", r)
		}
		b.run(a, "p1", false)
		b.run(a, "dd", true)
		b.wantStatus("h", StatusWaiting, "")
		es := b.ended(100)
		must[int](b)(b.d.Settle(b.ctx(), es))
		if ttl := b.ttl(b.s.keys.job("p1").name); ttl > 0 {
			b.Errorf("the record expires in %v though one holds for it", ttl)
		}
		must[Cancelled](b)(b.d.Cancel(b.ctx(), "h"))
		if ttl := b.ttl(b.s.keys.job("p1").name); ttl <= 0 {
			b.Errorf("nobody holds for it any more and the record stays: %v", ttl)
		}
	},
	"remove of a job that others hold for": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		b.accept(needing("h1", 2, "p1:hold"), needing("h2", 3, "p1:hold"))
		b.run(a, "p1", false)
		before, facts := must[map[string]string](b)(b.s.Fields(b.ctx(), "p1")), b.kinds()
		for _, waiting := range []int{2, 1} {
			r := must[Removed](b)(b.d.Remove(b.ctx(), "p1", 1))
			if r != (Removed{Code: Waited, Status: StatusError, Waiting: waiting}) {
				b.Errorf("%+v, want %d waiting", r, waiting)
			}
			if waiting == 2 {
				if diff := cmp.Diff(before, must[map[string]string](b)(b.s.Fields(b.ctx(), "p1"))); diff != "" || b.kinds() != facts {
					b.Errorf("it changed something: %s %s", diff, b.kinds())
				}
			}
			must[Cancelled](b)(b.d.Cancel(b.ctx(), fmt.Sprintf("h%d", waiting)))
		}
		b.wantCode(must[Removed](b)(b.d.Remove(b.ctx(), "p1", 1)).Code, OK)
	},
	"a wait for one whose record would expire keeps it": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		b.run(a, "p1", false)
		must[int](b)(b.d.Settle(b.ctx(), b.ended(100)))
		b.accept(needing("h", 2, "p1:hold"))
		if ttl := b.ttl(b.s.keys.job("p1").name); ttl > 0 {
			b.Errorf("expires in %v", ttl)
		}
	},
	"a release beyond the bound is gone on with": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		var all []Submission
		for i := range 1200 {
			s := needing(fmt.Sprintf("d%04d", i), uint64(i+2), "p1")
			if i%2 == 1 {
				s.Type = "py"
			}
			all = append(all, s)
		}
		for some := range slices.Chunk(all, 300) {
			b.accept(some...)
		}
		b.run(a, "p1", true)
		depth := func() (n int) {
			for _, d := range must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh", "py"})) {
				n += d.Ready
			}
			return n
		}
		if n := depth(); n != 500 {
			b.Errorf("%d are released by the finish, want 500", n)
		}
		if f := b.lastFact(); f.Kind != FactMore {
			b.Errorf("last fact %+v", f)
		}
		for more := true; more; {
			more = must[Promoted](b)(b.d.Promote(b.ctx(), "sh")).More
		}
		if n := depth(); n != 1200 {
			b.Errorf("%d are released, want 1200", n)
		}
		w := must[[]Record](b)(b.s.Waiting(b.ctx(), "sh", 3))
		if len(w) != 3 || w[0].ID != "d0000" || w[1].ID != "d0002" {
			b.Errorf("not in the order of the log: %v", w)
		}
		if b.exists(b.s.keys.unlocks("p1")) || b.record("p1").Status != StatusFinished {
			b.Error("edges are left")
		}
	},
	"a cancel of a delayed job that many wait for is gone on with": func(b *bed) {
		b.accept(Submission{ID: "p1", Type: "sh", Script: "x", Sequence: 1, Due: time.Now().Add(time.Hour)})
		var all []Submission
		for i := range 501 {
			all = append(all, needing(fmt.Sprint("d", i), uint64(i+2), "p1:run"))
		}
		b.accept(all[:300]...)
		b.accept(all[300:]...)
		must[Cancelled](b)(b.d.Cancel(b.ctx(), "p1"))
		b.wantStatus("d500", StatusWaiting, "")
		if in, ok := b.next("sh"); !ok || in != 0 {
			b.Errorf("next in %v %v", in, ok)
		}
		must[Promoted](b)(b.d.Promote(b.ctx(), "sh"))
		b.wantStatus("d500", StatusDispatched, "")
	},
	"a chain of failures beyond the bound ends too": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		last := "p1"
		for some := range 4 {
			var jobs []Submission
			for i := range 200 {
				id := fmt.Sprintf("c%d", some*200+i)
				jobs = append(jobs, needing(id, uint64(some*200+i+2), last))
				last = id
			}
			b.accept(jobs...)
		}
		b.run(a, "p1", false)
		b.wantStatus("c0", StatusError, "prerequisite p1")
		b.wantStatus(last, StatusWaiting, "")
		for more := true; more; {
			more = must[Promoted](b)(b.d.Promote(b.ctx(), "sh")).More
		}
		b.wantStatus(last, StatusError, "prerequisite c798")
		if n := len(b.ended(1000)); n != 801 {
			b.Errorf("%d ended, want 801", n)
		}
	},
	"a release reaches the idle of another type": func(b *bed) {
		a := b.actor("p_1", "i1")
		py := must[*Actor](b)(b.s.Actor("y_1", "py", "i2"))
		must[Hello](b)(py.Hello(b.ctx()))
		b.job("p1", 1)
		d := needing("d", 2, "p1")
		d.Type = "py"
		b.accept(d)
		b.wantCode(b.claim(py).Code, Idle)
		b.run(a, "p1", true)
		r := b.record("d")
		if r.Status != StatusStarted || r.Actor != "y_1" {
			b.Errorf("%+v", r)
		}
	},
	"a released job keeps its delay": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		d := needing("d", 2, "p1")
		d.Due = time.Now().Add(time.Hour)
		b.accept(d)
		b.run(a, "p1", true)
		if f := b.lastFact(); f.Kind != FactReleased || time.Until(f.Due) < 59*time.Minute {
			b.Errorf("%+v", f)
		}
		if in, ok := b.next("sh"); !ok || in < 59*time.Minute {
			b.Errorf("%v %v", in, ok)
		}
		b.wantStatus("d", StatusDispatched, "")
		b.wantCode(b.claim(a).Code, Idle)
	},
	"a waiting job that others push is not run": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.accept(Submission{ID: "p1", Type: "sh", Script: "x", Sequence: 1, Due: time.Now().Add(time.Hour)}, needing("d", 2, "p1:run"))
		b.push("d")
		b.wantCode(b.claim(a).Code, Idle)
		must[Cancelled](b)(b.d.Cancel(b.ctx(), "p1"))
		b.run(a, "d", true) // once: what others pushed is spent
		b.wantCode(b.claim(a).Code, Idle)
	},
	"a prerequisite without a record fails those that wait": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("p1", 1)
		b.accept(needing("d", 2, "p1"))
		b.s.rdb.Del(b.ctx(), b.s.keys.job("p1").name)
		b.wantCode(b.claim(a).Code, Idle)
		b.wantStatus("d", StatusError, "prerequisite p1")
	},
}
