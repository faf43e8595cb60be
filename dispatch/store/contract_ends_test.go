package store

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fails ends the job in hand with a script's error.
func (b *bed) fails(a *Actor, j Claimed, reason string) FinishResult {
	b.Helper()
	return must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Failed: true, Output: "half", Error: "no " + reason, Reason: reason, ExitCode: "3"}, false))
}

// withRetries accepts a job of type "sh" that may be retried so often.
func (b *bed) withRetries(id string, seq uint64, retries int) {
	b.Helper()
	b.accept(Submission{ID: id, Type: "sh", Script: "echo " + id, Sequence: seq, Retries: retries})
}

func (b *bed) promote() Promoted {
	b.Helper()
	return must[Promoted](b)(b.d.Promote(b.ctx(), "sh"))
}

// draws sets what the store draws for its pauses.
func (b *bed) draws(x float64) {
	was := b.s.jitter
	b.s.jitter = func() float64 { return x }
	b.Cleanup(func() { b.s.jitter = was })
}

// delayedFor is how long a job has to wait from now on.
func (b *bed) delayedFor(id string) time.Duration {
	b.Helper()
	at, err := b.s.rdb.ZScore(b.ctx(), b.s.keys.delayed("sh").name, id).Result()
	if err != nil {
		b.Fatalf("%s is not among the delayed: %v", id, err)
	}
	return time.UnixMilli(int64(at)).Sub(must[time.Time](b)(b.s.rdb.Time(b.ctx()).Result()))
}

// about reports whether d is what was drawn, less the time that the test took.
func about(d, want time.Duration) bool { return d <= want && d > want-2*time.Second }

var retryCases = map[string]func(b *bed){
	"an actor that can run nothing gives its job back, which counts as not tried": func(b *bed) {
		a, other := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.accept(Submission{ID: "j1", Type: "sh", Script: "x", Sequence: 1}, Submission{ID: "j2", Type: "sh", Script: "x", Sequence: 2})
		for i := range 12 { // more than a crash or a retry would stand
			j := b.take(a)
			if j.ID != "j1" || j.Token.Attempt != i+1 {
				b.Fatalf("%s, attempt %d", j.ID, j.Token.Attempt)
			}
			for range 2 { // its answer may be lost
				r := must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Failed: true, Error: "bask is not there", Reason: ReasonUnable}, false))
				b.wantCode(r.Code, OK)
			}
		}
		f := b.lastFact()
		if f.Kind != FactRetried || !f.Failed || f.How != AttemptInterrupted || f.Reason != "bask is not there" {
			b.Errorf("%+v", f)
		}
		r := b.record("j1")
		if r.Status != StatusDispatched || r.Crashes != 0 || r.Retried != 0 || len(r.History) != 10 || r.History[9].Outcome != AttemptInterrupted {
			b.Errorf("%+v", r)
		}
		b.run(other, "j1", true)
		b.run(other, "j2", true)
	},
	"a failed script waits and runs again": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.withRetries("j1", 1, 2)
		r := b.fails(a, b.take(a), "exit 3")
		b.wantCode(r.Code, OK)
		rec := b.record("j1")
		if rec.Status != StatusDispatched || rec.Token != (Token{}) || rec.Retried != 1 || rec.Retries != 2 || rec.Crashes != 0 {
			b.Errorf("%+v", rec)
		}
		if len(rec.History) != 1 || rec.History[0].Outcome != AttemptFailed || rec.History[0].Reason != "exit 3" ||
			rec.History[0].ExitCode != "3" || rec.History[0].Actor != "p_1" || rec.History[0].Attempt != 1 || rec.History[0].Ended.Before(rec.History[0].Began) {
			b.Errorf("%+v", rec.History)
		}
		f := b.lastFact()
		if f.Kind != FactRetried || !f.Failed || f.Reason != "exit 3" || f.Retries != 1 || f.Next.IsZero() || f.Actor != "p_1" || f.Attempt != 1 {
			b.Errorf("%+v", f)
		}
		if n := b.s.rdb.Exists(b.ctx(), b.s.keys.reply("j1").name, b.s.keys.ended().name).Val(); n != 0 {
			b.Error("a job that is not at its end was answered or settled")
		}
		if held := b.list(b.s.keys.held("i1")); len(held) != 0 {
			b.Errorf("its actor still holds %v", held)
		}
		b.promote()
		j := b.take(a)
		if j.ID != "j1" || j.Token.Attempt != 2 {
			b.Errorf("%+v", j)
		}
		b.finish(a, j, false)
		if rec := b.record("j1"); rec.Status != StatusFinished || rec.Reason != "" {
			b.Errorf("%+v", rec)
		}
	},
	"retries used up is dead": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.withRetries("j1", 7, 2)
		for range 3 {
			b.promote()
			b.fails(a, b.take(a), "exit 3")
		}
		rec := b.record("j1")
		if rec.Status != StatusError || rec.Reason != ReasonRetries || rec.Cause != "exit 3" || rec.DeadAt.IsZero() || rec.Error != "no exit 3" || rec.Attempts != 3 {
			b.Errorf("%+v", rec)
		}
		f := b.lastFact()
		if f.Kind != FactDead || !f.Failed || f.Reason != ReasonRetries || f.Cause != "exit 3" || f.Actor != "p_1" || f.Attempt != 3 {
			b.Errorf("%+v", f)
		}
		if dead := must[[]DeadJob](b)(b.d.Dead(b.ctx(), 10)); len(dead) != 1 || dead[0].ID != "j1" {
			b.Errorf("%v", dead)
		}
		if e := b.ended(10); len(e) != 1 || e[0].Outcome != EndedDead || e[0].Sequence != 7 {
			b.Errorf("%v", e)
		}
	},
	"without retries it ends with its error": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.withRetries("j1", 1, 0)
		b.fails(a, b.take(a), "exit 3")
		if rec := b.record("j1"); rec.Status != StatusError || rec.Reason != "exit 3" || !rec.DeadAt.IsZero() {
			b.Errorf("%+v", rec)
		}
		if n := b.s.rdb.ZCard(b.ctx(), b.s.keys.dead().name).Val(); n != 0 {
			b.Error("it is among the dead")
		}
	},
	"the pause doubles, up to the cap, and is drawn": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.withRetries("j1", 1, 100)
		for n, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			b.draws(1)
			b.fails(a, b.take(a), "x")
			if d := b.delayedFor("j1"); !about(d, want) {
				b.Errorf("pause %d is %v, want %v", n, d, want)
			}
			b.s.rdb.ZAdd(b.ctx(), b.s.keys.delayed("sh").name, z(1, "j1")) // its time has come
			b.promote()
		}
		b.s.rdb.HSet(b.ctx(), b.s.keys.job("j1").name, "retried", "60")
		b.fails(a, b.take(a), "x")
		if d := b.delayedFor("j1"); !about(d, time.Hour) {
			b.Errorf("pause %v, want the cap", d)
		}
		b.s.rdb.ZAdd(b.ctx(), b.s.keys.delayed("sh").name, z(1, "j1"))
		b.promote()
		b.draws(0.25)
		b.fails(a, b.take(a), "x")
		if d := b.delayedFor("j1"); !about(d, 15*time.Minute) {
			b.Errorf("pause %v, want a quarter of the cap", d)
		}
	},
	"the same finish again changes nothing, also when the next attempt runs": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.withRetries("j1", 1, 5)
		j := b.take(a)
		b.wantCode(b.fails(a, j, "x").Code, OK)
		b.wantCode(b.fails(a, j, "x").Code, OK)
		b.promote()
		next := b.take(a)
		b.wantCode(b.fails(a, j, "x").Code, OK)
		if rec := b.record("j1"); rec.Retried != 1 || rec.Status != StatusStarted || rec.Token.Attempt != 2 || len(rec.History) != 1 {
			b.Errorf("%+v", rec)
		}
		other := next
		other.Token.Attempt = 7
		b.wantCode(b.fails(a, other, "x").Code, Stale)
		b.wantCode(b.finish(a, next, false).Code, OK)
	},
	"the history is the last ten": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.withRetries("j1", 1, 50)
		for range 14 {
			b.promote()
			b.fails(a, b.take(a), "x")
		}
		h := b.record("j1").History
		if len(h) != 10 || h[0].Attempt != 5 || h[9].Attempt != 14 {
			b.Errorf("%+v", h)
		}
	},
}

var crashCases = map[string]func(b *bed){
	"crashes: at once, then up to 1 s, then up to 10 s": func(b *bed) {
		b.draws(1)
		b.job("j1", 1)
		for i, want := range []time.Duration{0, time.Second, 10 * time.Second, 10 * time.Second} {
			inc := fmt.Sprint("i", i)
			b.take(b.actor("p_1", inc))
			r := must[Recovered](b)(b.d.RecoverFrom(b.ctx(), inc, Death{Signal: "SIGSEGV"}, 9))
			if len(r.Jobs) != 1 || r.Jobs[0].Crashes != i+1 || r.Jobs[0].Dead {
				b.Errorf("%+v", r)
			}
			f := b.lastFact()
			if f.Kind != FactRetried || f.Failed || f.How != AttemptCrashed || f.Reason != "signal SIGSEGV" || f.Next.IsZero() != (want == 0) {
				b.Errorf("%+v", f)
			}
			if want == 0 {
				continue
			}
			if d := b.delayedFor("j1"); !about(d, want) {
				b.Errorf("crash %d: pause %v, want %v", i+1, d, want)
			}
			b.s.rdb.ZAdd(b.ctx(), b.s.keys.delayed("sh").name, z(1, "j1"))
			b.promote()
		}
	},
	"the cause is in the record and the fact": func(b *bed) {
		b.job("j1", 1)
		for i, d := range []Death{{ByUs: true, Signal: "SIGTERM"}, {ExitCode: "3"}, {OutOfMemory: true, Signal: "SIGKILL"}} {
			inc := fmt.Sprint("i", i)
			b.take(b.actor("p_1", inc))
			must[Recovered](b)(b.d.RecoverFrom(b.ctx(), inc, d, 2))
		}
		rec := b.record("j1")
		if rec.Reason != ReasonCrashes || rec.Cause != "out of memory" || !strings.Contains(rec.Error, "died 2 times") || !strings.Contains(rec.Error, "out of memory") {
			b.Errorf("%+v", rec)
		}
		var said []string
		for _, h := range rec.History {
			said = append(said, fmt.Sprintf("%d %s %s %s %s %v", h.Attempt, h.Outcome, h.Reason, h.ExitCode, h.Signal, h.OutOfMemory))
		}
		want := []string{"1 interrupted ended by us  SIGTERM false", "2 crashed exit 3 3  false", "3 crashed out of memory  SIGKILL true"}
		if !slices.Equal(said, want) {
			b.Errorf("%q", said)
		}
		if f := b.lastFact(); f.Kind != FactDead || f.Failed || f.Cause != "out of memory" || f.Crashes != 2 {
			b.Errorf("%+v", f)
		}
	},
	"crashes of more than 72 hours ago do not count": func(b *bed) {
		b.job("j1", 1)
		old := time.Now().Add(-73 * time.Hour).UnixMilli()
		recent := time.Now().Add(-71 * time.Hour).UnixMilli()
		b.s.rdb.HSet(b.ctx(), b.s.keys.job("j1").name, "crash_ms", fmt.Sprintf("%d %d %d", old, old, recent), "crashes", "3")
		b.take(b.actor("p_1", "i1"))
		r := must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 3))
		if len(r.Jobs) != 1 || r.Jobs[0].Crashes != 2 || r.Jobs[0].Dead {
			b.Errorf("%+v", r)
		}
	},
}

var cancelCases = map[string]func(b *bed){
	"cancel of a running job marks it and tells its actor": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		must[Code](b)(a.RecordGroup(b.ctx(), j, 4711, 99))
		for range 2 { // repeated, it is told once
			c := must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1"))
			if c.Code != Running || c.Actor != "p_1" || c.Incarnation != "i1" || c.Attempt != 1 || c.Group == nil || c.Group.PGID != 4711 {
				b.Errorf("%+v", c)
			}
		}
		w := must[Wake](b)(a.WaitWake(b.ctx(), soon))
		if w.Kind != WakeCancel || w.Job.ID != "j1" || w.Job.Token.Attempt != 1 || w.Job.Token.Epoch != 1 {
			b.Errorf("%+v", w)
		}
		if w := must[Wake](b)(a.WaitWake(b.ctx(), time.Millisecond)); w.Kind != WakeNone {
			b.Errorf("told twice: %+v", w)
		}
		b.wantCode(must[[]Code](b)(a.Renew(b.ctx(), j))[0], CancelCode)
		b.wantCode(must[Code](b)(a.RecordGroup(b.ctx(), j, 4712, 99)), CancelCode)
		if rec := b.record("j1"); rec.Status != StatusStarted || rec.CancelAt.IsZero() {
			b.Errorf("%+v", rec)
		}
	},
	"cancel first: a failed end is a cancel, retries or not": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.withRetries("j1", 1, 5)
		j := b.take(a)
		must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1"))
		b.wantCode(b.fails(a, j, "signal SIGTERM").Code, OK)
		rec := b.record("j1")
		if rec.Status != StatusError || rec.Reason != ReasonCancelled || !strings.Contains(rec.Error, "cancelled while it ran") || rec.Output != "half" {
			b.Errorf("%+v", rec)
		}
		if f := b.lastFact(); f.Kind != FactEnded || f.Reason != ReasonCancelled || f.Actor != "p_1" {
			b.Errorf("%+v", f)
		}
		if c := must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1")); c.Code != EndedCode || c.Reason != ReasonCancelled {
			b.Errorf("%+v", c)
		}
	},
	"cancel first: a good end wins all the same": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1"))
		b.finish(a, j, false)
		if rec := b.record("j1"); rec.Status != StatusFinished || rec.Reason != "" {
			b.Errorf("%+v", rec)
		}
	},
	"cancelled, its actor dead: it ends and is not given back": func(b *bed) {
		for i, d := range []Death{{ByUs: true}, {Signal: "SIGKILL"}} {
			id, inc := fmt.Sprint("j", i), fmt.Sprint("i", i)
			b.job(id, uint64(i+1))
			b.take(b.actor("p_1", inc))
			must[Cancelled](b)(b.d.Cancel(b.ctx(), id))
			r := must[Recovered](b)(b.d.RecoverFrom(b.ctx(), inc, d, 3))
			if len(r.Jobs) != 1 || !r.Jobs[0].Dead {
				b.Errorf("%+v", r)
			}
			rec := b.record(id)
			if rec.Status != StatusError || rec.Reason != ReasonCancelled || rec.Crashes != 0 || !rec.DeadAt.IsZero() {
				b.Errorf("%+v", rec)
			}
			if f := b.lastFact(); f.Kind != FactEnded || f.Reason != ReasonCancelled || f.Actor != "p_1" {
				b.Errorf("%+v", f)
			}
			if n := b.s.rdb.LLen(b.ctx(), b.s.keys.queue("sh").name).Val(); n != 0 {
				b.Error("it waits again")
			}
		}
	},
	"a job of an actor of the original protocol can not be told": func(b *bed) {
		b.s.rdb.HSet(b.ctx(), b.s.keys.job("f1").name, "id", "f1", "status", "Started", "script", "x", "script_type", "sh")
		c := must[Cancelled](b)(b.d.Cancel(b.ctx(), "f1"))
		if c.Code != Running || c.Incarnation != "" {
			b.Errorf("%+v", c)
		}
		if b.s.rdb.HExists(b.ctx(), b.s.keys.job("f1").name, "cancel").Val() {
			b.Error("it was marked, and nobody will look at the mark")
		}
	},
}

var keepCases = map[string]func(b *bed){
	"remove forgets an ended job": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 5)
		b.wantCode(must[Removed](b)(b.d.Remove(b.ctx(), "j1", 5)).Code, Running)
		b.finish(a, b.take(a), false)
		b.wantCode(must[Removed](b)(b.d.Remove(b.ctx(), "j1", 4)).Code, Stale)
		b.wantCode(must[Removed](b)(b.d.Remove(b.ctx(), "j1", 5)).Code, OK)
		if f := b.lastFact(); f.Kind != FactRemoved || f.Job != "j1" || f.Type != "sh" {
			b.Errorf("%+v", f)
		}
		if _, err := b.s.Job(b.ctx(), "j1"); !errors.Is(err, ErrNoJob) {
			b.Error(err)
		}
		if n := b.s.rdb.Exists(b.ctx(), b.s.keys.reply("j1").name).Val(); n != 0 {
			b.Error("its reply is left")
		}
		b.wantCode(must[Removed](b)(b.d.Remove(b.ctx(), "j1", 5)).Code, Unknown)
	},
	"remove of a dead id without a record": func(b *bed) {
		b.s.rdb.ZAdd(b.ctx(), b.s.keys.dead().name, z(1, "gone"))
		b.wantCode(must[Removed](b)(b.d.Remove(b.ctx(), "gone", 0)).Code, OK)
		b.wantCode(must[Removed](b)(b.d.Remove(b.ctx(), "gone", 0)).Code, Unknown)
	},
	"a dead record that came back while the log has its message leaves it once more": func(b *bed) {
		b.take(b.actor("p_1", "i1"+b.job("j1", 5).Handed))
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 1))
		fields, at := must[map[string]string](b)(b.s.Fields(b.ctx(), "j1")), b.record("j1").DeadAt
		b.s.rdb.Del(b.ctx(), b.s.keys.job("j1").name)
		b.s.rdb.Del(b.ctx(), b.s.keys.ended().name)
		b.s.rdb.Del(b.ctx(), b.s.keys.dead().name)
		b.wantCode(must[Code](b)(b.d.Restore(b.ctx(), Restoration{Type: "sh", ID: "j1", Fields: fields, At: at})), OK)
		for range 2 { // read once more, it is told once
			b.wantCode(b.accept(Submission{ID: "j1", Type: "sh", Script: "echo j1", Sequence: 5, Refilled: true})[0].Code, Same)
		}
		left := b.ended(10)
		if !slices.Equal(left, []EndedEntry{{Sequence: 5, ID: "j1", Outcome: EndedDead}}) {
			b.Fatalf("ended: %+v", left)
		}
		ttl := func() time.Duration { return b.s.rdb.TTL(b.ctx(), b.s.keys.job("j1").name).Val() }
		if ttl() > 0 {
			b.Error("it expires before its message is deleted")
		}
		must[int](b)(b.d.Settle(b.ctx(), left))
		if ttl() <= 0 {
			b.Error("it does not expire")
		}
	},
	"a dead record comes back as it was": func(b *bed) {
		b.take(b.actor("p_1", "i1"+b.job("j1", 5).Handed))
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 1))
		before := b.record("j1")
		fields := must[map[string]string](b)(b.s.Fields(b.ctx(), "j1"))
		if RecordOf("j1", fields).Reason != ReasonCrashes {
			b.Errorf("%+v", fields)
		}
		b.wantCode(must[Code](b)(b.d.Restore(b.ctx(), Restoration{Type: "sh", ID: "j1", Fields: fields, At: before.DeadAt})), Same)
		must[Removed](b)(b.d.Remove(b.ctx(), "j1", 5))
		b.wantCode(must[Code](b)(b.d.Restore(b.ctx(), Restoration{Type: "sh", ID: "j1", Fields: fields, At: before.DeadAt})), OK)
		if after := b.record("j1"); fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", before) {
			b.Errorf("%+v, was %+v", after, before)
		}
		if dead := must[[]DeadJob](b)(b.d.Dead(b.ctx(), 10)); len(dead) != 1 || !dead[0].At.Equal(before.DeadAt) {
			b.Errorf("%+v", dead)
		}
		if ttl := b.s.rdb.TTL(b.ctx(), b.s.keys.job("j1").name).Val(); ttl <= 0 {
			b.Error("it would stay for ever")
		}
	},
	"a dead record comes back as a job that waits when the log revives it": func(b *bed) {
		b.take(b.actor("p_1", "i1"+b.job("j1", 5).Handed))
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 1))
		fields, at := must[map[string]string](b)(b.s.Fields(b.ctx(), "j1")), b.record("j1").DeadAt
		back := func() Code {
			return must[Code](b)(b.d.Restore(b.ctx(), Restoration{Type: "sh", ID: "j1", Fields: fields, At: at, Again: 7}))
		}
		again := Submission{ID: "j1", Type: "sh", Script: "echo j1", Sequence: 7, Again: true, Refilled: true, Priority: 2}
		k := b.s.keys
		b.lost(2)
		for _, want := range []Code{OK, Same} {
			b.wantCode(back(), want)
			r := b.record("j1")
			if r.Status != StatusDispatched || !r.DeadAt.IsZero() || r.Reason != "" || r.Attempts != 1 || len(r.History) != 1 {
				b.Errorf("%+v", r)
			}
		}
		if b.ttl(k.job("j1").name) >= 0 || b.exists(k.dead()) || b.exists(k.reply("j1")) {
			b.Error("it is among the dead, or will go")
		}
		a := b.actor("p_1", "i2")
		b.wantCode(b.claim(a).Code, Idle)
		if got := b.accept(Submission{ID: "d", Type: "sh", Script: "x", Sequence: 6, Refilled: true, Prerequisites: []Prerequisite{{ID: "j1", Rule: RuleHold}}})[0]; got.Status != StatusWaiting {
			b.Errorf("what holds for it: %+v", got)
		}
		if got := b.accept(again)[0]; got.Code != OK || got.Sequence != 7 {
			b.Errorf("its message: %+v", got)
		}
		if r := b.record("j1"); r.Sequence != 7 || r.Priority != 2 {
			b.Errorf("%+v", r)
		}
		b.run(a, "j1", true)
		b.run(a, "d", true)
		b.wantCode(back(), Same) // it has ended by that message
	},
	"a record of an earlier end in an old copy lives when the log revives it": func(b *bed) {
		b.take(b.actor("p_1", "i1"+b.job("j1", 5).Handed))
		b.wantCode(must[Code](b)(b.d.Restore(b.ctx(), Restoration{Type: "sh", ID: "j1", Fields: nil, At: time.Now(), Again: 7})), Same) // it runs
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 1))
		fields, at := must[map[string]string](b)(b.s.Fields(b.ctx(), "j1")), b.record("j1").DeadAt
		b.wantCode(must[Code](b)(b.d.Restore(b.ctx(), Restoration{Type: "sh", ID: "j1", Fields: fields, At: at, Again: 5})), Same)
		b.wantCode(must[Code](b)(b.d.Restore(b.ctx(), Restoration{Type: "sh", ID: "j1", Fields: fields, At: at, Again: 7})), OK)
		if r := b.record("j1"); r.Status != StatusDispatched || b.exists(b.s.keys.dead()) {
			b.Errorf("%+v", r)
		}
	},
	"a revived job that is cancelled before its message is read is not revived by it": func(b *bed) {
		b.take(b.actor("p_1", "i1"+b.job("j1", 5).Handed))
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 1))
		fields, at := must[map[string]string](b)(b.s.Fields(b.ctx(), "j1")), b.record("j1").DeadAt
		b.lost(2)
		b.wantCode(must[Code](b)(b.d.Restore(b.ctx(), Restoration{Type: "sh", ID: "j1", Fields: fields, At: at, Again: 7})), OK)
		b.wantCode(must[Cancelled](b)(b.d.Cancel(b.ctx(), "j1")).Code, OK)
		again := Submission{ID: "j1", Type: "sh", Script: "echo j1", Sequence: 7, Again: true, Refilled: true}
		if got := b.accept(again)[0]; got.Code != Same || got.Status != StatusError {
			b.Errorf("its message: %+v", got)
		}
		es := b.ended(10)
		if !slices.Equal(es, []EndedEntry{{Sequence: 7, ID: "j1", Outcome: "error"}}) {
			b.Errorf("ended: %+v", es)
		}
		again.Sequence, again.Refilled = 9, false // a retry
		if got := b.accept(again)[0]; got.Code != OK {
			b.Errorf("retried: %+v", got)
		}
	},
	"the dead are capped by age": func(b *bed) {
		old := float64(time.Now().Add(-31 * 24 * time.Hour).UnixMilli())
		b.s.rdb.ZAdd(b.ctx(), b.s.keys.dead().name, z(old, "old"), z(float64(time.Now().Add(-29*24*time.Hour).UnixMilli()), "young"))
		b.job("j1", 5)
		b.take(b.actor("p_1", "i1"))
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", false, 1))
		if ids := b.s.rdb.ZRange(b.ctx(), b.s.keys.dead().name, 0, -1).Val(); !slices.Equal(ids, []string{"young", "j1"}) {
			b.Errorf("%v", ids)
		}
	},
}

// again accepts the message that revives a job.
func (b *bed) again(id string, seq uint64) Accepted {
	b.Helper()
	return b.accept(Submission{ID: id, Type: "sh", Script: "echo " + id, Sequence: seq, Retries: 1, Again: true})[0]
}

var againCases = map[string]func(b *bed){
	"a dead job runs again, counted from zero, its history kept": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.withRetries("j1", 1, 1)
		for range 2 {
			b.promote()
			b.fails(a, b.take(a), "exit 3")
		}
		must[int](b)(b.d.Settle(b.ctx(), b.ended(10)))
		r := b.again("j1", 9)
		if r.Code != OK || r.Status != StatusDispatched || r.Sequence != 9 {
			b.Errorf("%+v", r)
		}
		rec := b.record("j1")
		if rec.Status != StatusDispatched || rec.Sequence != 9 || rec.Retried != 0 || rec.Retries != 1 || rec.Reason != "" || rec.Error != "" ||
			!rec.DeadAt.IsZero() || rec.Attempts != 2 || rec.Cause != "" {
			b.Errorf("%+v", rec)
		}
		if h := rec.History; len(h) != 2 || h[0].Outcome != AttemptFailed || h[1].Outcome != AttemptEnded || h[1].Attempt != 2 || h[1].Reason != "exit 3" || h[1].Ended.IsZero() {
			b.Errorf("%+v", h)
		}
		if n := b.s.rdb.Exists(b.ctx(), b.s.keys.reply("j1").name, b.s.keys.dead().name).Val(); n != 0 {
			b.Error("its reply or its place among the dead is left")
		}
		if ttl := b.s.rdb.TTL(b.ctx(), b.s.keys.job("j1").name).Val(); ttl > 0 {
			b.Error("it would vanish")
		}
		b.wantCode(b.again("j1", 9).Code, Same) // told twice
		j := b.take(a)
		if j.Token.Attempt != 3 {
			b.Errorf("%+v", j)
		}
		b.finish(a, j, false)
		b.wantCode(b.again("j1", 9).Code, Same) // and once more after its end: a refill tells it again
		if rec := b.record("j1"); rec.Status != StatusFinished {
			b.Errorf("%+v", rec)
		}
	},
	"what has not ended is not revived": func(b *bed) {
		b.job("j1", 1)
		b.wantCode(b.again("j1", 9).Code, Same)
		b.take(b.actor("p_1", "i1"))
		b.wantCode(b.again("j1", 10).Code, Same)
		if rec := b.record("j1"); rec.Status != StatusStarted || rec.Sequence != 1 {
			b.Errorf("%+v", rec)
		}
	},
	"revived before its end was settled it does not vanish": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		b.fails(a, b.take(a), "exit 3")
		old := b.ended(10)
		b.again("j1", 9)
		j := b.take(a)
		b.finish(a, j, false)
		must[int](b)(b.d.Settle(b.ctx(), old)) // of the first end, when there is a second
		if ttl := b.s.rdb.TTL(b.ctx(), b.s.keys.job("j1").name).Val(); ttl > 0 {
			b.Error("its record expires although the log has its message")
		}
	},
	"one that is unknown is a new job": func(b *bed) {
		b.wantCode(b.again("j1", 9).Code, OK)
		if rec := b.record("j1"); rec.Status != StatusDispatched || rec.Retries != 1 {
			b.Errorf("%+v", rec)
		}
	},
	"another script under its id is a conflict": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		b.fails(a, b.take(a), "exit 3")
		r := b.accept(Submission{ID: "j1", Type: "sh", Script: "other", Sequence: 9, Again: true})[0]
		b.wantCode(r.Code, Conflict)
	},
}

// Ended records are bounded by number, whatever their age: those of the log when they are settled, the others at
// their end. A job that was revived since is not of that number.
func TestEndedRecordsAreBounded(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, srv *server) {
		const most, jobs = 20, 70
		b := newBedOn(t, srv, srv.open(t, func(o *Options) { o.Done = most }))
		a := b.actor("p_1", "i1")
		for _, logged := range []bool{true, false} {
			for i := range jobs {
				id, seq := "u"+strconv.Itoa(i), uint64(0)
				if logged {
					id, seq = "l"+strconv.Itoa(i), uint64(i+1)
				}
				b.job(id, seq)
				b.finish(a, b.take(a), false)
				if i == 3 { // others keep it by its id: not what ended is there now
					b.s.rdb.HSet(b.ctx(), b.s.keys.job(id).name, "status", "dispatched")
				}
				if logged && i%7 == 0 {
					must[int](b)(b.d.Settle(b.ctx(), b.ended(1000)))
				}
			}
			must[int](b)(b.d.Settle(b.ctx(), b.ended(1000)))
			letter := map[bool]string{true: "l", false: "u"}[logged]
			left := must[[]string](b)(b.s.rdb.Keys(b.ctx(), "hero:job:*").Result())
			n := 0
			for _, k := range left {
				if strings.HasPrefix(k, "hero:job:"+letter) {
					n++
				}
			}
			if n < most || n > most+1 {
				t.Errorf("%d records of %s are left, want the last %d and one that was revived", n, letter, most)
			}
			if replies := must[[]string](b)(b.s.rdb.Keys(b.ctx(), "hero:q:reply:*").Result()); len(replies) > most+2 {
				t.Errorf("%d replies are left", len(replies))
			}
			if rec := b.record(letter + strconv.Itoa(jobs-1)); rec.Status != StatusFinished {
				t.Errorf("the newest: %+v", rec)
			}
			if b.record(letter+"3").Status != StatusDispatched {
				t.Error("a job that waits was dropped")
			}
		}
		if n := b.s.rdb.LLen(b.ctx(), b.s.keys.done().name).Val(); n != most {
			t.Errorf("the list has %d entries, want %d", n, most)
		}
	})
}
