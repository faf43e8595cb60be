package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

var finishCases = map[string]func(b *bed){
	"finish writes the end": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 4)
		j := b.take(a)
		f := must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Output: "42", ExitCode: "0"}, true))
		if f.Code != OK || f.Next != Idle || f.Job != nil {
			b.Errorf("%+v", f)
		}
		r := b.record("j1")
		if r.Status != StatusFinished || r.Output != "42" || r.Error != "" || r.Reason != "" || r.ExitCode != "0" ||
			r.FinishedAt.IsZero() || r.Token != (Token{}) || r.Actor != "p_1" {
			b.Errorf("%+v", r)
		}
		if l := b.list(b.s.keys.reply("j1")); !slices.Equal(l, []string{"42"}) {
			b.Errorf("reply %q", l)
		}
		if ttl := b.ttl("hero:q:reply:j1"); ttl <= 0 || ttl > time.Hour {
			b.Errorf("reply ttl %v", ttl)
		}
		if ttl := b.ttl("hero:job:j1"); ttl > 0 {
			b.Errorf("record ttl %v before its log message is gone", ttl)
		}
		if es := must[[]EndedEntry](b)(b.d.Ended(b.ctx(), 10)); !slices.Equal(es, []EndedEntry{{4, "j1", StatusFinished}}) {
			b.Errorf("%v", es)
		}
		x := b.lastFact()
		if x.Kind != FactEnded || x.Job != "j1" || x.Actor != "p_1" || x.Incarnation != "i1" || x.Attempt != 1 ||
			x.Sequence != 4 || x.Outcome != StatusFinished || x.ExitCode != "0" || x.Type != "sh" {
			b.Errorf("%+v", x)
		}
		if d := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"}))[0]; d.InFlight != 0 || d.Idle != 1 {
			b.Errorf("%+v", d)
		}
	},
	"finish with an error": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 4)
		j := b.take(a)
		must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Failed: true, Output: "half", Error: "boom", Reason: "exit 3", ExitCode: "3"}, false))
		r := b.record("j1")
		if r.Status != StatusError || r.Output != "half" || r.Error != "boom" || r.Reason != "exit 3" || r.ExitCode != "3" {
			b.Errorf("%+v", r)
		}
		if l := b.list(b.s.keys.reply("j1")); !slices.Equal(l, []string{"boom"}) {
			b.Errorf("reply %q", l)
		}
		if f := b.lastFact(); f.Outcome != StatusError || f.Reason != "exit 3" || f.ExitCode != "3" {
			b.Errorf("%+v", f)
		}
	},
	"finish gives the next, and gives it again": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		b.job("j2", 2)
		b.job("j3", 3)
		j := b.take(a)
		first, second := b.finish(a, j, true), b.finish(a, j, true)
		if first.Next != GotJob || first.Job.ID != "j2" {
			b.Errorf("%+v", first)
		}
		if d := cmp.Diff(first, second); d != "" {
			b.Error(d)
		}
		if l := b.list(b.s.keys.reply("j1")); len(l) != 1 {
			b.Errorf("%d replies", len(l))
		}
		if k := b.kinds(); k != "hello started ended started" {
			b.Error(k)
		}
	},
	"finish again after the answer was lost and a job was handed over": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		b.wantCode(b.finish(a, j, true).Next, Idle) // this answer is lost
		b.job("j2", 2)                              // so the actor is idle, and gets it by message
		f := b.finish(a, j, true)
		if f.Next != GotJob || f.Job.ID != "j2" {
			b.Errorf("%+v", f)
		}
		if l := b.list(b.s.keys.wake("p_1")); len(l) > 0 {
			b.Errorf("the job would come twice: %q", l)
		}
	},
	"finish without a next leaves the actor at rest": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		b.wantCode(b.finish(a, b.take(a), false).Next, NotWanted)
		if r := b.job("j2", 2); r.Handed != "" {
			b.Errorf("handed to %s", r.Handed)
		}
	},
	"finish under another token is stale and changes nothing": func(b *bed) {
		a, other := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.job("j1", 1)
		j := b.take(a)
		before := snapshot(b)
		off := j
		off.Token.Attempt++
		b.wantCode(b.finish(a, off, true).Code, Stale)
		off.Token.Attempt -= 2
		b.wantCode(b.finish(a, off, true).Code, Stale)
		b.wantCode(b.finish(other, j, true).Code, Stale)
		off = j
		off.Token.Epoch++
		if _, err := a.Finish(b.ctx(), off, Outcome{}, true); !errors.Is(err, ErrNoEpoch) {
			b.Error(err)
		}
		b.wantCode(b.finish(a, Claimed{ID: "nope", Token: j.Token}, true).Code, Unknown)
		if d := cmp.Diff(before, snapshot(b)); d != "" {
			b.Error(d)
		}
	},
	"finish after recover is stale": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		b.wantCode(b.finish(a, j, true).Code, Stale)
		other := b.actor("p_2", "i2")
		if again := b.take(other); again.ID != "j1" || again.Token.Attempt != 2 {
			b.Errorf("%+v", again)
		}
		b.wantCode(b.finish(a, j, true).Code, Stale)
	},
	"finish of a job in no log lets the record expire": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 0)
		b.finish(a, b.take(a), false)
		if ttl := b.ttl("hero:job:j1"); ttl <= 0 {
			b.Errorf("ttl %v", ttl)
		}
		if es := must[[]EndedEntry](b)(b.d.Ended(b.ctx(), 10)); len(es) > 0 {
			b.Errorf("%v", es)
		}
	},
	"finish behind a closed gate drains": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		b.job("j2", 2)
		j := b.take(a)
		if g := must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1")); g != (Gate{OK, 1, "i1"}) {
			b.Errorf("%+v", g)
		}
		f := b.finish(a, j, true)
		b.wantCode(f.Next, Closed)
		b.finish(a, j, true)
		if x := b.lastFact(); x.Kind != FactDrained || x.Actor != "p_1" || x.Incarnation != "i1" {
			b.Errorf("%+v", x)
		}
		if k := b.kinds(); k != "hello started ended drained" {
			b.Error(k)
		}
	},
	"finish may find 100 spent ids": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		for i := range 101 {
			b.push(fmt.Sprint("nothing", i))
		}
		b.wantCode(b.finish(a, j, true).Next, Again)
		b.wantCode(b.finish(a, j, true).Next, Idle)
	},
	"renew extends, forward only": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		b.s.rdb.ZAddXX(b.ctx(), "hero:lease:sh", z(1000, "j1"))
		over := must[[]Lease](b)(b.d.Overdue(b.ctx(), []string{"sh"}))
		if d := cmp.Diff([]Lease{{ID: "j1", Type: "sh", Actor: "p_1", Incarnation: "i1", Expired: time.UnixMilli(1000).UTC()}}, over); d != "" {
			b.Error(d)
		}
		b.wantCode(must[Code](b)(a.Renew(b.ctx(), j)), OK)
		if over := must[[]Lease](b)(b.d.Overdue(b.ctx(), []string{"sh"})); len(over) > 0 {
			b.Errorf("%+v", over)
		}
		b.s.rdb.ZAddXX(b.ctx(), "hero:lease:sh", z(9e15, "j1"))
		must[Code](b)(a.Renew(b.ctx(), j))
		if s := b.s.rdb.ZScore(b.ctx(), "hero:lease:sh", "j1").Val(); s != 9e15 {
			b.Errorf("lease went back to %v", s)
		}
		j.Token.Attempt++
		b.wantCode(must[Code](b)(a.Renew(b.ctx(), j)), Stale)
		b.wantCode(must[Code](b)(a.Renew(b.ctx(), Claimed{ID: "nope", Token: j.Token})), Unknown)
	},
	"group is recorded for the holder, and forgotten at the end": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		if _, ok, err := b.d.Group(b.ctx(), "p_1", ""); ok || err != nil {
			b.Error(ok, err)
		}
		b.wantCode(must[Code](b)(a.RecordGroup(b.ctx(), j, 4242, 1<<60)), OK)
		want := Group{PGID: 4242, Start: 1 << 60, Job: "j1", Attempt: 1}
		for _, inc := range []string{"", "i1"} {
			if g, ok, err := b.d.Group(b.ctx(), "p_1", inc); g != want || !ok || err != nil {
				b.Error(g, ok, err)
			}
		}
		b.actor("p_1", "i2") // restarted at once: the old life's group is still known
		if g, ok, err := b.d.Group(b.ctx(), "p_1", "i1"); g != want || !ok || err != nil {
			b.Error(g, ok, err)
		}
		if regs := must[[]Registered](b)(b.d.Incarnations(b.ctx())); regs[0].Group == nil || *regs[0].Group != want || regs[1].Group != nil {
			b.Errorf("%+v", regs)
		}
		b.finish(a, j, false)
		if _, ok, err := b.d.Group(b.ctx(), "p_1", "i1"); ok || err != nil {
			b.Error(ok, err)
		}
		b.wantCode(must[Code](b)(a.RecordGroup(b.ctx(), j, 4242, 7)), Stale)
		b.wantCode(must[Code](b)(a.RecordGroup(b.ctx(), Claimed{ID: "nope", Token: j.Token}, 4242, 7)), Unknown)
	},
}

var gateCases = map[string]func(b *bed){
	"close takes an idle actor out, open rings it": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		if g := must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1")); g != (Gate{OK, 0, "i1"}) {
			b.Errorf("%+v", g)
		}
		if r := b.job("j1", 1); r.Handed != "" {
			b.Errorf("handed to the closed %s", r.Handed)
		}
		b.wantCode(b.claim(a).Code, Closed)
		for range 2 {
			if g := must[Gate](b)(b.d.OpenGate(b.ctx(), "p_1")); g != (Gate{OK, 0, "i1"}) {
				b.Errorf("%+v", g)
			}
		}
		if l := b.list(b.s.keys.wake("p_1")); len(l) != 1 || wakeText(l[0]) != "ring" {
			b.Errorf("%q", l)
		}
		if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Kind != WakeRing {
			b.Errorf("%+v", w)
		}
		if j := b.take(a); j.ID != "j1" {
			b.Errorf("%+v", j)
		}
	},
	"a claim whose answer was lost is given through a closed gate": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		if g := must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1")); g.Held != 1 {
			b.Errorf("%+v", g)
		}
		if r := b.claim(a); !r.Held || r.Job.ID != j.ID {
			b.Errorf("%+v", r)
		}
	},
	"gate of nobody": func(b *bed) {
		b.wantCode(must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1")).Code, Unregistered)
		b.wantCode(must[Gate](b)(b.d.OpenGate(b.ctx(), "p_1")).Code, Unregistered)
		if _, ok, err := b.d.ActorRecord(b.ctx(), "p_1"); ok || err != nil {
			b.Error(ok, err)
		}
	},
	"ping, pong": func(b *bed) {
		b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1")), Unregistered)
		a := b.actor("p_1", "i1")
		b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1")), OK)
		b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1")), OK)
		if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w != (Wake{Kind: WakePing, Nonce: "n1"}) {
			b.Errorf("%+v", w)
		}
		if l := b.list(b.s.keys.wake("p_1")); len(l) > 0 {
			b.Errorf("put twice: %q", l)
		}
		b.wantCode(must[Code](b)(a.Pong(b.ctx(), "n1")), OK)
		b.wantCode(must[Code](b)(a.Pong(b.ctx(), "n1")), OK)
		if f := b.lastFact(); f.Kind != FactPong || f.Nonce != "n1" || f.Incarnation != "i1" || f.Actor != "p_1" {
			b.Errorf("%+v", f)
		}
		if k := b.kinds(); k != "hello pong" {
			b.Error(k)
		}
		b.actor("p_1", "i2")
		b.wantCode(must[Code](b)(a.Pong(b.ctx(), "n2")), Unregistered)
	},
	"pings do not bury an actor": func(b *bed) {
		b.actor("p_1", "i1")
		for i := range wakeMax {
			b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", fmt.Sprint("n", i))), OK)
		}
		b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", "more")), Full)
	},
	"ring reaches one whose registration is lost": func(b *bed) {
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		b.wantCode(must[Code](b)(b.d.Ring(b.ctx(), "p_1")), OK)
		b.wantCode(must[Code](b)(b.d.Ring(b.ctx(), "p_1")), OK)
		if ttl := b.ttl("hero:wake:p_1"); ttl <= 0 {
			b.Errorf("ttl %v", ttl)
		}
		if l := b.list(b.s.keys.wake("p_1")); len(l) != 1 {
			b.Errorf("%q", l)
		}
		if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Kind != WakeRing {
			b.Errorf("%+v", w)
		}
		b.actor("p_2", "i2")
		b.wantCode(must[Code](b)(b.d.Ring(b.ctx(), "p_2")), OK)
		if ttl := b.ttl("hero:wake:p_2"); ttl > 0 {
			b.Errorf("ttl %v on a registered actor's list", ttl)
		}
	},
	"a message nobody can read is a ring": func(b *bed) {
		a := b.actor("p_1", "i1")
		for _, text := range []string{"not json", `{"kind":"dance"}`, `{"kind":"job","id":"x","incarnation":"i0"}`, ""} {
			b.s.rdb.RPush(b.ctx(), "hero:wake:p_1", text)
			if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Kind != WakeRing {
				b.Errorf("%q: %+v", text, w)
			}
		}
	},
}

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
		if f := b.lastFact(); f.Kind != FactRetried || f.Job != "j1" || f.Crashes != 1 || f.Reason != "actor died" || f.Actor != "p_1" {
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
			r := must[Recovered](b)(b.d.Recover(b.ctx(), inc, false, 3))
			if want := (Returned{ID: "j1", Crashes: i, Dead: i == 3}); len(r.Jobs) != 1 || r.Jobs[0] != want {
				b.Errorf("%+v", r)
			}
		}
		rec := b.record("j1")
		if rec.Status != StatusError || rec.Reason != ReasonCrashes || !strings.Contains(rec.Error, "3 times") {
			b.Errorf("%+v", rec)
		}
		if l := b.list(b.s.keys.reply("j1")); len(l) != 1 {
			b.Errorf("%d replies", len(l))
		}
		if es := must[[]EndedEntry](b)(b.d.Ended(b.ctx(), 10)); !slices.Equal(es, []EndedEntry{{9, "j1", StatusError}}) {
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
		if f := b.lastFact(); f.Kind != FactRetried || f.Reason != "interrupted" {
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
			b.s.rdb.HSet(b.ctx(), "hero:job:"+id, "script", "x", "status", "started", "incarnation", "i1", "attempt", "1", "epoch", "1")
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
				b.s.jobArgs(1, "sh", "p_1", "i1", "0", "3")...))
			return r.code()
		}
		b.wantCode(call(), OK)
		b.wantCode(call(), Gone) // the script's own answer, which the Go side mostly forestalls
	},
}

var outCases = map[string]func(b *bed){
	"cancel": func(b *bed) {
		b.job("j1", 1)
		b.accept(Submission{ID: "j2", Type: "sh", Script: "x", Delay: time.Hour, Sequence: 2})
		b.push("f1", "script", "x", "status", "dispatched") // no type: its queue is not known
		for id, seq := range map[string]uint64{"j1": 1, "j2": 2, "f1": 0} {
			c := must[Cancelled](b)(b.d.Cancel(b.ctx(), id))
			if c != (Cancelled{Code: OK, Status: StatusError, Reason: ReasonCancelled, Sequence: seq}) {
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
		if _, _, ok, err := b.d.NextDelayed(b.ctx(), []string{"sh"}); ok || err != nil {
			b.Error(ok, err)
		}
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		if q := b.list(b.s.keys.queue("sh")); len(q) > 0 {
			b.Error(q)
		}
		if n := len(must[[]EndedEntry](b)(b.d.Ended(b.ctx(), 10))); n != 2 {
			b.Errorf("%d entries", n)
		}
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
		es := must[[]EndedEntry](b)(b.d.Ended(b.ctx(), 2))
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
		b.accept(Submission{ID: "p1", Type: "py", Script: "x", Delay: time.Hour})
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

var epochCases = map[string]func(b *bed){
	"epoch goes up only": func(b *bed) {
		for _, c := range []struct {
			to   uint64
			code Code
			have uint64
		}{{1, Same, 1}, {9, OK, 9}, {10, OK, 10}, {9, Higher, 10}, {10, Same, 10}, {1 << 63, OK, 1 << 63}} {
			code, have, err := b.s.RaiseEpoch(b.ctx(), c.to)
			if code != c.code || have != c.have || err != nil {
				b.Errorf("raise to %d: %s %d %v", c.to, code, have, err)
			}
		}
		if e := must[uint64](b)(b.s.Epoch(b.ctx())); e != 1<<63 {
			b.Error(e)
		}
		if _, _, err := b.s.RaiseEpoch(b.ctx(), 0); err == nil {
			b.Error("0 accepted")
		}
	},
	"owner is one state": func(b *bed) {
		o := must[Owner](b)(b.s.TakeOwner(b.ctx(), "state1", time.Hour))
		if o.Code != OK || o.StateID != "state1" {
			b.Errorf("%+v", o)
		}
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state1", time.Hour)).Code, OK)
		o = must[Owner](b)(b.s.TakeOwner(b.ctx(), "state2", time.Hour))
		if o.Code != Other || o.StateID != "state1" || o.For < 59*time.Minute {
			b.Errorf("%+v", o)
		}
		if err := b.s.ReleaseOwner(b.ctx(), "state2"); err != nil {
			b.Error(err)
		}
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state2", time.Hour)).Code, Other)
		if err := b.s.ReleaseOwner(b.ctx(), "state1"); err != nil {
			b.Error(err)
		}
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state2", time.Hour)).Code, OK)
		b.s.rdb.Set(b.ctx(), "hero:owner", "state2 1000", 0) // ran out long ago
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state1", time.Hour)).Code, OK)
		b.s.rdb.Set(b.ctx(), "hero:owner", "what is this", 0)
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state1", time.Hour)).Code, OK)
	},
	"another epoch is served nothing and changes nothing": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		for _, have := range []string{"2", ""} {
			if b.s.rdb.Del(b.ctx(), "hero:epoch"); have != "" {
				b.s.rdb.Set(b.ctx(), "hero:epoch", have, 0)
			}
			before := snapshot(b)
			for what, err := range everyCall(b, a, j) {
				if !errors.Is(err, ErrNoEpoch) {
					b.Errorf("epoch %q, %s: %v", have, what, err)
				}
			}
			if d := cmp.Diff(before, snapshot(b)); d != "" {
				b.Errorf("epoch %q:\n%s", have, d)
			}
		}
	},
}

// everyCall makes each call that takes an epoch, with the one the actor and the bed's daemon have.
func everyCall(b *bed, a *Actor, j Claimed) map[string]error {
	out := map[string]error{}
	ctx := b.ctx()
	_, out["claim"] = a.Claim(ctx)
	_, out["finish"] = a.Finish(ctx, j, Outcome{}, true)
	_, out["renew"] = a.Renew(ctx, j)
	_, out["group"] = a.RecordGroup(ctx, j, 42, 7)
	_, out["pong"] = a.Pong(ctx, "n1")
	_, out["accept"] = b.d.Accept(ctx, 0, []Submission{{ID: "new", Type: "sh", Script: "x", Sequence: 99}})
	_, out["adopt"] = b.d.Adopt(ctx, "sh", 0, 10)
	_, out["promote"] = b.d.Promote(ctx, "sh")
	_, out["close"] = b.d.CloseGate(ctx, "p_1")
	_, out["open"] = b.d.OpenGate(ctx, "p_1")
	_, out["ping"] = b.d.Ping(ctx, "p_1", "n1")
	_, out["ring"] = b.d.Ring(ctx, "p_1")
	_, out["recover"] = b.d.Recover(ctx, "i1", false, 3)
	_, out["recover of an unknown"] = b.d.Recover(ctx, "i77", false, 3)
	_, out["cancel"] = b.d.Cancel(ctx, "j1")
	_, out["settle"] = b.d.Settle(ctx, nil)
	_, out["depths"] = b.d.Depths(ctx, []string{"sh"})
	k := b.s.keys // Hello reads the epoch itself: the script by hand
	_, out["hello"] = b.s.run(ctx, "hello",
		[]key{k.epoch(), k.facts(), k.actor("p_9"), k.wake("p_9"), k.held("i9"), k.idle("sh"), k.incarnations(), k.types()},
		string(k), "1", "sh", "p_9", "i9")
	return out
}

// snapshot is all that Redis holds, as text.
func snapshot(b *bed) map[string]string {
	b.Helper()
	out := map[string]string{}
	rdb, ctx := b.s.rdb, b.ctx()
	for _, name := range must[[]string](b)(rdb.Keys(ctx, "*").Result()) {
		var v any
		var err error
		switch kind := rdb.Type(ctx, name).Val(); kind {
		case "hash":
			v, err = rdb.HGetAll(ctx, name).Result()
		case "list":
			v, err = rdb.LRange(ctx, name, 0, -1).Result()
		case "zset":
			v, err = rdb.ZRangeWithScores(ctx, name, 0, -1).Result()
		case "set":
			v, err = rdb.SMembers(ctx, name).Result()
		case "string":
			v, err = rdb.Get(ctx, name).Result()
		case "stream":
			v, err = rdb.XRange(ctx, name, "-", "+").Result()
		default:
			b.Fatalf("%s is a %s", name, kind)
		}
		if err != nil {
			b.Fatal(err)
		}
		out[name] = fmt.Sprint(v)
	}
	return out
}
