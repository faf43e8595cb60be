package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The contract of each script, on each server, and at the end: every answer that a header promises was
// seen, and no other.
func TestContract(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, srv *server) {
		s := srv.open(t)
		reached := recordCodes(s)
		for _, cases := range []map[string]func(b *bed){
			helloCases, acceptCases, claimCases, finishCases, gateCases, recoverCases, outCases, epochCases,
		} {
			for _, name := range slices.Sorted(maps.Keys(cases)) {
				t.Run(name, func(t *testing.T) { cases[name](newBedOn(t, srv, s)) })
			}
		}
		missing, unpromised := reached.missing(t)
		if len(missing)+len(unpromised) > 0 && !t.Failed() {
			t.Errorf("answers promised and not seen: %q; seen and not promised: %q", missing, unpromised)
		}
	})
}

var helloCases = map[string]func(b *bed){
	"hello registers and opens": func(b *bed) {
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		h := must[Hello](b)(a.Hello(b.ctx()))
		if h != (Hello{Code: OK, Epoch: 1, Open: true}) {
			b.Errorf("%+v", h)
		}
		regs := must[[]Registered](b)(b.d.Incarnations(b.ctx()))
		if d := cmp.Diff([]Registered{{Incarnation: "i1", Actor: "p_1", Type: "sh"}}, regs); d != "" {
			b.Error(d)
		}
		if f := b.lastFact(); f.Kind != FactHello || f.Actor != "p_1" || f.Incarnation != "i1" || f.Type != "sh" {
			b.Errorf("%+v", f)
		}
		if types := must[[]string](b)(b.s.Types(b.ctx())); !slices.Equal(types, []string{"sh"}) {
			b.Error(types)
		}
	},
	"hello again leaves the gate closed": func(b *bed) {
		a := b.actor("p_1", "i1")
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		if h := must[Hello](b)(a.Hello(b.ctx())); h.Code != OK || h.Open {
			b.Errorf("%+v", h)
		}
		if k := b.kinds(); k != "hello" {
			b.Errorf("facts %q, want one hello", k)
		}
	},
	"hello of a new life opens, drops old messages, keeps what the old one holds": func(b *bed) {
		old := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(old)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1"))
		fresh := b.actor("p_1", "i2")
		if rec, _, err := b.d.ActorRecord(b.ctx(), "p_1"); err != nil || !rec.Open || rec.Incarnation != "i2" {
			b.Errorf("%+v %v", rec, err)
		}
		if w := b.list(b.s.keys.wake("p_1")); len(w) > 0 {
			b.Errorf("wake list %q", w)
		}
		if h := b.list(b.s.keys.held("i1")); !slices.Equal(h, []string{"j1"}) {
			b.Errorf("held by the old life: %v", h)
		}
		b.wantCode(b.claim(old).Code, Unregistered)
		b.wantCode(b.claim(fresh).Code, Idle)
		// The old life may still finish it, and gets no other.
		b.wantCode(b.finish(old, j, true).Next, Unregistered)
	},
	"hello of a displaced life is refused": func(b *bed) {
		old := b.actor("p_1", "i1")
		b.actor("p_1", "i2")
		b.wantCode(must[Hello](b)(old.Hello(b.ctx())).Code, Superseded)
	},
	"hello without an epoch": func(b *bed) {
		b.s.rdb.Del(b.ctx(), b.s.keys.epoch().name)
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		if _, err := a.Hello(b.ctx()); !errors.Is(err, ErrNoEpoch) {
			b.Error(err)
		}
	},
	"names": func(b *bed) {
		for _, bad := range []string{"", "a.b", "a b", "a:b", "a/b", strings.Repeat("x", 65), "ä"} {
			if _, err := b.s.Actor(bad, "sh", "i1"); err == nil {
				b.Errorf("actor %q accepted", bad)
			}
			if _, err := b.d.Accept(b.ctx(), 0, []Submission{{ID: bad, Type: "sh"}}); err == nil {
				b.Errorf("job %q accepted", bad)
			}
			if _, err := b.d.Accept(b.ctx(), 0, []Submission{{ID: "j", Type: bad}}); err == nil {
				b.Errorf("type %q accepted", bad)
			}
		}
	},
}

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
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", m["updated_at"]); err != nil {
			b.Error(err)
		}
		delete(m, "updated_at")
		if d := cmp.Diff(map[string]string{
			"id": "j1", "caller_id": "me", "context_id": "ctx", "script": "print(1)", "script_type": "python", "timeout": "2",
			"retries": "2", "concurrent": "false", "created_at": "2023-11-14T22:13:20.123Z", "status": "dispatched",
			"env_vars": `{"A":"\u003c1\u003e"}`, "v": "1", "attempt": "0", "crashes": "0", "sequence": "1152921504606846977",
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
	"accept is FIFO and counts": func(b *bed) {
		rs := b.accept(Submission{ID: "j1", Type: "sh", Script: "1"}, Submission{ID: "j2", Type: "sh", Script: "2"})
		if rs[0].Ready != 1 || rs[1].Ready != 2 || rs[1].Code != OK || rs[1].Status != StatusDispatched {
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
	"accept hands to the longest idle": func(b *bed) {
		a1, a2 := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.wantCode(b.claim(a2).Code, Idle)
		b.s.rdb.ZIncrBy(b.ctx(), "hero:idle:sh", -50, "p_2 i2") // by a clear margin
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
			b.s.rdb.ZAddXX(b.ctx(), "hero:idle:sh", z(float64(i), a.name+" "+a.incarnation))
		}
		b.s.rdb.Del(b.ctx(), "hero:actor:p_1")
		b.s.rdb.HSet(b.ctx(), "hero:actor:p_2", "gate", "closed")
		b.s.rdb.ZAdd(b.ctx(), "hero:idle:sh", z(-1, "p_3 older"), z(-2, "junk"))
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
		r := b.accept(Submission{ID: "j1", Type: "sh", Script: "x", Delay: time.Hour, Sequence: 1})[0]
		if in := time.Until(r.Due); r.Code != OK || r.Handed != "" || r.Ready != 0 || in < 59*time.Minute || in > 61*time.Minute {
			b.Errorf("%+v", r)
		}
		_, in, ok, err := b.d.NextDelayed(b.ctx(), []string{"py", "sh"})
		if err != nil || !ok || in < 59*time.Minute || in > 61*time.Minute {
			b.Error(in, ok, err)
		}
		if r := b.accept(Submission{ID: "j1", Type: "sh", Script: "x", Sequence: 1})[0]; r.Code != Same || r.Due.IsZero() {
			b.Errorf("%+v", r)
		}
	},
	"promote moves what is due, in order": func(b *bed) {
		for i := range 3 {
			b.accept(Submission{ID: fmt.Sprint("j", i), Type: "sh", Script: "x", Delay: time.Hour})
		}
		if p := must[Promoted](b)(b.d.Promote(b.ctx(), "sh")); p != (Promoted{}) {
			b.Errorf("%+v", p)
		}
		b.s.rdb.ZAddXX(b.ctx(), "hero:delayed:sh", z(20, "j0"), z(10, "j1"))
		_, in, ok, err := b.d.NextDelayed(b.ctx(), []string{"sh"})
		if err != nil || !ok || in != 0 {
			b.Error(in, ok, err)
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
		if es := must[[]EndedEntry](b)(b.d.Ended(b.ctx(), 10)); !slices.Equal(es, []EndedEntry{{8, "f1", StatusFinished}}) {
			b.Errorf("%v", es)
		}
	},
}

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
	"claim keeps the place of who asks again": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		b.s.rdb.ZAddXX(b.ctx(), "hero:idle:sh", z(5, "p_1 i1"))
		b.wantCode(b.claim(a).Code, Idle)
		if since := b.s.rdb.ZScore(b.ctx(), "hero:idle:sh", "p_1 i1").Val(); since != 5 {
			b.Errorf("idle since %v", since)
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
