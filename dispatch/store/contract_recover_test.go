package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

var recoverCases = map[string]func(b *bed){
	"recover gives back to the front": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		b.job("j2", 2)
		j := b.take(a)
		must[Code](b)(a.RecordGroup(b.ctx(), j, 4242, 7))
		must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1"))
		r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		if d := cmp.Diff(Recovered{Code: OK, Actor: "p_1", Type: "sh", Jobs: []Returned{{ID: "j1", Crashes: 1}}}, r); d != "" {
			b.Error(d)
		}
		if q := b.list(b.s.keys.queue("sh")); !slices.Equal(q, []string{"j2", "j1"}) {
			b.Error(q)
		}
		rec := b.record("j1")
		if rec.Status != StatusDispatched || rec.Token != (Token{}) || rec.Crashes != 1 || rec.QueuedAt.After(rec.ReadyAt) {
			b.Errorf("%+v", rec)
		}
		if f := b.lastFact(); f.Kind != FactRetried || f.Job != "j1" || f.Crashes != 1 || f.How != AttemptCrashed || f.Reason != "not known" || f.Actor != "p_1" {
			b.Errorf("%+v", f)
		}
		for _, gone := range []string{"hero:actor:p_1", "hero:wake:p_1", "hero:held:i1", "hero:lease:sh", "hero:incarnations", "hero:groups"} {
			if n := b.s.rdb.Exists(b.ctx(), gone).Val(); n != 0 {
				b.Errorf("%s is left", gone)
			}
		}
		b.wantCode(must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3)).Code, Gone)
		b.wantCode(b.claim(a).Code, Unregistered)
	},
	"recover counts no crash for a job that a dead actor was given": func(b *bed) {
		for i, c := range []struct {
			ago     time.Duration
			crashes int
		}{{0, 1}, {time.Nanosecond, 1}, {time.Hour, 0}} {
			inc, id := fmt.Sprint("i", i), fmt.Sprint("j", i)
			a := b.actor("p_1", inc)
			b.job(id, uint64(i+1))
			b.take(a)
			r := must[Recovered](b)(b.d.RecoverFrom(b.ctx(), inc, Death{Signal: "SIGKILL", Ago: c.ago}, 1))
			if len(r.Jobs) != 1 || r.Jobs[0].Crashes != c.crashes || r.Jobs[0].Dead != (c.crashes == 1) {
				b.Errorf("seen dead %s ago: %+v", c.ago, r)
			}
		}
		if f := b.lastFact(); f.Kind != FactRetried || f.How != AttemptInterrupted {
			b.Errorf("%+v", f)
		}
	},
	"recover counts no crash for a job whose message nobody read": func(b *bed) {
		for i, again := range []bool{false, true} { // again: the next process says hello before the death is known
			inc, id := fmt.Sprint("i", i), fmt.Sprint("j", i)
			a := b.actor("p_1", inc)
			b.wantCode(b.claim(a).Code, Idle)
			b.job(id, uint64(i+1))
			if again {
				b.actor("p_1", "next")
			}
			r := must[Recovered](b)(b.d.RecoverFrom(b.ctx(), inc, Death{Signal: "SIGKILL"}, 1))
			if len(r.Jobs) != 1 || r.Jobs[0].Crashes != 0 || r.Jobs[0].Dead {
				b.Errorf("again %v: %+v", again, r)
			}
			other := b.actor("p_9", fmt.Sprint("other", i))
			b.finish(other, b.take(other), false)
		}
		// Read, and then it died.
		a := b.actor("p_2", "i9")
		b.wantCode(b.claim(a).Code, Idle)
		b.job("j9", 9)
		must[Wake](b)(a.WaitWake(b.ctx(), soon))
		if r := must[Recovered](b)(b.d.RecoverFrom(b.ctx(), "i9", Death{Signal: "SIGKILL"}, 3)); len(r.Jobs) != 1 || r.Jobs[0].Crashes != 1 {
			b.Errorf("read: %+v", r)
		}
	},
	"recover hands over at once": func(b *bed) {
		a, idle := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.job("j1", 1)
		b.take(a)
		b.wantCode(b.claim(idle).Code, Idle)
		r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", true, 3))
		if len(r.Jobs) != 1 || r.Jobs[0] != (Returned{ID: "j1", Handed: "p_2"}) {
			b.Errorf("%+v", r)
		}
		if w := must[Wake](b)(idle.WaitWake(b.ctx(), soon)); w.Job == nil || w.Job.Token.Attempt != 2 {
			b.Errorf("%+v", w)
		}
		if k := b.kinds(); k != "hello hello started retried started" {
			b.Error(k)
		}
	},
	"recover does not hand to the dead": func(b *bed) {
		a, other := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.wantCode(b.claim(a).Code, Idle) // died waiting
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		if r := b.job("j1", 1); r.Handed != "" {
			b.Errorf("%+v", r)
		}
		b.take(other)
	},
	"a job that kills its actors is dead at the limit": func(b *bed) {
		b.job("j1", 9)
		for i := 1; i <= 3; i++ {
			inc := fmt.Sprint("i", i)
			j := b.take(b.actor("p_1", inc))
			if j.Token.Attempt != i {
				b.Errorf("attempt %d, want %d", j.Token.Attempt, i)
			}
			if i == 3 {
				b.draws(1) // no other try comes, and so no pause before it
			}
			r := must[Recovered](b)(b.d.Recover(b.ctx(), inc, false, 3))
			if want := (Returned{ID: "j1", Crashes: i, Dead: i == 3}); len(r.Jobs) != 1 || r.Jobs[0] != want {
				b.Errorf("%+v", r)
			}
		}
		rec := b.record("j1")
		if rec.Status != StatusError || rec.Reason != ReasonCrashes || !strings.Contains(rec.Error, "3 times") || rec.ReadyAt.After(rec.DeadAt) {
			b.Errorf("%+v", rec)
		}
		if l := b.list(b.s.keys.reply("j1")); len(l) != 1 {
			b.Errorf("%d replies", len(l))
		}
		if es := b.ended(10); !slices.Equal(es, []EndedEntry{{9, "j1", EndedDead}}) {
			b.Errorf("%v", es)
		}
		if d := must[[]DeadJob](b)(b.d.Dead(b.ctx(), 10)); len(d) != 1 || d[0].ID != "j1" || d[0].Reason != ReasonCrashes {
			b.Errorf("%+v", d)
		}
		if f := b.lastFact(); f.Kind != FactDead || f.Crashes != 3 || f.Outcome != StatusError || f.Sequence != 9 {
			b.Errorf("%+v", f)
		}
		b.wantCode(b.claim(b.actor("p_2", "i9")).Code, Idle)
	},
	"deaths that we caused do not count": func(b *bed) {
		b.job("j1", 9)
		for i := range 5 {
			inc := fmt.Sprint("i", i)
			b.take(b.actor("p_1", inc))
			if r := must[Recovered](b)(b.d.Recover(b.ctx(), inc, true, 3)); r.Jobs[0].Crashes != 0 || r.Jobs[0].Dead {
				b.Errorf("%+v", r)
			}
		}
		if f := b.lastFact(); f.Kind != FactRetried || f.How != AttemptInterrupted {
			b.Errorf("%+v", f)
		}
	},
	"recover of a displaced life leaves the new one alone": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		b.take(a)
		fresh := b.actor("p_1", "i2")
		b.wantCode(b.claim(fresh).Code, Idle)
		must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1"))
		r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		if len(r.Jobs) != 1 || r.Jobs[0].Handed != "p_1" {
			b.Errorf("%+v", r)
		}
		if w := must[Wake](b)(fresh.WaitWake(b.ctx(), soon)); w.Kind != WakePing {
			b.Errorf("%+v", w)
		}
		if w := must[Wake](b)(fresh.WaitWake(b.ctx(), soon)); w.Job == nil || w.Job.ID != "j1" || w.Job.Token.Incarnation != "i2" {
			b.Errorf("%+v", w)
		}
	},
	"recover goes in rounds, the oldest in front": func(b *bed) {
		b.actor("p_1", "i1")
		var want []string
		for i := range 150 { // more than a round, which only a foreign hand could cause
			id := fmt.Sprintf("j%03d", i)
			b.s.rdb.HSet(b.ctx(), "hero:job:"+id, "script", "x", "status", "started", "token", "1 1 i1 1000 p_1")
			b.s.rdb.RPush(b.ctx(), "hero:held:i1", id)
			want = append(want, id)
		}
		r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		if r.Code != OK || len(r.Jobs) != 150 {
			b.Errorf("%s, %d jobs", r.Code, len(r.Jobs))
		}
		first := must[[]Record](b)(b.s.Waiting(b.ctx(), "sh", 1000))
		if len(first) != 150 {
			b.Fatalf("%d wait", len(first))
		}
		var got []string
		for _, r := range first {
			got = append(got, r.ID)
		}
		slices.Sort(got[:50]) // the second round goes before the first; within each the oldest is in front
		if d := cmp.Diff(append(slices.Clone(want[100:]), want[:100]...), got); d != "" {
			b.Error(d)
		}
	},
	"two daemons recover at once": func(b *bed) {
		b.actor("p_1", "i1")
		k := b.s.keys
		call := func() Code {
			r := must[reply](b)(b.s.run(b.ctx(), "recover",
				b.s.jobKeys("sh", k.actor("p_1"), k.held("i1"), k.wake("p_1"), k.incarnations(), k.groups()),
				b.s.jobArgs(1, "sh", "p_1", "i1", "0", "3", "", "", "", "0", "0", "", "0")...))
			return r.code()
		}
		b.wantCode(call(), OK)
		b.wantCode(call(), Gone) // the script's own answer, which the Go side mostly forestalls
	},
}
