package store

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

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
			helloCases, acceptCases, claimCases, finishCases, gateCases, recoverCases, outCases, epochCases, needCases, prioCases,
			retryCases, crashCases, cancelCases, keepCases, againCases, assertCases, serveCases, aloneCases, historyCases, staleCases, resultCases, overCases, oddCases,
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
		if d := cmp.Diff([]Registered{{Incarnation: "i1", Actor: "p_1", Type: "sh", Serves: []string{"sh"}}}, regs); d != "" {
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
	"one process is one actor": func(b *bed) {
		b.actor("p_1", "i1")
		for _, other := range [][2]string{{"p_2", "sh"}, {"p_1", "py"}} {
			a := must[*Actor](b)(b.s.Actor(other[0], other[1], "i1"))
			if h := must[Hello](b)(a.Hello(b.ctx())); other[0] == "p_2" && h.Code != Conflict {
				b.Errorf("%v: %+v", other, h)
			}
		}
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
