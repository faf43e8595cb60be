package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"
)

var claimCases = map[string]func(b *bed){
	"claim again is the same job and token": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		b.job("j2", 2)
		first := b.claim(a)
		second := b.claim(a)
		if first.Held || !second.Held || cmp.Diff(first.Job, second.Job) != "" {
			b.Errorf("%+v %+v", first, second)
		}
		if r := b.record("j1"); r.Status != StatusStarted || r.Attempts != 1 || r.Actor != "p_1" ||
			r.Token != (Token{1, 1, "i1"}) || r.StartedAt.IsZero() {
			b.Errorf("%+v", r)
		}
		if d := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"}))[0]; d.Ready != 1 || d.InFlight != 1 {
			b.Errorf("%+v", d)
		}
	},
	"claim takes the message of its job off the wake list": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1"))
		b.job("j1", 1)
		if r := b.claim(a); !r.Held || r.Job.ID != "j1" {
			b.Errorf("%+v", r)
		}
		if l := b.list(b.s.keys.wake("p_1")); len(l) != 1 || wakeText(l[0]) != "ping n1" {
			b.Errorf("%q", l)
		}
	},
	"claim by nobody": func(b *bed) {
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		if _, err := a.Claim(b.ctx()); !errors.Is(err, ErrNoEpoch) {
			b.Errorf("%v, want ErrNoEpoch: it never said hello", err)
		}
		a.epoch.Store(1)
		b.wantCode(b.claim(a).Code, Unregistered)
	},
	"claim of an id without a record": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.push("nothing")
		b.push("f1", "script", "x", "status", "dispatched")
		b.push("noscript", "status", "dispatched")
		b.s.rdb.LPush(b.ctx(), "hero:job:list", "x")
		b.push("list")
		if j := b.take(a); j.ID != "f1" {
			b.Errorf("%+v", j)
		}
		b.finish(a, Claimed{ID: "f1", Token: Token{1, 1, "i1"}}, true)
		dead := map[string]string{}
		for _, d := range must[[]DeadJob](b)(b.d.Dead(b.ctx(), 10)) {
			dead[d.ID] = d.Reason
		}
		if d := cmp.Diff(map[string]string{"nothing": ReasonNoRecord, "list": ReasonNoRecord, "noscript": "no script"}, dead); d != "" {
			b.Error(d)
		}
		if k := b.kinds(); k != "hello dead started ended dead dead" {
			b.Error(k)
		}
		// An id without a record that the log submits after all is no longer dead.
		b.accept(Submission{ID: "nothing", Type: "sh", Script: "x", Sequence: 1})
		if d := must[[]DeadJob](b)(b.d.Dead(b.ctx(), 10)); len(d) != 2 {
			b.Errorf("%+v", d)
		}
	},
	"an id that can not be run dies once, however often it is pushed": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.push("noscript", "status", "dispatched")
		b.push("noscript")
		b.wantCode(b.claim(a).Code, Idle)
		if k := b.kinds(); k != "hello dead" {
			b.Error(k)
		}
		if l := b.list(b.s.keys.reply("noscript")); len(l) != 1 {
			b.Errorf("%d replies", len(l))
		}
	},
	"claim is bounded": func(b *bed) {
		a := b.actor("p_1", "i1")
		for i := range 150 {
			b.push(fmt.Sprint("nothing", i))
		}
		b.wantCode(b.claim(a).Code, Again)
		b.wantCode(b.claim(a).Code, Idle)
		if n := len(must[[]DeadJob](b)(b.d.Dead(b.ctx(), 1000))); n != 150 {
			b.Errorf("%d dead", n)
		}
	},
	"claim skips what is spent": func(b *bed) {
		a1, a2 := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.job("j1", 1)
		b.push("j1") // pushed again by somebody
		b.take(a1)
		b.wantCode(b.claim(a2).Code, Idle)
	},
	"claim serves an idle one beside a backlog": func(b *bed) {
		a1, a2 := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.wantCode(b.claim(a1).Code, Idle)
		b.push("f1", "script", "x")
		b.push("f2", "script", "x")
		if j := b.take(a2); j.ID != "f1" {
			b.Errorf("%+v", j)
		}
		if w := must[Wake](b)(a1.WaitWake(b.ctx(), soon)); w.Job == nil || w.Job.ID != "f2" {
			b.Errorf("%+v", w)
		}
	},
	"claim by an idle actor takes it out of the idle": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		b.push("f1", "script", "x")
		b.take(a)
		if d := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"}))[0]; d.Idle != 0 {
			b.Errorf("%+v", d)
		}
		if r := b.job("j2", 2); r.Handed != "" {
			b.Errorf("a busy actor got %+v", r)
		}
	},
	"claim keeps the place of who asks again": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		b.s.rdb.ZAddXX(b.ctx(), "hero:idle:sh", z(5, "p_1 i1"))
		b.wantCode(b.claim(a).Code, Idle)
		if since := b.s.rdb.ZScore(b.ctx(), "hero:idle:sh", "p_1 i1").Val(); since != 5 {
			b.Errorf("idle since %v", since)
		}
	},
	"a closed actor whose job vanished drains": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		b.s.rdb.Del(b.ctx(), "hero:job:j1")
		b.wantCode(b.finish(a, j, true).Code, Unknown)
		b.wantCode(b.claim(a).Code, Closed)
		if f := b.lastFact(); f.Kind != FactDrained || f.Actor != "p_1" {
			b.Errorf("%+v", f)
		}
		if d := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"}))[0]; d.InFlight != 0 {
			b.Errorf("%+v", d)
		}
	},
	"types keep their letters": func(b *bed) {
		a := must[*Actor](b)(b.s.Actor("p_1", "V", "i1"))
		must[Hello](b)(a.Hello(b.ctx()))
		sub := Submission{ID: "j1", Type: "V", Script: "x", Sequence: 1}
		b.accept(sub)
		b.wantCode(b.accept(sub)[0].Code, Same)
		if r := b.record("j1"); r.Type != "V" {
			b.Errorf("%+v", r)
		}
		b.wantCode(must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1")).Code, OK)
		if q := b.list(b.s.keys.queue("V")); len(q) > 0 {
			b.Error(q)
		}
	},
	"claim drops a held id that is not its own any more": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.s.rdb.RPush(b.ctx(), "hero:held:i1", "vanished", "j1")
		b.job("j1", 1)
		if j := b.take(a); j.ID != "j1" || j.Token.Attempt != 1 {
			b.Errorf("%+v", j)
		}
		if h := b.list(b.s.keys.held("i1")); !slices.Equal(h, []string{"j1"}) {
			b.Error(h)
		}
	},
	"a job in hand since before a rebuild is a new attempt": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		old := b.take(a)
		must[uint64](b)(raise(b, 2))
		if _, err := a.Finish(b.ctx(), old, Outcome{}, true); !errors.Is(err, ErrNoEpoch) {
			b.Fatal(err)
		}
		must[Hello](b)(a.Hello(b.ctx()))
		r := b.claim(a)
		if !r.Held || r.Job.Token != (Token{2, 2, "i1"}) {
			b.Errorf("%+v", r.Job)
		}
		if h := b.list(b.s.keys.held("i1")); !slices.Equal(h, []string{"j1"}) {
			b.Error(h)
		}
		b.wantCode(b.finish(a, *r.Job, false).Code, OK)
	},
}
