package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// blocked waits until a client is blocked in Redis. Real Redis tells; miniredis does not, there a
// wait that begins late sees the same end.
func blocked(b *bed, n int) {
	b.Helper()
	if b.srv.mini != nil {
		return
	}
	for range 10_000 {
		text := must[string](b)(b.s.rdb.Info(b.ctx(), "clients").Result())
		if strings.Contains(text, fmt.Sprint("blocked_clients:", n, "\r\n")) {
			return
		}
	}
	b.Fatal("nobody blocks")
}

func TestWaits(t *testing.T) {
	t.Parallel()
	eachBed(t, map[string]func(b *bed){
		"a wake list ends a wait": func(b *bed) {
			a := b.actor("p_1", "i1")
			b.wantCode(b.claim(a).Code, Idle)
			got := make(chan Wake, 1)
			go func() { w, _ := a.WaitWake(b.ctx(), time.Minute); got <- w }()
			blocked(b, 1)
			b.job("j1", 1)
			if w := <-got; w.Kind != WakeJob || w.Job.ID != "j1" {
				b.Errorf("%+v", w)
			}
		},
		"time ends a wait": func(b *bed) {
			a := b.actor("p_1", "i1")
			if w := must[Wake](b)(a.WaitWake(b.ctx(), 20*time.Millisecond)); w.Kind != WakeNone {
				b.Errorf("%+v", w)
			}
			if w := must[Wake](b)(a.WaitWake(b.ctx(), time.Second)); w.Kind != WakeNone {
				b.Errorf("%+v", w)
			}
			batch := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), must[string](b)(b.s.LastFact(b.ctx())), 20*time.Millisecond))
			if len(batch.Facts) > 0 || batch.Lost {
				b.Errorf("%+v", batch)
			}
		},
		// nats.md 11: go-redis alone would sit out the whole blocking time.
		"a cancel ends every wait at once, with its cause": func(b *bed) {
			a := b.actor("p_1", "i1")
			why := errors.New("enough")
			last := must[string](b)(b.s.LastFact(b.ctx()))
			for what, wait := range map[string]func(context.Context) error{
				"wake":    func(ctx context.Context) error { _, err := a.WaitWake(ctx, time.Hour); return err },
				"facts":   func(ctx context.Context) error { _, err := b.s.ReadFacts(ctx, last, time.Hour); return err },
				"foreign": func(ctx context.Context) error { _, err := b.s.WatchForeign(ctx, "sh", time.Hour); return err },
			} {
				ctx, cancel := context.WithCancelCause(b.ctx())
				got := make(chan error, 1)
				go func() { got <- wait(ctx) }()
				blocked(b, 1)
				from := time.Now()
				cancel(why)
				if err := <-got; !errors.Is(err, why) {
					b.Errorf("%s: %v", what, err)
				}
				if took := time.Since(from); took > soon {
					b.Errorf("%s: took %v", what, took)
				}
				if err := wait(ctx); !errors.Is(err, why) {
					b.Errorf("%s after its end: %v", what, err)
				}
				blocked(b, 0)
			}
			// And the next waits are well.
			if w := must[Wake](b)(a.WaitWake(b.ctx(), 10*time.Millisecond)); w.Kind != WakeNone {
				b.Errorf("%+v", w)
			}
		},
		"a deadline ends a wait": func(b *bed) {
			a := b.actor("p_1", "i1")
			ctx, cancel := context.WithTimeout(b.ctx(), 30*time.Millisecond)
			defer cancel()
			if _, err := a.WaitWake(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrAway) {
				b.Error(err)
			}
		},
		"Close ends every wait": func(b *bed) {
			s := b.srv.open(b.T)
			a := must[*Actor](b)(s.Actor("p_1", "sh", "i1"))
			got := make(chan error, 1)
			go func() { _, err := a.WaitWake(b.ctx(), time.Hour); got <- err }()
			blocked(b, 1)
			if err := s.Close(); err != nil {
				b.Error(err)
			}
			if err := <-got; !errors.Is(err, ErrAway) {
				b.Error(err)
			}
			if _, err := a.WaitWake(b.ctx(), time.Hour); !errors.Is(err, ErrAway) {
				b.Error(err)
			}
			if _, err := a.Claim(b.ctx()); !errors.Is(err, ErrAway) {
				b.Error(err)
			}
		},
		"blocked waits do not starve others": func(b *bed) {
			ctx, cancel := context.WithCancel(b.ctx())
			n := 4 * poolSize
			done := make(chan error, n)
			for i := range n {
				a := must[*Actor](b)(b.s.Actor(fmt.Sprint("p_", i), "sh", "i1"))
				go func() { _, err := a.WaitWake(ctx, time.Hour); done <- err }()
			}
			blocked(b, n)
			b.job("j1", 1)
			cancel()
			for range n {
				if err := <-done; !errors.Is(err, context.Canceled) {
					b.Error(err)
				}
			}
		},
		"a foreign push ends the watch and stays where it is": func(b *bed) {
			got := make(chan bool, 1)
			go func() { ok, _ := b.s.WatchForeign(b.ctx(), "sh", time.Minute); got <- ok }()
			blocked(b, 1)
			b.push("f1", "script", "x")
			if !<-got {
				b.Error("not seen")
			}
			if q := b.list(b.s.keys.queue("sh")); !slices.Equal(q, []string{"f1"}) {
				b.Error(q)
			}
			if ok := must[bool](b)(b.s.WatchForeign(b.ctx(), "py", time.Second)); ok {
				b.Error("an empty queue was seen full")
			}
		},
	})
}

func TestFacts(t *testing.T) {
	t.Parallel()
	eachBed(t, map[string]func(b *bed){
		"a reader goes on where it was": func(b *bed) {
			last := must[string](b)(b.s.LastFact(b.ctx()))
			if last != noFact {
				b.Error(last)
			}
			got := make(chan FactBatch, 1)
			go func() { f, _ := b.s.ReadFacts(b.ctx(), last, time.Minute); got <- f }()
			blocked(b, 1)
			b.actor("p_1", "i1")
			first := <-got
			if len(first.Facts) != 1 || first.Lost || first.Facts[0].Kind != FactHello || time.Since(first.Facts[0].At) > time.Minute {
				b.Errorf("%+v", first)
			}
			b.actor("p_2", "i2")
			second := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), first.Last, 0))
			if len(second.Facts) != 1 || second.Lost || second.Facts[0].Actor != "p_2" {
				b.Errorf("%+v", second)
			}
			if l := must[string](b)(b.s.LastFact(b.ctx())); l != second.Last {
				b.Errorf("last %s, want %s", l, second.Last)
			}
		},
		"what an old copy has was read": func(b *bed) {
			for i := range 3 {
				b.actor(fmt.Sprint("p_", i), fmt.Sprint("i", i))
			}
			read := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), noFact, 0))
			b.s.rdb.XDel(b.ctx(), "hero:facts", read.Last)
			if f := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), read.Last, time.Minute)); !f.Lost || len(f.Facts) != 0 {
				b.Errorf("%+v", f)
			} else if f = must[FactBatch](b)(b.s.ReadFacts(b.ctx(), f.Last, 0)); f.Lost || len(f.Facts) != 0 {
				b.Errorf("read again: %+v", f)
			} else {
				b.actor("p_9", "i9")
				if f = must[FactBatch](b)(b.s.ReadFacts(b.ctx(), f.Last, 0)); f.Lost || len(f.Facts) != 1 || f.Facts[0].Actor != "p_9" {
					b.Errorf("what came behind it: %+v", f)
				}
			}
			b.s.rdb.Del(b.ctx(), "hero:facts")
			if f := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), read.Last, 0)); !f.Lost || f.Last != noFact {
				b.Errorf("emptied: %+v", f)
			}
		},
		"a reader that fell behind is told": func(b *bed) {
			b.actor("p_1", "i1")
			last := must[string](b)(b.s.LastFact(b.ctx()))
			b.actor("p_2", "i2")
			b.actor("p_3", "i3")
			b.s.rdb.XTrimMaxLen(b.ctx(), "hero:facts", 1)
			f := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), last, time.Minute))
			if !f.Lost || len(f.Facts) != 1 {
				b.Errorf("%+v", f)
			}
			if f := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), f.Last, 0)); f.Lost || len(f.Facts) > 0 {
				b.Errorf("%+v", f)
			}
		},
		"a flush is told once": func(b *bed) {
			b.actor("p_1", "i1")
			last := must[string](b)(b.s.LastFact(b.ctx()))
			b.s.rdb.FlushAll(b.ctx())
			f := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), last, time.Minute))
			if !f.Lost || len(f.Facts) > 0 {
				b.Errorf("%+v", f)
			}
			if f := must[FactBatch](b)(b.s.ReadFacts(b.ctx(), f.Last, 0)); f.Lost {
				b.Errorf("%+v", f)
			}
		},
		"the stream is capped": func(b *bed) {
			for range 11 {
				p := b.s.rdb.Pipeline()
				for range 1000 {
					p.XAdd(b.ctx(), &redis.XAddArgs{Stream: "hero:facts", Values: []string{"kind", "x"}})
				}
				if _, err := p.Exec(b.ctx()); err != nil {
					b.Fatal(err)
				}
			}
			b.actor("p_1", "i1")
			if n := b.s.rdb.XLen(b.ctx(), "hero:facts").Val(); n > 10_200 {
				b.Errorf("%d facts", n)
			}
		},
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	eachBed(t, map[string]func(b *bed){
		"a key of another type is named": func(b *bed) {
			a := b.actor("p_1", "i1")
			b.s.rdb.Set(b.ctx(), "hero:q:work:type:sh", "mine", 0)
			_, err := a.Claim(b.ctx())
			refused, ok := errors.AsType[*RefusedError](err)
			if !ok || refused.Kind != "WRONGTYPE" || refused.Key != "hero:q:work:type:sh: a string, want a list" || refused.Hint == "" {
				b.Errorf("%v", err)
			}
			_, err = b.d.Accept(b.ctx(), 0, []Submission{{ID: "j1", Type: "sh", Script: "x"}})
			if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Key == "" {
				b.Errorf("%v", err)
			}
			b.s.rdb.Del(b.ctx(), "hero:epoch")
			b.s.rdb.LPush(b.ctx(), "hero:epoch", "x")
			_, err = b.s.Epoch(b.ctx())
			if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Key == "" {
				b.Errorf("%v", err)
			}
			b.s.rdb.Del(b.ctx(), "hero:epoch")
			b.s.rdb.Set(b.ctx(), "hero:epoch", "soon", 0)
			if _, err = b.s.Epoch(b.ctx()); err == nil {
				b.Error("read as an epoch")
			}
		},
		"a context's end is not Redis' absence": func(b *bed) {
			why := errors.New("enough")
			ctx, cancel := context.WithCancelCause(b.ctx())
			cancel(why)
			if _, err := b.s.Epoch(ctx); !errors.Is(err, why) || errors.Is(err, ErrAway) {
				b.Error(err)
			}
		},
		"records": func(b *bed) {
			if _, err := b.s.Job(b.ctx(), "nope"); !errors.Is(err, ErrNoJob) {
				b.Error(err)
			}
			b.push("f1", "script", "x", "script_type", "Python", "status", "Dispatched", "timeout", "soon", "env_vars", "{", "token", "x", "ready_ms", "y", "sequence", "")
			r := b.record("f1")
			if r.Type != "python" || r.Status != StatusDispatched || r.Timeout != 0 || !r.Foreign {
				b.Errorf("%+v", r)
			}
			if _, err := r.Env(); err == nil {
				b.Error("half an object was read")
			}
			j := b.take(b.actor("p_1", "i1")) // what others wrote must not stop the script
			if j.Token.Attempt != 1 || j.Timeout != 0 {
				b.Errorf("%+v", j)
			}
			if _, err := j.Env(); err == nil {
				b.Error("half an object was read")
			}
		},
		// research/hero.md 2.1 and case 17: other keys begin like records.
		"jobs lists records only": func(b *bed) {
			b.s.rdb.LPush(b.ctx(), "hero:job:actor_queue:x", "y")
			var want []string
			for i := range 1200 {
				id := fmt.Sprintf("j%04d", i)
				want = append(want, id)
				b.s.rdb.HSet(b.ctx(), "hero:job:"+id, "id", id, "status", "dispatched", "script", "x")
			}
			var got []string
			for cursor, pages := uint64(0), 0; pages < 100; pages++ {
				page := must[JobsPage](b)(b.s.Jobs(b.ctx(), cursor))
				for _, r := range page.Jobs {
					got = append(got, r.ID)
				}
				if cursor = page.Next; cursor == 0 {
					break
				}
			}
			slices.Sort(got)
			if d := cmp.Diff(want, slices.Compact(got)); d != "" {
				b.Error(d)
			}
		},
		"waiting is in the order of service": func(b *bed) {
			for i := range 5 {
				b.job(fmt.Sprint("j", i), uint64(i+1))
			}
			b.push("nothing")
			var got []string
			for _, r := range must[[]Record](b)(b.s.Waiting(b.ctx(), "sh", 4)) {
				got = append(got, r.ID)
			}
			if !slices.Equal(got, []string{"j0", "j1", "j2", "j3"}) {
				b.Error(got)
			}
		},
		"the scripts lie in Redis": func(b *bed) {
			if err := b.s.PublishScripts(b.ctx()); err != nil {
				b.Fatal(err)
			}
			src := must[string](b)(b.s.rdb.HGet(b.ctx(), "hero:script:"+scriptsVersion, "ring").Result())
			// As a client in another language does it.
			v, err := b.s.rdb.Eval(b.ctx(), src, []string{"hero:epoch", "hero:actor:p_1", "hero:wake:p_1"}, "1").StringSlice()
			if err != nil || !slices.Equal(v, []string{"OK"}) {
				b.Error(v, err)
			}
		},
		"another prefix is another world": func(b *bed) {
			b.job("j1", 1)
			s := b.srv.open(b.T, func(o *Options) { o.Prefix, o.ClientName = "{other}", "herosup-test" })
			if _, _, err := s.RaiseEpoch(b.ctx(), 1); err != nil {
				b.Fatal(err)
			}
			a := must[*Actor](b)(s.Actor("p_1", "sh", "i1"))
			must[Hello](b)(a.Hello(b.ctx()))
			b.wantCode(must[ClaimResult](b)(a.Claim(b.ctx())).Code, Idle)
			must[[]Accepted](b)(s.Daemon(1).Accept(b.ctx(), 0, []Submission{{ID: "j9", Type: "sh", Script: "x"}}))
			if w := must[Wake](b)(a.WaitWake(b.ctx(), soon)); w.Job == nil || w.Job.ID != "j9" {
				b.Errorf("%+v", w)
			}
			for name := range snapshot(b) {
				if name[:5] != "hero:" && name[:8] != "{other}:" {
					b.Errorf("stray key %s", name)
				}
			}
			if r := b.record("j1"); r.Status != StatusDispatched {
				b.Errorf("%+v", r)
			}
		},
	})
}

func TestAway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	srv := &server{url: "redis://" + addr}
	s := srv.open(t)
	from := time.Now()
	if _, err := s.Epoch(t.Context()); !errors.Is(err, ErrAway) {
		t.Error(err)
	}
	if _, err := s.Daemon(1).Accept(t.Context(), 0, []Submission{{ID: "j", Type: "sh"}}); !errors.Is(err, ErrAway) {
		t.Error(err)
	}
	if _, err := s.WatchForeign(t.Context(), "sh", time.Hour); !errors.Is(err, ErrAway) {
		t.Error(err)
	}
	if _, err := s.CheckServer(t.Context()); !errors.Is(err, ErrAway) {
		t.Error(err)
	}
	if took := time.Since(from); took > soon {
		t.Errorf("took %v: somebody repeats behind our back", took)
	}
}

func TestOpenRefusesSettings(t *testing.T) {
	for what, o := range map[string]Options{
		"scheme": {URL: "http://x"}, "empty": {}, "prefix": {URL: "redis://x", Prefix: "a b"}, "braces": {URL: "redis://x", Prefix: "{}"},
		"lease": {URL: "redis://x", Lease: time.Millisecond}, "keep": {URL: "redis://x", Keep: -time.Hour},
	} {
		if _, err := Open(o, discard); err == nil {
			t.Errorf("%s: opened", what)
		}
	}
}
