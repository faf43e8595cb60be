package store

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// stales are the facts about ends that counted for nothing.
func (b *bed) stales() (out []Fact) {
	b.Helper()
	for _, f := range must[FactBatch](b)(b.s.ReadFacts(b.ctx(), noFact, 0)).Facts {
		if f.Kind == FactStale {
			out = append(out, f)
		}
	}
	return out
}

var staleCases = map[string]func(b *bed){
	"an end that counts for nothing is told": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", true, 3))
		b.wantCode(b.finish(a, j, false).Code, Stale)
		b.wantCode(b.fails(a, Claimed{ID: "gone", Token: j.Token}, "exit 3").Code, Unknown)
		got := b.stales()
		if len(got) != 2 || got[0].Job != "j1" || got[0].Actor != "p_1" || got[0].Incarnation != "i1" || got[0].Attempt != 1 || got[0].Type != "sh" ||
			got[0].Outcome != StatusFinished || got[0].Reason != "superseded" || got[1].Job != "gone" || got[1].Outcome != StatusError || got[1].Reason != "no record" {
			b.Errorf("%+v", got)
		}
	},
	"an end that is told twice is no stale one": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		b.finish(a, j, false)
		b.wantCode(b.finish(a, j, false).Code, OK)
		if got := b.stales(); len(got) != 0 {
			b.Errorf("%+v", got)
		}
	},
	"what counts for nothing is told once, though it is said again": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		must[Recovered](b)(b.d.Recover(b.ctx(), "i1", true, 3))
		gone := Claimed{ID: "gone", Script: "x", Token: j.Token}
		for range 2 {
			r := must[ExchangeResult](b)(a.Exchange(b.ctx(), []Ended{{Job: j}, {Job: gone}}, 0, 0))
			if !slices.Equal(r.Told, []Code{Stale, Unknown}) {
				b.Errorf("%v", r.Told)
			}
		}
		must[uint64](b)(raise(b, 2))
		b.wantCode(must[Hello](b)(a.Hello(b.ctx())).Code, OK)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		for range 2 {
			codes, code, err := a.Assert(b.ctx(), []InHand{{Claimed: j}, {Claimed: gone}})
			if err != nil || code != OK || !slices.Equal(codes, []Code{Stale, Stale}) {
				b.Errorf("%v %v %v", codes, code, err)
			}
			must[Gate](b)(b.d.OpenGate(b.ctx(), "p_1")) // it was refused for that, and stays so
		}
		var got []string
		for _, f := range b.stales() {
			got = append(got, f.Job+" "+string(f.Outcome))
		}
		if want := []string{"j1 finished", "gone finished", "j1 ", "gone "}; !slices.Equal(got, want) {
			b.Errorf("told %q, want %q", got, want)
		}
	},
	"a job that is not left to who holds it over a rebuild is told": func(b *bed) {
		a, other := b.actor("p_1", "i1"), b.actor("p_2", "i2")
		b.job("j1", 1)
		j := b.take(a)
		b.lost(2, a, other)
		b.job("j1", 1)
		b.take(other)
		b.assert(a, j, Stale)
		must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1"))
		b.assert(a, Claimed{ID: "gone", Script: "x", Token: j.Token}, Stale)
		got := b.stales()
		if len(got) != 2 || got[0].Job != "j1" || got[0].Actor != "p_1" || got[0].Incarnation != "i1" || got[0].Attempt != 1 || got[0].Type != "sh" ||
			got[0].Outcome != "" || got[0].Reason != "superseded" || got[1].Job != "gone" || got[1].Reason != "no record" {
			b.Errorf("%+v", got)
		}
	},
	"an end that was told before the rebuild and is told by the record is no stale one": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		b.wantCode(b.finish(a, j, false).Code, OK)
		must[uint64](b)(raise(b, 2)) // the epoch alone was lost
		b.wantCode(must[Hello](b)(a.Hello(b.ctx())).Code, OK)
		b.assert(a, j, Stale)
		if got := b.stales(); len(got) != 0 {
			b.Errorf("%+v", got)
		}
	},
	"it has its own type": func(b *bed) {
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		if err := a.Serve(map[string]int{"sh": 1, "py": 1}); err != nil {
			b.Fatal(err)
		}
		must[Hello](b)(a.Hello(b.ctx()))
		must[ExchangeResult](b)(a.Exchange(b.ctx(), []Ended{{Job: Claimed{ID: "j1", Type: "py", Token: Token{Epoch: 1, Attempt: 1, Incarnation: "i1"}}}}, 0, 0))
		if got := b.stales(); len(got) != 1 || got[0].Type != "py" {
			b.Errorf("%+v", got)
		}
	},
	"a storm is told 20 times a second, and counted": func(b *bed) {
		a := b.actor("p_1", "i1")
		var ended []Ended
		for i := range 100 {
			ended = append(ended, Ended{Job: Claimed{ID: fmt.Sprint("j", i), Token: Token{Epoch: 1, Attempt: 1, Incarnation: "i1"}}})
		}
		for n := range 5 { // in one second, or a few
			for i := range ended {
				ended[i].Job.Token.Attempt = n + 1
			}
			r := must[ExchangeResult](b)(a.Exchange(b.ctx(), ended, 0, 0))
			if len(r.Told) != 100 || strings.Trim(fmt.Sprint(r.Told), "[UNKOW ]") != "" {
				b.Fatalf("%v", r.Told)
			}
		}
		// In another second the next is told, and says how many were not.
		b.s.rdb.HSet(b.ctx(), b.s.keys.stale().name, "second", time.Now().Unix()-60)
		ended[0].Job.Token.Attempt = 6
		must[ExchangeResult](b)(a.Exchange(b.ctx(), ended[:1], 0, 0))
		got, told := b.stales(), 0
		for _, f := range got {
			told += 1 + f.Untold
		}
		if told != 501 || len(got) > 101 || len(got)%20 != 1 {
			b.Errorf("%d facts tell of %d ends", len(got), told)
		}
	},
}
