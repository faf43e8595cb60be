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
		for _, name := range []string{"hero:job:j1", "hero:q:reply:j1"} {
			if ttl := b.ttl(name); ttl > 0 {
				b.Errorf("%s expires in %v, before its log message is gone", name, ttl)
			}
		}
		if es := b.ended(10); !slices.Equal(es, []EndedEntry{{4, "j1", StatusFinished}}) {
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
	"finish keeps a long reason and tells its beginning": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		long := strings.Repeat("ü", 100_000)
		must[FinishResult](b)(a.Finish(b.ctx(), b.take(a), Outcome{Failed: true, Reason: long, ExitCode: long}, false))
		if r := b.record("j1"); r.Reason != long || r.ExitCode != long {
			b.Errorf("reason of %d bytes, exit code of %d", len(r.Reason), len(r.ExitCode))
		}
		if f := b.lastFact(); f.Reason != strings.Repeat("ü", 512) || f.ExitCode != strings.Repeat("ü", 512) {
			b.Errorf("told: reason of %d bytes, exit code of %d", len(f.Reason), len(f.ExitCode))
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
		b.wantCode(b.finish(a, off, false).Code, Stale)
		off.Token.Attempt -= 2
		b.wantCode(b.finish(a, off, false).Code, Stale)
		b.wantCode(b.finish(other, j, false).Code, Stale)
		off = j
		off.Token.Epoch++
		if _, err := a.Finish(b.ctx(), off, Outcome{}, false); !errors.Is(err, ErrNoEpoch) {
			b.Error(err)
		}
		b.wantCode(b.finish(a, Claimed{ID: "nope", Token: j.Token}, false).Code, Unknown)
		after := snapshot(b)
		for _, told := range []key{b.s.keys.facts(), b.s.keys.stale(), b.s.keys.staled()} { // staleCases
			delete(before, told.name)
			delete(after, told.name)
		}
		if d := cmp.Diff(before, after); d != "" {
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
		if es := b.ended(10); len(es) > 0 {
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
	"finish serves an idle one beside a backlog": func(b *bed) {
		busy, idle := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.job("j1", 1)
		j := b.take(busy)
		b.wantCode(b.claim(idle).Code, Idle)
		b.push("f1", "script", "x") // told nobody
		b.push("f2", "script", "x")
		if f := b.finish(busy, j, true); f.Job == nil || f.Job.ID != "f1" {
			b.Errorf("%+v", f)
		}
		if w := must[Wake](b)(idle.WaitWake(b.ctx(), soon)); w.Job == nil || w.Job.ID != "f2" {
			b.Errorf("%+v", w)
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
		b.s.rdb.ZAddXX(b.ctx(), "hero:lease:sh", z(1000, "i1"))
		over := must[[]Lease](b)(b.d.Overdue(b.ctx(), []string{"sh"}))
		if d := cmp.Diff([]Lease{{ID: "j1", Type: "sh", Actor: "p_1", Incarnation: "i1", Expired: time.UnixMilli(1000).Add(10 * time.Second).UTC()}}, over); d != "" {
			b.Error(d)
		}
		b.wantCode(b.renew(a, j), OK)
		if over := must[[]Lease](b)(b.d.Overdue(b.ctx(), []string{"sh"})); len(over) > 0 {
			b.Errorf("%+v", over)
		}
		b.s.rdb.ZAddXX(b.ctx(), "hero:lease:sh", z(9e15, "i1"))
		b.renew(a, j)
		if s := b.s.rdb.ZScore(b.ctx(), "hero:lease:sh", "i1").Val(); s != 9e15 {
			b.Errorf("lease went back to %v", s)
		}
		j.Token.Attempt++
		b.wantCode(b.renew(a, j), Stale)
		b.wantCode(b.renew(a, Claimed{ID: "nope", Token: j.Token}), Unknown)
	},
	"group is recorded for the holder, and forgotten at the end": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		if gs, err := b.d.Groups(b.ctx(), "p_1", ""); len(gs) > 0 || err != nil {
			b.Error(gs, err)
		}
		b.wantCode(must[Code](b)(a.RecordGroup(b.ctx(), j, 4242, 1<<60)), OK)
		want := Group{PGID: 4242, Start: 1 << 60, Job: "j1", Attempt: 1}
		for _, inc := range []string{"", "i1"} {
			if gs, err := b.d.Groups(b.ctx(), "p_1", inc); !slices.Equal(gs, []Group{want}) || err != nil {
				b.Error(gs, err)
			}
		}
		b.actor("p_1", "i2") // restarted at once: the old life's group is still known
		if gs, err := b.d.Groups(b.ctx(), "p_1", "i1"); !slices.Equal(gs, []Group{want}) || err != nil {
			b.Error(gs, err)
		}
		if regs := must[[]Registered](b)(b.d.Incarnations(b.ctx())); len(regs) != 2 || regs[0].Actor != "p_1" {
			b.Errorf("%+v", regs)
		}
		b.finish(a, j, false)
		if gs, err := b.d.Groups(b.ctx(), "p_1", "i1"); len(gs) > 0 || err != nil {
			b.Error(gs, err)
		}
		b.wantCode(must[Code](b)(a.RecordGroup(b.ctx(), j, 4242, 7)), Stale)
		b.wantCode(must[Code](b)(a.RecordGroup(b.ctx(), Claimed{ID: "nope", Token: j.Token}, 4242, 7)), Unknown)
	},
}
