package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
)

var acceptCases = map[string]func(b *bed){
	// research/hero.md 3.1: what an original actor wants to find.
	"accept writes a Hero record": func(b *bed) {
		b.accept(Submission{
			ID: "j1", Type: "python", Script: "print(1)", Sequence: 1<<60 + 1, Timeout: 1500 * time.Millisecond, Retries: 2,
			Caller: "me", Context: "ctx", Env: map[string]string{"A": "<1>"}, CreatedAt: time.UnixMilli(1700000000123),
		})
		m := must[map[string]string](b)(b.s.rdb.HGetAll(b.ctx(), "hero:job:j1").Result())
		for _, ms := range []string{"queued_ms", "ready_ms"} {
			if d := time.Since(msTime(m[ms])); d < -time.Minute || d > time.Minute {
				b.Errorf("%s is %s", ms, m[ms])
			}
			delete(m, ms)
		}
		if d := cmp.Diff(map[string]string{
			"id": "j1", "caller_id": "me", "context_id": "ctx", "script": "print(1)", "script_type": "python", "timeout": "2",
			"retries": "2", "concurrent": "false", "created_at": "2023-11-14T22:13:20.123Z", "updated_at": "2023-11-14T22:13:20.123Z", "status": "dispatched", "type": "python", "token": "0 0   ",
			"env_vars": `{"A":"\u003c1\u003e"}`, "v": "1", "sequence": "1152921504606846977",
		}, m); d != "" {
			b.Error(d)
		}
		if q := b.list(b.s.keys.queue("python")); !slices.Equal(q, []string{"j1"}) {
			b.Error(q)
		}
		if p := must[uint64](b)(b.d.Position(b.ctx())); p != 1<<60+1 {
			b.Errorf("position %d", p)
		}
	},
	"the scripts write Redis' time as Hero does": func(b *bed) {
		b.job("j1", 1)
		b.finish(b.actor("p_1", "i1"), b.take(b.actor("p_1", "i1")), false)
		for at, clock := range map[string]int64{
			"1970-01-01T00:00:00.000Z": 0, "2000-02-29T23:59:59.999Z": 951868799999, "2024-12-31T12:00:01.010Z": 1735646401010,
			"2026-03-01T00:00:00.001Z": 1772323200001, "2100-03-01T05:06:07.080Z": 4107560767080,
		} {
			if got := stampOf(b, clock); got != at {
				b.Errorf("%d is %s, want %s", clock, got, at)
			}
		}
		r := b.record("j1")
		if d := time.Since(r.FinishedAt); len(r.UpdatedAt) != 24 || d < -time.Minute || d > time.Minute {
			b.Errorf("updated %s", r.UpdatedAt)
		}
	},
	"accept is FIFO and counts": func(b *bed) {
		rs := b.accept(Submission{ID: "j1", Type: "sh", Script: "1"}, Submission{ID: "j2", Type: "sh", Script: "2"})
		if rs[0].Ready != 2 || rs[1].Ready != 2 || rs[1].Code != OK || rs[1].Status != StatusDispatched {
			b.Errorf("%+v", rs)
		}
		a := b.actor("p_1", "i1")
		if j := b.take(a); j.ID != "j1" {
			b.Errorf("%s first", j.ID)
		}
	},
	"accept of a known id": func(b *bed) {
		b.job("j1", 7)
		again := b.job("j1", 9) // the log holds it twice
		if again.Code != Same || again.Sequence != 7 || again.Ready != 1 || again.Adopted {
			b.Errorf("%+v", again)
		}
		if p := must[uint64](b)(b.d.Position(b.ctx())); p != 9 {
			b.Errorf("position %d", p)
		}
		b.wantCode(b.accept(Submission{ID: "j1", Type: "sh", Script: "other"})[0].Code, Conflict)
		b.wantCode(b.accept(Submission{ID: "j1", Type: "py", Script: "echo j1"})[0].Code, Conflict)
		a := b.actor("p_1", "i1")
		j := b.take(a)
		if r := b.job("j1", 7); r.Code != Same || r.Status != StatusStarted || r.Handed != "p_1" || r.HandedTo != "i1" {
			b.Errorf("%+v", r)
		}
		b.finish(a, j, false)
		if r := b.job("j1", 7); r.Code != Same || r.Status != StatusFinished || r.Handed != "" {
			b.Errorf("%+v", r)
		}
	},
	"accept refuses a gap": func(b *bed) {
		b.job("j1", 5)
		rs := must[[]Accepted](b)(b.d.Accept(b.ctx(), 6, []Submission{
			{ID: "j2", Type: "sh", Script: "2", Sequence: 7}, {ID: "j3", Type: "sh", Script: "3", Sequence: 8},
		}))
		b.wantCode(rs[0].Code, Gap)
		b.wantCode(rs[1].Code, Gap)
		if _, err := b.s.Job(b.ctx(), "j2"); !errors.Is(err, ErrNoJob) {
			b.Error(err)
		}
		rs = must[[]Accepted](b)(b.d.Accept(b.ctx(), 5, []Submission{{ID: "j2", Type: "sh", Script: "2", Sequence: 7}}))
		b.wantCode(rs[0].Code, OK)
	},
	"sequences beyond 2^53 stay exact": func(b *bed) {
		b.job("j1", 1<<63+1)
		b.job("j2", 1<<63+2)
		b.job("j3", 999) // fewer digits: not later
		if p := must[uint64](b)(b.d.Position(b.ctx())); p != 1<<63+2 {
			b.Errorf("position %d", p)
		}
	},
	"accept hands to who had work last": func(b *bed) {
		a1, a2 := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.wantCode(b.claim(a2).Code, Idle)
		b.s.rdb.ZIncrBy(b.ctx(), "hero:idle:sh", 50, "p_2 i2") // by a clear margin
		b.wantCode(b.claim(a1).Code, Idle)
		r := b.job("j1", 1)
		if r.Handed != "p_2" || r.HandedTo != "i2" || r.Status != StatusStarted || r.Ready != 0 {
			b.Errorf("%+v", r)
		}
		w := must[Wake](b)(a2.WaitWake(b.ctx(), soon))
		want := &Claimed{ID: "j1", Type: "sh", Script: "echo j1", Token: Token{Epoch: 1, Attempt: 1, Incarnation: "i2"}}
		if d := cmp.Diff(Wake{Kind: WakeJob, Job: want}, w); d != "" {
			b.Error(d)
		}
		if k := b.kinds(); k != "hello hello started" {
			b.Error(k)
		}
	},
	"what is handed over is what a claim gives": func(b *bed) {
		sub := Submission{
			ID: "j1", Type: "sh", Script: "echo \"ü\" \\ </b> \n\t\x01 'x' \U0001F600", Timeout: 30 * time.Second, Caller: "me", Context: "c",
			Env: map[string]string{"X": "a\"b"}, Sequence: 1,
		}
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		b.accept(sub)
		w := must[Wake](b)(a.WaitWake(b.ctx(), soon))
		r := b.claim(a)
		if !r.Held || r.Code != GotJob {
			b.Fatalf("%+v", r)
		}
		if d := cmp.Diff(r.Job, w.Job); d != "" {
			b.Errorf("by claim and by message (-claim +message):\n%s", d)
		}
		if w.Job.Script != sub.Script || w.Job.Timeout != sub.Timeout || w.Job.Caller != "me" || w.Job.Context != "c" {
			b.Errorf("%+v", w.Job)
		}
		if env, err := w.Job.Env(); err != nil || env["X"] != "a\"b" {
			b.Errorf("%v %v", env, err)
		}
	},
	"an idle entry without its actor is dropped": func(b *bed) {
		gone, closed, ok := b.actor("p_1", "i1"), b.actor("p_2", "i2"), b.actor("p_3", "i3")
		for i, a := range []*Actor{gone, closed, ok} {
			b.wantCode(b.claim(a).Code, Idle)
			b.s.rdb.ZAddXX(b.ctx(), "hero:idle:sh", z(float64(-i), a.name+" "+a.incarnation))
		}
		b.s.rdb.Del(b.ctx(), "hero:actor:p_1")
		b.s.rdb.HSet(b.ctx(), "hero:actor:p_2", "gate", "closed")
		b.s.rdb.ZAdd(b.ctx(), "hero:idle:sh", z(11, "p_3 older"), z(12, "junk"))
		if r := b.job("j1", 1); r.Handed != "p_3" {
			b.Errorf("%+v", r)
		}
		if n := b.s.rdb.ZCard(b.ctx(), "hero:idle:sh").Val(); n != 0 {
			b.Errorf("%d idle left", n)
		}
	},
	"accept delays": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		r := b.accept(Submission{ID: "j1", Type: "sh", Script: "x", Due: time.Now().Add(time.Hour), Sequence: 1})[0]
		if in := time.Until(r.Due); r.Code != OK || r.Handed != "" || r.Ready != 0 || in < 59*time.Minute || in > 61*time.Minute {
			b.Errorf("%+v", r)
		}
		in, ok := b.next("py", "sh")
		if !ok || in < 59*time.Minute || in > 61*time.Minute {
			b.Error(in, ok)
		}
		if r := b.accept(Submission{ID: "j1", Type: "sh", Script: "x", Sequence: 1})[0]; r.Code != Same || r.Due.IsZero() {
			b.Errorf("%+v", r)
		}
	},
	"promote moves what is due, in order": func(b *bed) {
		for i := range 3 {
			b.accept(Submission{ID: fmt.Sprint("j", i), Type: "sh", Script: "x", Due: time.Now().Add(time.Hour)})
		}
		if p := must[Promoted](b)(b.d.Promote(b.ctx(), "sh")); p != (Promoted{}) {
			b.Errorf("%+v", p)
		}
		b.s.rdb.ZAddXX(b.ctx(), "hero:delayed:sh", z(20, "j0"), z(10, "j1"))
		in, ok := b.next("sh")
		if !ok || in != 0 {
			b.Error(in, ok)
		}
		if d := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"}))[0]; d.Due != 2 || d.Delayed != 1 {
			b.Errorf("%+v", d)
		}
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		if p := must[Promoted](b)(b.d.Promote(b.ctx(), "sh")); p != (Promoted{Moved: 2, Ready: 1}) {
			b.Errorf("%+v", p)
		}
		if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Job == nil || w.Job.ID != "j1" {
			b.Errorf("%+v", w)
		}
		if p := must[Promoted](b)(b.d.Promote(b.ctx(), "sh")); p.Moved != 0 {
			b.Errorf("%+v", p)
		}
	},
	"promote is bounded": func(b *bed) {
		var zs []zType
		for i := range promoteMax + 1 {
			id := fmt.Sprint("j", i)
			zs = append(zs, z(float64(i), id))
			b.s.rdb.HSet(b.ctx(), "hero:job:"+id, "script", "x", "status", "dispatched")
		}
		b.s.rdb.ZAdd(b.ctx(), "hero:delayed:sh", zs...)
		if p := must[Promoted](b)(b.d.Promote(b.ctx(), "sh")); p.Moved != promoteMax || !p.More {
			b.Errorf("%+v", p)
		}
		if p := must[Promoted](b)(b.d.Promote(b.ctx(), "sh")); p.Moved != 1 || p.More {
			b.Errorf("%+v", p)
		}
	},
	"promote skips what is spent": func(b *bed) {
		b.s.rdb.ZAdd(b.ctx(), "hero:delayed:sh", z(1, "nothing"), z(2, "done"))
		b.s.rdb.HSet(b.ctx(), "hero:job:done", "script", "x", "status", "finished")
		if p := must[Promoted](b)(b.d.Promote(b.ctx(), "sh")); p != (Promoted{}) {
			b.Errorf("%+v", p)
		}
		if d := must[[]DeadJob](b)(b.d.Dead(b.ctx(), 10)); len(d) != 1 || d[0].ID != "nothing" {
			b.Errorf("%+v", d)
		}
	},
	"accept loads its script in mid-life": func(b *bed) {
		b.job("j1", 1)
		b.s.rdb.ScriptFlush(b.ctx())
		rs := b.accept(Submission{ID: "j2", Type: "sh", Script: "2"}, Submission{ID: "j3", Type: "sh", Script: "3"})
		if rs[0].Code != OK || rs[1].Code != OK || rs[1].Ready != 3 {
			b.Errorf("%+v", rs)
		}
		b.s.rdb.ScriptFlush(b.ctx())
		b.actor("p_1", "i1")
	},
	"accept bounds a batch": func(b *bed) {
		if _, err := b.d.Accept(b.ctx(), 0, make([]Submission, MaxBatch+1)); err == nil {
			b.Error("accepted")
		}
		if rs, err := b.d.Accept(b.ctx(), 0, nil); err != nil || len(rs) > 0 {
			b.Error(rs, err)
		}
	},
	// A foreign job: record and id by hand.
	"adopt finds what others pushed": func(b *bed) {
		b.job("ours", 3)
		b.push("f1", "script", "theirs", "script_type", "SH", "status", "dispatched")
		b.push("nothing")
		a := must[Adopted](b)(b.d.Adopt(b.ctx(), "sh", 0, 100))
		if d := cmp.Diff(Adopted{Foreign: []string{"f1"}, Length: 3}, a); d != "" {
			b.Error(d)
		}
		if r := b.record("f1"); r.Foreign || r.ReadyAt.IsZero() || r.Sequence != 0 {
			b.Errorf("%+v", r)
		}
		// By way of the log it is accepted under its id, and is in the queue once.
		r := b.accept(Submission{ID: "f1", Type: "sh", Script: "theirs", Sequence: 8})[0]
		if r.Code != Same || !r.Adopted || r.Sequence != 8 || r.Ready != 3 {
			b.Errorf("%+v", r)
		}
		if r := b.accept(Submission{ID: "f1", Type: "sh", Script: "theirs", Sequence: 8})[0]; r.Code != Same || r.Adopted {
			b.Errorf("%+v", r)
		}
		if a := must[Adopted](b)(b.d.Adopt(b.ctx(), "sh", 0, 100)); len(a.Foreign) > 0 {
			b.Errorf("%+v", a)
		}
		if a := must[Adopted](b)(b.d.Adopt(b.ctx(), "sh", 2, 100)); a.Length != 3 || len(a.Foreign) > 0 {
			b.Errorf("%+v", a)
		}
		if _, err := b.d.Adopt(b.ctx(), "sh", 0, adoptMax+1); err == nil {
			b.Error("page too long accepted")
		}
	},
	"adopt hands over": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		b.push("f1", "script", "theirs", "status", "dispatched")
		if r := must[Adopted](b)(b.d.Adopt(b.ctx(), "sh", 0, 100)); r.Handed != 1 || !slices.Equal(r.Foreign, []string{"f1"}) {
			b.Errorf("%+v", r)
		}
		if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Job == nil || w.Job.Script != "theirs" {
			b.Errorf("%+v", w)
		}
		if r := b.record("f1"); r.Type != "sh" || r.Status != StatusStarted {
			b.Errorf("%+v", r)
		}
	},
	"a foreign job that ended before the log had it": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.push("f1", "script", "theirs", "status", "dispatched")
		b.finish(a, b.take(a), false)
		if ttl := b.ttl("hero:job:f1"); ttl <= 0 {
			b.Errorf("ttl %v, want some: it is in no log", ttl)
		}
		r := b.accept(Submission{ID: "f1", Type: "sh", Script: "theirs", Sequence: 8})[0]
		if r.Code != Same || !r.Adopted || r.Status != StatusFinished {
			b.Errorf("%+v", r)
		}
		if ttl := b.ttl("hero:job:f1"); ttl > 0 {
			b.Errorf("ttl %v, want none while the log has it", ttl)
		}
		if es := b.ended(10); !slices.Equal(es, []EndedEntry{{8, "f1", StatusFinished}}) {
			b.Errorf("%v", es)
		}
	},
}

// stampOf runs the scripts' own date arithmetic on a given time.
func stampOf(b *bed, ms int64) string {
	b.Helper()
	lib, err := sources.ReadFile("scripts/lib/stamp.lua")
	if err != nil {
		b.Fatal(err)
	}
	src := "local clock, now = { ARGV[1] }, ARGV[2]\n" + string(lib) + "\nreturn stamp()"
	return must[any](b)(b.s.rdb.Eval(b.ctx(), src, nil, ms/1000, fmt.Sprintf("%013d", ms)).Result()).(string)
}
