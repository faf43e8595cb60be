package store

import (
	"strings"
	"unicode/utf8"
)

// onHost registers an actor of type "sh" that says where it runs.
func (b *bed) onHost(name, inc, host string) *Actor {
	b.Helper()
	a := must[*Actor](b)(b.s.Actor(name, "sh", inc))
	a.OnHost(host)
	for range 2 { // the second changes nothing
		if h := must[Hello](b)(a.Hello(b.ctx())); h.Code != OK {
			b.Fatalf("hello of %s: %s", name, h.Code)
		}
	}
	return a
}

var historyCases = map[string]func(b *bed){
	"an attempt that failed has its host and the end of what it said": func(b *bed) {
		a := b.onHost("p_1", "i1", "db7.lan")
		b.withRetries("j1", 1, 1)
		// A cut through the é at 2,048 bytes from the end.
		said := strings.Repeat("x", 5000) + "é" + strings.Repeat("y", 2046) + "\n"
		must[FinishResult](b)(a.Finish(b.ctx(), b.take(a), Outcome{Failed: true, Error: said, Reason: strings.Repeat("ü", 200), ExitCode: "3"}, false))
		h := b.record("j1").History
		if len(h) != 1 || h[0].Host != "db7.lan" || h[0].Error != said[len(said)-2047:] || h[0].Reason != strings.Repeat("ü", 128) {
			b.Errorf("%+v", h)
		}
		b.promote()
		must[FinishResult](b)(a.Finish(b.ctx(), b.take(a), Outcome{Failed: true, Error: "no", Reason: "exit 3", ExitCode: "3"}, false))
		if r := b.record("j1"); r.Host != "db7.lan" || len(r.History) != 1 || r.DeadAt.IsZero() {
			b.Errorf("%+v", r)
		}
		must[int](b)(b.d.Settle(b.ctx(), b.ended(10)))
		b.wantCode(b.again("j1", 9).Code, OK)
		r := b.record("j1")
		if h := r.History; len(h) != 2 || h[1].Host != "db7.lan" || h[1].Error != "no" || r.Host != "" {
			b.Errorf("%+v", r)
		}
	},
	"an attempt whose actor died has its host, and of an actor that did not say none": func(b *bed) {
		b.job("j1", 1)
		for _, host := range []string{"db7.lan", "", "no host"} {
			inc := "i" + host[:min(1, len(host))]
			b.take(b.onHost("p_1", inc, host))
			must[Recovered](b)(b.d.RecoverFrom(b.ctx(), inc, Death{ByUs: true}, 3))
		}
		h := b.record("j1").History
		if len(h) != 3 || h[0].Host != "db7.lan" || h[1].Host != "" || h[2].Host != "" || h[0].Error != "" {
			b.Errorf("%+v", h)
		}
	},
	"the host is no type": func(b *bed) {
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		if err := a.Serve(map[string]int{"sh": 1, "py": 2}); err != nil {
			b.Fatal(err)
		}
		a.OnHost("db7")
		must[Hello](b)(a.Hello(b.ctx()))
		r := must[[]Registered](b)(b.d.Incarnations(b.ctx()))
		if len(r) != 1 || strings.Join(r[0].Serves, " ") != "sh py" || r[0].Type != "sh" {
			b.Errorf("%+v", r)
		}
	},
	"the history has 32 KiB at most, and its newest errors": func(b *bed) {
		a := b.onHost("p_1", "i1", "db7")
		b.withRetries("j1", 1, 50)
		for range 12 {
			b.promote() // control characters take six bytes each in JSON
			must[FinishResult](b)(a.Finish(b.ctx(), b.take(a), Outcome{Failed: true, Error: strings.Repeat("\x01", 4000), Reason: strings.Repeat("\x02", 4000)}, false))
		}
		text := must[string](b)(b.s.rdb.HGet(b.ctx(), b.s.keys.job("j1").name, "history").Result())
		h := b.record("j1").History
		if len(text) > 32<<10 || len(h) != 10 || h[0].Error != "" || h[9].Error != strings.Repeat("\x01", 2048) || len(h[0].Reason) != 256 {
			b.Errorf("%d bytes, %d attempts", len(text), len(h))
		}
	},
	"the reason of the fact is brief too": func(b *bed) {
		a := b.onHost("p_1", "i1", "db7")
		b.job("j1", 1)
		must[FinishResult](b)(a.Finish(b.ctx(), b.take(a), Outcome{Failed: true, Error: strings.Repeat("x", 1000), Reason: ReasonUnable}, false))
		if f := b.lastFact(); len(f.Reason) != 256 {
			b.Errorf("%d bytes", len(f.Reason))
		}
	},
	"what is no UTF-8 does not break it": func(b *bed) {
		a := b.onHost("p_1", "i1", "db7")
		b.withRetries("j1", 1, 2)
		must[FinishResult](b)(a.Finish(b.ctx(), b.take(a), Outcome{Failed: true, Error: strings.Repeat("\xbf", 4000) + "end", Reason: "exit 3"}, false))
		h := b.record("j1").History
		if len(h) != 1 || !utf8.ValidString(h[0].Error) || !strings.HasSuffix(h[0].Error, "end") {
			b.Errorf("%+v", h)
		}
	},
}
