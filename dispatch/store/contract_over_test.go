package store

import (
	"slices"
	"time"
)

// theirs is what an original supervisor writes, also when it starts a job once more by its id.
var theirs = []any{"script", "theirs", "script_type", "SH", "status", "dispatched", "retries", "0"}

// Others may write over a record of ours: status, and the id into the queue.
var overCases = map[string]func(b *bed){
	"what others start again after its end runs again": func(b *bed) {
		a := b.actor("p_1", "i1")
		for _, end := range []func(){
			func() { b.finish(a, b.take(a), false) },
			func() { b.run(a, "f1", false) },
			func() {
				j := b.take(a)
				b.s.rdb.HSet(b.ctx(), "hero:job:f1", "retries", "1", "retried", "1")
				must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Failed: true, Error: "broken", Reason: "exit 1"}, false)) // dead
			},
			func() { b.job("own", 9); b.finish(a, b.take(a), false); b.finish(a, b.take(a), false) },
		} {
			b.push("f1", theirs...)
			end()
			b.push("f1", theirs...)
			if got := must[Adopted](b)(b.d.Adopt(b.ctx(), "sh", 0, 10)); !slices.Equal(got.Foreign, []string{"f1"}) {
				b.Errorf("adopt: %+v", got)
			}
			if r := b.record("f1"); r.Output != "" || r.Error != "" || r.Reason != "" || !r.DeadAt.IsZero() || r.Crashes != 0 || r.Sequence != 0 || r.ReadyAt.IsZero() {
				b.Errorf("what is left of its end: %+v", r)
			}
			if ttl := b.ttl("hero:job:f1"); ttl != -1*time.Nanosecond {
				b.Errorf("it goes in %s", ttl)
			}
			if n := must[int64](b)(b.s.rdb.LLen(b.ctx(), "hero:q:reply:f1").Result()); n != 0 {
				b.Errorf("%d replies before its end", n)
			}
			b.run(a, "f1", true)
			b.wantStatus("f1", StatusFinished, "")
		}
		if dead := must[[]DeadJob](b)(b.d.Dead(b.ctx(), 10)); len(dead) > 0 {
			b.Errorf("dead: %+v", dead)
		}
	},
	"a job of the log that others start again is theirs": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("f1", 7)
		b.run(a, "f1", true)
		b.push("f1", theirs...)
		b.claim(a)
		must[int](b)(b.d.Settle(b.ctx(), b.ended(10)))
		if ttl := b.ttl("hero:job:f1"); ttl != -1*time.Nanosecond {
			b.Errorf("it goes in %s", ttl)
		}
		if r := b.record("f1"); r.Status != StatusStarted || r.Attempts != 2 || r.Sequence != 0 {
			b.Errorf("%+v", r)
		}
	},
	"what others start again while it runs goes on and ends once": func(b *bed) {
		a, idle := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.job("f1", 7)
		j := b.take(a)
		b.push("f1", "status", "dispatched")
		if code := must[Code](b)(a.RecordGroup(b.ctx(), j, 77, 1)); code != OK {
			b.Errorf("group: %s", code)
		}
		if code := b.renew(a, j); code != OK {
			b.Errorf("renew: %s", code)
		}
		if r := b.claim(idle); r.Code != Idle {
			b.Errorf("claim of another: %+v", r)
		}
		b.s.rdb.HSet(b.ctx(), "hero:job:f1", "status", "dispatched")
		if c := must[Cancelled](b)(b.d.Cancel(b.ctx(), "f1")); c.Code != Running || c.Incarnation != "i1" {
			b.Errorf("cancel: %+v", c)
		}
		b.s.rdb.HSet(b.ctx(), "hero:job:f1", "status", "dispatched")
		if r := b.finish(a, j, false); r.Code != OK {
			b.Errorf("finish: %+v", r)
		}
		b.wantStatus("f1", StatusFinished, "")
		if es := b.ended(10); len(es) != 1 || es[0].String() != "7 f1 finished" {
			b.Errorf("ended: %v", es)
		}
		if held := b.list(b.s.keys.held("i1")); len(held) != 0 {
			b.Errorf("in hand: %v", held)
		}
	},
	"the repeat of an end is not that of what others started since": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.push("f1", theirs...)
		j := b.take(a)
		b.finish(a, j, false)
		b.push("f1", theirs...)
		if r := b.finish(a, j, false); r.Code != OK {
			b.Errorf("finish: %+v", r)
		}
		b.run(a, "f1", true)
	},
	"a dead actor gives back what others wrote over": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("f1", 7)
		b.take(a)
		b.s.rdb.HSet(b.ctx(), "hero:job:f1", "status", "dispatched")
		if r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", true, 3)); len(r.Jobs) != 1 {
			b.Errorf("%+v", r)
		}
		b.run(b.actor("p_1", "i2"), "f1", true)
	},
}
