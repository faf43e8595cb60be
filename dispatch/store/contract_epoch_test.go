package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epochCases = map[string]func(b *bed){
	"adrift puts back what is in no list, and nothing else": func(b *bed) {
		look := func(want Code) {
			b.Helper()
			b.wantCode(must[Code](b)(b.d.Adrift(b.ctx(), "sh", "j1", 0)), want)
		}
		queue := b.s.keys.queue("sh")
		b.job("j1", 1)
		look(Kept)
		b.wantCode(must[Code](b)(b.d.Adrift(b.ctx(), "sh", "none", 0)), Kept)
		b.s.rdb.Del(b.ctx(), queue.name)
		b.wantCode(must[Code](b)(b.d.Adrift(b.ctx(), "sh", "j1", time.Hour)), Kept) // too young
		look(OK)
		look(Kept)
		if got := b.list(queue); len(got) != 1 {
			b.Errorf("the queue has %v", got)
		}
		a := b.actor("p_1", "i1")
		j := b.take(a)
		look(Kept)
		held := b.s.keys.held("i1")
		b.s.rdb.Del(b.ctx(), held.name)
		look(OK) // to its hand, since that is registered
		if got := b.list(held); len(got) != 1 {
			b.Errorf("held: %v", got)
		}
		b.s.rdb.Del(b.ctx(), held.name, b.s.keys.incarnations().name)
		look(OK) // to the queue: nobody's death would give it back
		b.wantCode(b.finish(a, j, false).Code, Stale)
		if got := b.list(queue); len(got) != 1 {
			b.Errorf("the queue has %v", got)
		}
		if _, err := b.s.Daemon(9).Adrift(b.ctx(), "sh", "j1", 0); !errors.Is(err, ErrNoEpoch) {
			b.Error(err)
		}
	},
	"forget is for a voided copy, and for the job as it was": func(b *bed) {
		b.job("j1", 1)
		if code, _, err := b.s.Forget(b.ctx(), "sh", []Forgotten{{ID: "j1", Type: "sh", Sequence: 1}}); err != nil || code != Kept {
			b.Errorf("in an epoch: %s %v", code, err)
		}
		b.job("done", 2)
		a := b.actor("p_1", "i1")
		b.run(a, "j1", true)
		b.wantCode(must[Code](b)(b.d.Void(b.ctx())), OK)
		code, n, err := b.s.Forget(b.ctx(), "sh", []Forgotten{{ID: "j1", Sequence: 1}, {ID: "done", Sequence: 3}, {ID: "nobody", Sequence: 4}})
		if err != nil || code != OK || n != 0 {
			b.Errorf("%s %d %v", code, n, err)
		}
		b.wantStatus("j1", StatusFinished, "")
		b.wantStatus("done", StatusDispatched, "")
	},
	"forget of what is dead no more": func(b *bed) {
		for i, id := range []string{"dead", "runs"} {
			b.job(id, uint64(i+1))
			b.take(b.actor("p_1", "i"+id))
			if id == "dead" {
				must[Recovered](b)(b.d.Recover(b.ctx(), "idead", false, 1))
			}
		}
		b.accept(needing("holds", 3, "dead:hold"))
		b.wantCode(must[Code](b)(b.d.Void(b.ctx())), OK)
		for what, j := range map[string]Forgotten{"of another message": {ID: "dead", Sequence: 9, Over: true}, "settled": {ID: "dead", Sequence: 1}, "it runs": {ID: "runs", Sequence: 2, Over: true}} {
			if code, n, err := b.s.Forget(b.ctx(), "sh", []Forgotten{j}); err != nil || code != OK || n != 0 {
				b.Errorf("%s: %s %d %v", what, code, n, err)
			}
		}
		if code, n, err := b.s.Forget(b.ctx(), "sh", []Forgotten{{ID: "dead", Sequence: 1, Over: true}}); err != nil || code != OK || n != 1 {
			b.Errorf("%s %d %v", code, n, err)
		}
		if b.exists(b.s.keys.job("dead")) || b.exists(b.s.keys.dead()) || b.exists(b.s.keys.reply("dead")) {
			b.Error("something of it is left")
		}
		b.wantStatus("holds", StatusDispatched, "")
		b.wantStatus("runs", StatusStarted, "")
	},
	"forget of what was in no log": func(b *bed) {
		for _, id := range []string{"dead", "runs"} {
			b.job(id, 0)
			b.take(b.actor("p_1", "i"+id))
		}
		must[Recovered](b)(b.d.Recover(b.ctx(), "idead", false, 1))
		b.wantCode(must[Code](b)(b.d.Void(b.ctx())), OK)
		gone := []Forgotten{{ID: "dead", Over: true}, {ID: "runs", Dead: true}}
		for i, want := range []int{1, 1} { // its end is to be read first
			if code, n, err := b.s.Forget(b.ctx(), "sh", gone); err != nil || code != OK || n != want {
				b.Errorf("%s %d %v", code, n, err)
			}
			if b.exists(b.s.keys.job("runs")) || b.exists(b.s.keys.held("iruns")) || b.exists(b.s.keys.job("dead")) != (i == 0) {
				b.Errorf("what is left after %d", i+1)
			}
			b.s.rdb.Del(b.ctx(), b.s.keys.ended().name)
		}
	},
	"forget leaves nothing, wherever the job waits": func(b *bed) {
		in := func(id string, seq uint64, more func(*Submission)) {
			s := Submission{ID: id, Type: "sh", Script: "echo", Sequence: seq}
			more(&s)
			b.accept(s)
		}
		in("held", 1, func(*Submission) {})
		b.take(b.actor("p_1", "i1"))
		in("queued", 2, func(s *Submission) { s.StartBy = time.Now().Add(time.Hour) })
		in("level", 3, func(s *Submission) { s.Priority = 3 })
		in("delayed", 4, func(s *Submission) { s.Due = time.Now().Add(time.Hour) })
		in("first", 5, func(*Submission) {})
		b.accept(needing("waits", 6, "first:hold"), needing("released", 7, "queued:fail", "level:hold"), needing("holds", 8, "first:hold"))
		b.accept(level("stays", 9, 0))
		b.wantCode(must[Code](b)(b.d.Void(b.ctx())), OK)
		var gone []Forgotten
		for i, id := range []string{"held", "queued", "level", "delayed", "first", "waits"} {
			gone = append(gone, Forgotten{ID: id, Sequence: uint64(i + 1), Dead: id == "first"})
		}
		if code, n, err := b.s.Forget(b.ctx(), "sh", gone); err != nil || code != OK || n != len(gone) {
			b.Fatalf("%s %d %v", code, n, err)
		}
		for _, j := range gone {
			if b.exists(b.s.keys.job(j.ID)) || b.exists(b.s.keys.need(j.ID)) {
				b.Errorf("something of %s is left", j.ID)
			}
		}
		for _, k := range []key{b.s.keys.held("i1"), b.s.keys.prio("sh"), b.s.keys.delayed("sh"), b.s.keys.startby("sh")} {
			if b.exists(k) {
				b.Errorf("%s is left", k.name)
			}
		}
		if got := b.list(b.s.keys.queue("sh")); !slices.Equal(got, []string{"released", "stays"}) {
			b.Errorf("queue: %v", got)
		}
		b.wantStatus("holds", StatusWaiting, "") // for the dead one, which comes back from the bucket
		if got := must[[]string](b)(b.s.rdb.ZRange(b.ctx(), b.s.keys.unlocks("first").name, 0, -1).Result()); len(got) != 1 || !strings.HasSuffix(got[0], " holds") {
			b.Errorf("for first wait %v", got)
		}
	},
	"forget finds it in a long queue": func(b *bed) {
		var all []Submission
		for i := range 1100 {
			all = append(all, level(fmt.Sprint("q", i), uint64(i+1), 0))
		}
		for some := range slices.Chunk(all, 50) {
			b.accept(some...)
		}
		b.wantCode(must[Code](b)(b.d.Void(b.ctx())), OK)
		if code, n, err := b.s.Forget(b.ctx(), "sh", []Forgotten{{ID: "q0", Sequence: 1}, {ID: "q5", Sequence: 6}}); err != nil || code != OK || n != 2 {
			b.Fatalf("%s %d %v", code, n, err)
		}
		got := b.list(b.s.keys.queue("sh"))
		if len(got) != 1098 || slices.Contains(got, "q0") || slices.Contains(got, "q5") {
			b.Errorf("%d are queued", len(got))
		}
	},
	"void is the present epoch's": func(b *bed) {
		if err := b.s.Vouch(b.ctx(), "run1"); err != nil {
			b.Error(err)
		}
		b.wantCode(must[Code](b)(b.s.Daemon(9).Void(b.ctx())), Gone)
		if ok, _, err := b.s.Bare().Vouched(b.ctx()); err != nil || ok != (b.srv.mini != nil) {
			b.Errorf("vouched: %v %v", ok, err) // by another run id; miniredis tells none
		}
		b.wantCode(must[Code](b)(b.d.Void(b.ctx())), OK)
		b.s.rdb.Del(b.ctx(), b.s.keys.vouched().name)
		if _, err := b.d.Ring(b.ctx(), "p_1"); !errors.Is(err, ErrNoEpoch) {
			b.Errorf("a script of a voided epoch: %v", err)
		}
	},
	"epoch goes up only": func(b *bed) {
		for _, c := range []struct {
			to   uint64
			code Code
			have uint64
		}{{1, Same, 1}, {9, OK, 9}, {10, OK, 10}, {9, Higher, 10}, {10, Same, 10}, {1 << 63, OK, 1 << 63}} {
			code, have, err := b.s.RaiseEpoch(b.ctx(), c.to)
			if code != c.code || have != c.have || err != nil {
				b.Errorf("raise to %d: %s %d %v", c.to, code, have, err)
			}
		}
		if e := must[uint64](b)(b.s.Epoch(b.ctx())); e != 1<<63 {
			b.Error(e)
		}
		if _, _, err := b.s.RaiseEpoch(b.ctx(), 0); err == nil {
			b.Error("0 accepted")
		}
	},
	"owner is one state": func(b *bed) {
		o := must[Owner](b)(b.s.TakeOwner(b.ctx(), "state1", time.Hour))
		if o.Code != OK || o.StateID != "state1" {
			b.Errorf("%+v", o)
		}
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state1", time.Hour)).Code, OK)
		o = must[Owner](b)(b.s.TakeOwner(b.ctx(), "state2", time.Hour))
		if o.Code != Other || o.StateID != "state1" || o.For < 59*time.Minute {
			b.Errorf("%+v", o)
		}
		if err := b.s.ReleaseOwner(b.ctx(), "state2"); err != nil {
			b.Error(err)
		}
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state2", time.Hour)).Code, Other)
		if err := b.s.ReleaseOwner(b.ctx(), "state1"); err != nil {
			b.Error(err)
		}
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state2", time.Hour)).Code, OK)
		b.s.rdb.Set(b.ctx(), "hero:owner", "state2 1000", 0) // ran out long ago
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state1", time.Hour)).Code, OK)
		b.s.rdb.Set(b.ctx(), "hero:owner", "what is this", 0)
		b.wantCode(must[Owner](b)(b.s.TakeOwner(b.ctx(), "state1", time.Hour)).Code, OK)
	},
	"another epoch is served nothing and changes nothing": func(b *bed) {
		a := b.actor("p_1", "i1")
		b.job("j1", 1)
		j := b.take(a)
		for _, have := range []string{"2", ""} {
			if b.s.rdb.Del(b.ctx(), "hero:epoch"); have != "" {
				b.s.rdb.Set(b.ctx(), "hero:epoch", have, 0)
			}
			before := snapshot(b)
			for what, err := range everyCall(b, a, j) {
				if !errors.Is(err, ErrNoEpoch) {
					b.Errorf("epoch %q, %s: %v", have, what, err)
				}
			}
			if d := cmp.Diff(before, snapshot(b)); d != "" {
				b.Errorf("epoch %q:\n%s", have, d)
			}
		}
	},
}

// everyCall makes each call that takes an epoch, with the one the actor and the bed's daemon have.
func everyCall(b *bed, a *Actor, j Claimed) map[string]error {
	out := map[string]error{}
	ctx := b.ctx()
	_, out["claim"] = a.Claim(ctx)
	_, _, out["assert"] = a.Assert(ctx, []InHand{{Claimed: j}})
	_, out["finish"] = a.Finish(ctx, j, Outcome{}, true)
	_, out["renew"] = a.Renew(ctx, j)
	_, out["group"] = a.RecordGroup(ctx, j, 42, 7)
	_, out["pong"] = a.Pong(ctx, "n1")
	_, out["accept"] = b.d.Accept(ctx, 0, []Submission{{ID: "new", Type: "sh", Script: "x", Sequence: 99}})
	_, out["adopt"] = b.d.Adopt(ctx, "sh", 0, 10)
	_, out["promote"] = b.d.Promote(ctx, "sh")
	_, out["close"] = b.d.CloseGate(ctx, "p_1")
	_, out["open"] = b.d.OpenGate(ctx, "p_1")
	_, out["ping"] = b.d.Ping(ctx, "p_1", "n1")
	_, out["ring"] = b.d.Ring(ctx, "p_1")
	_, out["remove"] = b.d.Remove(ctx, "j1", 1)
	_, out["restore"] = b.d.Restore(ctx, Restoration{Type: "sh", ID: "j1", Fields: map[string]string{"status": "error"}, At: time.Now()})
	_, out["recover"] = b.d.Recover(ctx, "i1", false, 3)
	_, out["recover of an unknown"] = b.d.Recover(ctx, "i77", false, 3)
	_, out["cancel"] = b.d.Cancel(ctx, "j1")
	_, out["results"] = b.d.ForgetResults(ctx)
	_, out["settle"] = b.d.Settle(ctx, nil)
	_, out["depths"] = b.d.Depths(ctx, []string{"sh"})
	k := b.s.keys // Hello reads the epoch itself: the script by hand
	_, out["hello"] = b.s.run(ctx, "hello",
		[]key{k.epoch(), k.facts(), k.actor("p_9"), k.wake("p_9"), k.held("i9"), k.idle("sh"), k.incarnations(), k.types(), k.lease("sh")},
		"1", "sh", "p_9", "i9", "1")
	return out
}

// snapshot is all that Redis holds, as text.
func snapshot(b *bed) map[string]string {
	b.Helper()
	out := map[string]string{}
	rdb, ctx := b.s.rdb, b.ctx()
	for _, name := range must[[]string](b)(rdb.Keys(ctx, "*").Result()) {
		var v any
		var err error
		switch kind := rdb.Type(ctx, name).Val(); kind {
		case "hash":
			v, err = rdb.HGetAll(ctx, name).Result()
		case "list":
			v, err = rdb.LRange(ctx, name, 0, -1).Result()
		case "zset":
			v, err = rdb.ZRangeWithScores(ctx, name, 0, -1).Result()
		case "set":
			v, err = rdb.SMembers(ctx, name).Result()
		case "string":
			v, err = rdb.Get(ctx, name).Result()
		case "stream":
			v, err = rdb.XRange(ctx, name, "-", "+").Result()
		default:
			b.Fatalf("%s is a %s", name, kind)
		}
		if err != nil {
			b.Fatal(err)
		}
		out[name] = fmt.Sprint(v)
	}
	return out
}
