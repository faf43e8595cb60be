package store

import (
	"fmt"
)

var gateCases = map[string]func(b *bed){
	"close takes an idle actor out, open rings it": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.wantCode(b.claim(a).Code, Idle)
		if g := must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1")); g != (Gate{OK, 0, "i1"}) {
			b.Errorf("%+v", g)
		}
		if r := b.job("j1", 1); r.Handed != "" {
			b.Errorf("handed to the closed %s", r.Handed)
		}
		b.wantCode(b.claim(a).Code, Closed)
		for range 2 {
			if g := must[Gate](b)(b.d.OpenGate(b.ctx(), "p_1")); g != (Gate{OK, 0, "i1"}) {
				b.Errorf("%+v", g)
			}
		}
		if l := b.list(b.s.keys.wake("p_1")); len(l) != 1 || wakeText(l[0]) != "ring" {
			b.Errorf("%q", l)
		}
		if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Kind != WakeRing {
			b.Errorf("%+v", w)
		}
		if j := b.take(a); j.ID != "j1" {
			b.Errorf("%+v", j)
		}
	},
	"a claim whose answer was lost is given through a closed gate": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		if g := must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1")); g.Held != 1 {
			b.Errorf("%+v", g)
		}
		if r := b.claim(a); !r.Held || r.Job.ID != j.ID {
			b.Errorf("%+v", r)
		}
	},
	"gate of nobody": func(b *bed) {
		b.wantCode(must[Gate](b)(b.d.CloseGate(b.ctx(), "p_1")).Code, Unregistered)
		b.wantCode(must[Gate](b)(b.d.OpenGate(b.ctx(), "p_1")).Code, Unregistered)
		if _, ok, err := b.d.ActorRecord(b.ctx(), "p_1"); ok || err != nil {
			b.Error(ok, err)
		}
	},
	"ping, pong": func(b *bed) {
		b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1")), Unregistered)
		a := b.actor("p_1", "i1")
		b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1")), OK)
		b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", "n1")), OK)
		if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w != (Wake{Kind: WakePing, Nonce: "n1"}) {
			b.Errorf("%+v", w)
		}
		if l := b.list(b.s.keys.wake("p_1")); len(l) > 0 {
			b.Errorf("put twice: %q", l)
		}
		b.wantCode(must[Code](b)(a.Pong(b.ctx(), "n1")), OK)
		b.wantCode(must[Code](b)(a.Pong(b.ctx(), "n1")), OK)
		if f := b.lastFact(); f.Kind != FactPong || f.Nonce != "n1" || f.Incarnation != "i1" || f.Actor != "p_1" {
			b.Errorf("%+v", f)
		}
		if k := b.kinds(); k != "hello pong" {
			b.Error(k)
		}
		b.actor("p_1", "i2")
		b.wantCode(must[Code](b)(a.Pong(b.ctx(), "n2")), Unregistered)
	},
	"pings do not bury an actor": func(b *bed) {
		b.actor("p_1", "i1")
		for i := range 100 {
			b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", fmt.Sprint("n", i))), OK)
		}
		b.wantCode(must[Code](b)(b.d.Ping(b.ctx(), "p_1", "more")), Full)
	},
	"ring reaches one whose registration is lost": func(b *bed) {
		a := must[*Actor](b)(b.s.Actor("p_1", "sh", "i1"))
		b.wantCode(must[Code](b)(b.d.Ring(b.ctx(), "p_1")), OK)
		b.wantCode(must[Code](b)(b.d.Ring(b.ctx(), "p_1")), OK)
		if ttl := b.ttl("hero:wake:p_1"); ttl <= 0 {
			b.Errorf("ttl %v", ttl)
		}
		if l := b.list(b.s.keys.wake("p_1")); len(l) != 1 {
			b.Errorf("%q", l)
		}
		if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Kind != WakeRing {
			b.Errorf("%+v", w)
		}
		b.actor("p_2", "i2")
		b.wantCode(must[Code](b)(b.d.Ring(b.ctx(), "p_2")), OK)
		if ttl := b.ttl("hero:wake:p_2"); ttl > 0 {
			b.Errorf("ttl %v on a registered actor's list", ttl)
		}
	},
	"a message nobody can read is a ring": func(b *bed) {
		a := b.actor("p_1", "i1")
		for _, text := range []string{"not json", `{"kind":"dance"}`, `{"kind":"job","id":"x","incarnation":"i0"}`, ""} {
			b.s.rdb.RPush(b.ctx(), "hero:wake:p_1", text)
			if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Kind != WakeRing {
				b.Errorf("%q: %+v", text, w)
			}
		}
	},
}
