package store

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// What others push may have any id and any text.
var oddCases = map[string]func(b *bed){
	"an empty id is no job, and holds up nobody": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.push("", theirs...)
		b.job("j1", 1)
		b.run(a, "j1", true)
		b.push("", "status", "dispatched") // without a script
		b.job("j2", 2)
		b.run(a, "j2", true)
		if es := b.ended(10); len(es) != 2 {
			b.Errorf("ended: %v", es)
		}
		if dead := must[[]DeadJob](b)(b.d.Dead(b.ctx(), 10)); len(dead) > 0 {
			b.Errorf("dead: %+v", dead)
		}
	},
	"an id that looks like a release is promoted as a job": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.push(">f1", append(slices.Clone(theirs), "retries", "1")...)
		b.run(a, ">f1", false)
		if p := must[Promoted](b)(b.d.Promote(b.ctx(), "sh")); p.Moved != 1 {
			b.Errorf("%+v", p)
		}
		b.run(a, ">f1", true)
	},
	"retries that are no plain number are none": func(b *bed) {
		a := b.actor("p_1", "i1")
		for _, n := range []string{"nan", "inf", "1e9", "0x10", "-1", " 1", "many"} {
			id := "f" + n
			b.push(id, append(slices.Clone(theirs), "retries", n)...)
			b.run(a, id, false)
			if f := b.lastFact(); f.Job != id || f.Kind != FactEnded {
				b.Errorf("retries %q: %+v", n, f)
			}
		}
	},
	"any id comes back as it is": func(b *bed) {
		a := b.actor("p_1", "i1")
		for _, id := range []string{"a b", "a\nb", "a%20b", "\xff\xfe", "x:y", "@a b c", "a=b", " lead", "trail "} {
			b.push(id, append(slices.Clone(theirs), "retries", "1")...)
			b.run(a, id, false)
			b.page(PartDelayed, id)
			must[Promoted](b)(b.d.Promote(b.ctx(), "sh"))
			b.page(PartReady, id)
			j := b.take(a)
			b.page(PartRunning, id)
			must[FinishResult](b)(a.Finish(b.ctx(), j, Outcome{Failed: true, Error: "broken", Reason: "exit 1"}, false))
			b.page(PartDead, id)
			b.page(PartDone, id)
			b.page(PartEnded, id)
			if f := b.lastFact(); f.Kind != FactDead || f.Job != id {
				b.Errorf("%q: %+v", id, f)
			}
			if es := b.ended(10); len(es) != 1 || es[0].ID != id {
				b.Errorf("%q: ended %v", id, es)
			}
			b.s.rdb.Del(b.ctx(), "hero:dead", "hero:done", "hero:ended")
		}
	},
	"a sequence that others wrote is none of the log's": func(b *bed) {
		a := b.actor("p_1", "i1")
		for i, sequence := range []string{"5", "abc", "", "007", "x\ny z", strings.Repeat("9", 30), "0"} {
			run, wait := "run"+strconv.Itoa(i), "wait"+strconv.Itoa(i)
			b.push(run, append(slices.Clone(theirs), "sequence", sequence)...)
			if r := b.record(run); r.Sequence != 0 {
				b.Errorf("%q: %+v", sequence, r)
			}
			b.run(a, run, true)
			if es := b.ended(10); len(es) != 0 {
				b.Errorf("%q: ended %v", sequence, es)
			}
			if f := b.lastFact(); f.Job != run || f.Kind != FactEnded || f.Sequence != 0 || f.Attempt != 1 {
				b.Errorf("%q: %+v", sequence, f)
			}
			b.push(wait, append(slices.Clone(theirs), "sequence", sequence)...)
			if got := must[Adopted](b)(b.d.Adopt(b.ctx(), "sh", 0, 10)); !slices.Equal(got.Foreign, []string{wait}) {
				b.Errorf("%q: adopt %+v", sequence, got)
			}
			seq := uint64(20 + i)
			if got := b.accept(Submission{ID: wait, Type: "sh", Script: "theirs", Sequence: seq})[0]; got.Code != Same || !got.Adopted || got.Sequence != seq {
				b.Errorf("%q: accept %+v", sequence, got)
			}
			b.run(a, wait, true)
			if es := b.ended(10); len(es) != 1 || es[0].Sequence != seq {
				b.Errorf("%q: ended %v", sequence, es)
			} else if left := must[int](b)(b.d.Settle(b.ctx(), es)); left != 0 {
				b.Errorf("%q: %d are not settled", sequence, left)
			}
		}
	},
	"a job of the log that others pushed unseen is whole": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.push("f1", "script", "theirs", "status", "dispatched")
		if got := b.accept(Submission{ID: "f1", Type: "sh", Script: "theirs", Sequence: 3})[0]; got.Code != Same || !got.Adopted {
			b.Errorf("%+v", got)
		}
		b.run(a, "f1", true)
		if r := b.record("f1"); r.Type != "sh" || r.Foreign || r.Sequence != 3 {
			b.Errorf("%+v", r)
		}
		if theirs := must[string](b)(b.s.rdb.HGet(b.ctx(), "hero:job:f1", "script_type").Result()); theirs != "sh" {
			b.Errorf("script_type %q", theirs)
		}
	},
	"a level's place is read to its end": func(b *bed) {
		b.s.rdb.HSet(b.ctx(), "hero:job:f 1", append(slices.Clone(theirs), "opts", "h5 p1 "+"o"+strings.Repeat("0", 20), "ready_ms", time.Now().UnixMilli())...)
		b.s.rdb.ZAdd(b.ctx(), "hero:delayed:sh", z(1, "f 1"))
		must[Promoted](b)(b.d.Promote(b.ctx(), "sh"))
		b.page(PartLevels, "f 1")
	},
}

// page wants a part to have one job.
func (b *bed) page(part Part, id string) {
	b.Helper()
	if p := must[Page](b)(b.s.Page(b.ctx(), part, "sh", 0, 10)); !slices.Equal(p.IDs, []string{id}) {
		b.Errorf("%s has %q, want %q", part, p.IDs, id)
	}
}
