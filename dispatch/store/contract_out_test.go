package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

var outCases = map[string]func(b *bed){
	"cancel": func(b *bed) {
		b.job("j1", 1)
		b.accept(Submission{ID: "j2", Type: "sh", Script: "x", Due: time.Now().Add(time.Hour), Sequence: 2})
		b.push("f1", "script", "x", "status", "dispatched") // no type: its queue is not known
		for id, seq := range map[string]uint64{"j1": 1, "j2": 2, "f1": 0} {
			c := must[Cancelled](b)(b.d.Cancel(b.ctx(), id))
			if c.Type = ""; c != (Cancelled{Code: OK, Status: StatusError, Reason: ReasonCancelled, Sequence: seq}) {
				b.Errorf("%+v", c)
			}
			c = must[Cancelled](b)(b.d.Cancel(b.ctx(), id))
			if c.Code != EndedCode || c.Reason != ReasonCancelled {
				b.Errorf("%+v", c)
			}
			if f := b.lastFact(); f.Kind != FactCancelled || f.Job != id || f.Reason != ReasonCancelled {
				b.Errorf("%+v", f)
			}
			if l := b.list(b.s.keys.reply(id)); len(l) != 1 {
				b.Errorf("%d replies", len(l))
			}
		}
		if q := b.list(b.s.keys.queue("sh")); !slices.Equal(q, []string{"f1"}) {
			b.Error(q)
		}
		if _, ok := b.next("sh"); ok {
			b.Error(ok)
		}
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		if q := b.list(b.s.keys.queue("sh")); len(q) > 0 {
			b.Error(q)
		}
		if n := len(b.ended(10)); n != 2 {
			b.Errorf("%d entries", n)
		}
	},
	"cancel of many, of several types and in every state, each as if alone": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("run", 1)
		b.take(a)
		b.job("w1", 2)
		b.job("w2", 3)
		b.accept(Submission{ID: "other", Type: "py", Script: "x", Sequence: 4})
		b.accept(Submission{ID: "late", Type: "sh", Script: "x", Due: time.Now().Add(time.Hour), Sequence: 5})
		b.job("odd", 6)
		b.s.rdb.Set(b.ctx(), b.s.keys.reply("odd").name, "of another kind", 0)
		ids := []string{"w1", "run", "nope", "other", "w1", "odd", "late", "w2"}
		got := must[[]CancelOutcome](b)(b.d.CancelAll(b.ctx(), ids))
		var codes []string
		for _, c := range got {
			codes = append(codes, string(c.Code))
		}
		if d := cmp.Diff([]string{"OK", "RUNNING", "UNKNOWN", "OK", "ENDED", "", "OK", "OK"}, codes); d != "" {
			b.Error(d)
		}
		var refused *RefusedError
		if !errors.As(got[5].Err, &refused) || refused.Kind != "WRONGTYPE" {
			b.Errorf("a reply of another kind: %v", got[5].Err)
		}
		if rec := b.record("odd"); rec.Status.Ended() {
			b.Errorf("refused, and %s", rec.Status)
		}
		if got[1].Incarnation != "i1" || got[7].Sequence != 3 || got[3].Type != "py" {
			b.Errorf("%+v", got)
		}
		for _, id := range []string{"w1", "w2", "other", "late"} {
			if rec := b.record(id); rec.Reason != ReasonCancelled || len(b.list(b.s.keys.reply(id))) != 1 {
				b.Errorf("%s: %+v", id, rec)
			}
		}
		if n := len(b.ended(10)); n != 4 {
			b.Errorf("%d entries", n)
		}
		if k := strings.Count(b.kinds(), string(FactCancelled)); k != 4 {
			b.Errorf("%d told: %s", k, b.kinds())
		}
		if _, err := b.d.CancelAll(b.ctx(), make([]string, MaxCancels+1)); err == nil {
			b.Error("more than a call may name")
		}
	},
	"cancel of many, where what one that runs needs is of another kind": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("run", 1)
		j := b.take(a)
		b.job("w1", 2)
		b.job("w2", 3)
		for _, k := range []key{b.s.keys.wake("p_1"), b.s.keys.groups()} {
			b.s.rdb.Set(b.ctx(), k.name, "of another kind", 0)
		}
		got := must[[]CancelOutcome](b)(b.d.CancelAll(b.ctx(), []string{"w1", "run", "w2"}))
		for i, want := range []Code{OK, Running, OK} {
			if got[i].Err != nil || got[i].Code != want {
				b.Errorf("%+v, want %s", got[i], want)
			}
		}
		if k := strings.Count(b.kinds(), string(FactCancelled)); k != 2 {
			b.Errorf("%d told: %s", k, b.kinds())
		}
		if n := len(b.ended(10)); n != 2 {
			b.Errorf("%d entries", n)
		}
		b.wantCode(must[[]Code](b)(a.Renew(b.ctx(), j))[0], CancelCode)
	},
	"cancel of a running, an ended and no job": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		if c := must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1")); c.Code != Running || c.Actor != "p_1" {
			b.Errorf("%+v", c)
		}
		b.finish(a, j, false)
		if c := must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1")); c.Code != EndedCode || c.Status != StatusFinished {
			b.Errorf("%+v", c)
		}
		b.wantCode(must[Cancelled](b)(b.d.Cancel(b.ctx(), "nope")).Code, Unknown)
	},
	"cancel in a long queue is found by claim": func(b *bed) {
		b.job("j1", 1)
		var ids []any
		for range 1001 {
			ids = append(ids, "j1")
		}
		b.s.rdb.LPush(b.ctx(), "hero:q:work:type:sh", ids...)
		b.wantCode(must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1")).Code, OK)
		if n := len(b.list(b.s.keys.queue("sh"))); n != 1002 {
			b.Errorf("%d in the queue", n)
		}
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Again)
	},
	"settle": func(b *bed) {
		a := b.actor("p_1", "i1")
		for i := range 3 {
			b.job(fmt.Sprint("j", i), uint64(i+1))
			b.finish(a, b.take(a), false)
		}
		es := b.ended(2)
		if len(es) != 2 {
			b.Fatal(es)
		}
		for range 2 { // the second does not take what is not its own
			if left := must[int](b)(b.d.Settle(b.ctx(), es)); left != 1 {
				b.Errorf("%d left", left)
			}
		}
		for id, want := range map[string]bool{"j0": true, "j1": true, "j2": false} {
			if got := b.ttl("hero:job:"+id) > 0; got != want {
				b.Errorf("%s expires: %v", id, got)
			}
		}
		if left := must[int](b)(b.d.Settle(b.ctx(), nil)); left != 1 {
			b.Errorf("%d left", left)
		}
		if _, err := b.d.Settle(b.ctx(), make([]EndedEntry, 1001)); err == nil {
			b.Error("too many accepted")
		}
	},
	"depths": func(b *bed) {
		b.job("j1", 1)
		b.job("j2", 2)
		b.s.rdb.HIncrBy(b.ctx(), "hero:job:j1", "ready_ms", -5000)
		b.accept(Submission{ID: "p1", Type: "py", Script: "x", Due: time.Now().Add(time.Hour)})
		ds := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"py", "sh", "none"}))
		if w := ds[1].OldestWait; w < 5*time.Second || w > time.Minute {
			b.Errorf("oldest %v", w)
		}
		ds[1].OldestWait = 0
		if d := cmp.Diff([]Depth{{Type: "py", Delayed: 1}, {Type: "sh", Ready: 2}, {Type: "none"}}, ds); d != "" {
			b.Error(d)
		}
		if _, err := b.d.Depths(b.ctx(), make([]string, depthsMax+1)); err == nil {
			b.Error("too many accepted")
		}
		b.s.rdb.LPush(b.ctx(), "hero:job:list", "x")
		b.s.rdb.RPush(b.ctx(), "hero:q:work:type:sh", "list") // not a record: its age is not known
		if ds := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"})); ds[0].OldestWait != 0 || ds[0].Ready != 3 {
			b.Errorf("%+v", ds)
		}
	},
}
