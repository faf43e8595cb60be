package store

import (
	"fmt"
	"slices"
	"time"
)

func level(id string, seq uint64, priority int) Submission {
	return Submission{ID: id, Type: "sh", Script: "echo " + id, Sequence: seq, Priority: priority}
}

func late(id string, seq uint64) Submission {
	s := level(id, seq, 0)
	s.StartBy = time.Now().Add(-time.Second)
	return s
}

// wait lets a job look as if it became ready earlier, whatever its level.
func (b *bed) wait(id string, earlier time.Duration) {
	b.Helper()
	at := b.record(id).ReadyAt.Add(-earlier).UnixMilli()
	b.s.rdb.HSet(b.ctx(), b.s.keys.job(id).name, "ready_ms", at)
	k := b.s.keys.prio("sh").name
	for _, m := range must[[]string](b)(b.s.rdb.ZRange(b.ctx(), k, 0, -1).Result()) {
		if m[21:] == id {
			b.s.rdb.ZIncrBy(b.ctx(), k, -float64(earlier.Milliseconds()), m)
		}
	}
}

// served claims and ends all jobs there are.
func (b *bed) served(a *Actor) (ids []string) {
	b.Helper()
	for {
		r := b.claim(a)
		if r.Code != GotJob {
			return ids
		}
		ids = append(ids, r.Job.ID)
		b.finish(a, *r.Job, false)
	}
}

var prioCases = map[string]func(b *bed){
	"levels, and the log's order in each": func(b *bed) {
		b.accept(level("z1", 1, 0), level("l1", 2, -1), level("h1", 3, 5), level("z2", 4, 0), level("h2", 5, 5), level("t", 6, 10), level("l2", 7, -1))
		d := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"}))[0]
		if d.Ready != 7 {
			b.Errorf("%d are ready", d.Ready)
		}
		want := []string{"t", "h1", "h2", "z1", "z2", "l1", "l2"}
		w := must[[]Record](b)(b.s.Waiting(b.ctx(), "sh", 10))
		for i := range w {
			if w[i].ID != want[i] {
				b.Errorf("%d waits as number %d", i, i)
			}
		}
		if w[0].Priority != 10 {
			b.Errorf("%+v", w[0])
		}
		if got := b.served(b.actor("p_1", "i1")); !slices.Equal(got, want) {
			b.Errorf("%v, want %v", got, want)
		}
	},
	"what the end of a late one releases has its turn in the same call": func(b *bed) {
		high := needing("high", 2, "late:run")
		high.Priority = 5
		b.accept(late("late", 1), high, level("plain", 3, 0))
		if j := b.take(b.actor("p_1", "i1")); j.ID != "high" {
			b.Errorf("%s is served first", j.ID)
		}
	},
	"the same by way of one of another type": func(b *bed) {
		between, high := needing("between", 2, "late"), needing("high", 3, "between:run")
		between.Type, high.Priority = "py", 5
		b.accept(late("late", 1), between, high, level("plain", 4, 0))
		if j := b.take(b.actor("p_1", "i1")); j.ID != "high" {
			b.Errorf("%s is served first", j.ID)
		}
	},
	"a low job waits at most so long behind a flood": func(b *bed) {
		b.accept(level("low", 1, -10), level("high1", 2, 10), level("high2", 3, 10), level("plain", 4, 0))
		b.wait("low", defaultPriorityWait-time.Second)
		a := b.actor("p_1", "i1")
		if j := b.take(a); j.ID != "high1" {
			b.Errorf("%s", j.ID)
		} else {
			b.finish(a, j, false)
		}
		b.wait("low", 2*time.Second)
		if got := b.served(a); !slices.Equal(got, []string{"low", "high2", "plain"}) {
			b.Errorf("%v", got)
		}
	},
	"a plain job ages too": func(b *bed) {
		b.accept(level("plain", 1, 0), level("high", 2, 10))
		b.wait("plain", defaultPriorityWait/2+time.Second)
		if got := b.served(b.actor("p_1", "i1")); !slices.Equal(got, []string{"plain", "high"}) {
			b.Errorf("%v", got)
		}
	},
	"what a dead actor held is first of its level": func(b *bed) {
		b.accept(level("h1", 1, 3), level("h2", 2, 3), level("z1", 3, 0), level("z2", 4, 0))
		for i, id := range []string{"h1", "h2", "z1"} {
			a := b.actor("p_1", fmt.Sprint("i", i))
			if j := b.take(a); j.ID != id {
				b.Fatalf("%s", j.ID)
			}
			must[Recovered](b)(b.d.Recover(b.ctx(), fmt.Sprint("i", i), true, 3))
			a = b.actor("p_1", fmt.Sprint("j", i))
			j := b.take(a)
			if j.ID != id || j.Token.Attempt != 2 {
				b.Fatalf("%s again, attempt %d; want %s", j.ID, j.Token.Attempt, id)
			}
			b.finish(a, j, false)
		}
	},
	"one that comes back keeps its place against other levels": func(b *bed) {
		b.accept(level("z", 1, 0), level("l", 2, -1))
		b.wait("z", time.Hour)
		a := b.actor("p_1", "i1")
		b.take(a)
		b.wait("l", 30*time.Minute) // since after z, long before now
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", true, 3))
		if got := b.served(b.actor("p_1", "i2")); !slices.Equal(got, []string{"z", "l"}) {
			b.Errorf("%v", got)
		}
	},
	"cancel and delay of another level": func(b *bed) {
		h := level("h", 1, 5)
		h.Due = time.Now().Add(time.Hour)
		b.accept(h, level("c", 2, 5), level("z", 3, 0))
		must[Cancelled](b)(b.d.Cancel(b.ctx(), "c"))
		if b.exists(b.s.keys.prio("sh")) {
			b.Error("a cancelled job still waits")
		}
		b.s.rdb.ZAdd(b.ctx(), b.s.keys.delayed("sh").name, z(1, "h"))
		must[Promoted](b)(b.d.Promote(b.ctx(), "sh"))
		if !b.exists(b.s.keys.prio("sh")) {
			b.Error("a due job is not at its level")
		}
	},
	"an idle actor gets it at once": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		r := b.accept(level("h", 1, 5))[0]
		if r.Handed != "p_1" || r.Ready != 0 || b.exists(b.s.keys.prio("sh")) {
			b.Errorf("%+v", r)
		}
	},
	"start-by: nobody came": func(b *bed) {
		for i := range 150 {
			s := level(fmt.Sprint("e", i), uint64(i+1), i%3)
			s.StartBy = time.Now().Add(-time.Second)
			b.accept(s)
		}
		s := level("waits", 200, 0)
		s.StartBy = time.Now().Add(time.Hour)
		b.accept(s)
		if in, ok := b.next("sh"); !ok || in != 0 {
			b.Errorf("next in %v %v", in, ok)
		}
		for more := true; more; {
			more = must[Promoted](b)(b.d.Promote(b.ctx(), "sh")).More
		}
		for i := range 150 {
			b.wantStatus(fmt.Sprint("e", i), StatusError, ReasonExpired)
			if r := b.record(fmt.Sprint("e", i)); !r.StartBy.IsZero() { // run again by hand it would be late at once
				b.Errorf("%s is to begin by %v still", r.ID, r.StartBy)
			}
		}
		if d := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"}))[0]; d.Ready != 1 {
			b.Errorf("%d ready", d.Ready) // who looks at it would start actors for nothing
		}
		if in, ok := b.next("sh"); !ok || in < 59*time.Minute {
			b.Errorf("next in %v %v", in, ok)
		}
		a := b.actor("p_1", "i1")
		j := b.take(a)
		if b.exists(b.s.keys.startby("sh")) || j.ID != "waits" || !b.record("waits").StartBy.IsZero() {
			b.Errorf("%s has begun and its start-by stands", j.ID)
		}
		// It has begun once: its next attempt is not late.
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", true, 3))
		b.run(b.actor("p_1", "i2"), "waits", true)
	},
	"start-by: a delayed and a waiting one": func(b *bed) {
		b.job("p1", 1)
		d := needing("d", 2, "p1")
		d.StartBy = time.Now().Add(-time.Second)
		l := level("l", 3, 0)
		l.Due, l.StartBy = time.Now().Add(time.Hour), time.Now().Add(-time.Second)
		b.accept(d, l)
		must[Promoted](b)(b.d.Promote(b.ctx(), "sh"))
		b.wantStatus("d", StatusError, ReasonExpired)
		b.wantStatus("l", StatusError, ReasonExpired)
		if b.exists(b.s.keys.delayed("sh")) || b.exists(b.s.keys.need("d")) {
			b.Error("traces are left")
		}
		b.run(b.actor("p_1", "i1"), "p1", true)
		b.wantStatus("d", StatusError, ReasonExpired)
	},
}
