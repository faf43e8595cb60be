package store

import (
	"slices"
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
