package actor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"herosup/dispatch/store"
)

// tally is a handler that counts, and keeps the order.
type tally struct {
	mu    sync.Mutex
	ran   map[string]int
	order []string
}

func (y *tally) handle(ctx context.Context, j Job) Outcome {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.ran == nil {
		y.ran = map[string]int{}
	}
	y.ran[j.ID]++
	y.order = append(y.order, j.ID)
	return echo(ctx, j)
}

// unruly answers calls of which two are under way at a time as a network may: the first after the second, not at all after it
// took effect, or not at all.
type unruly struct {
	side
	mu     sync.Mutex
	rand   *rand.Rand
	held   chan struct{} // of an answer that waits for the other's
	pairs  int           // how often two were under way
	flying int
}

func (u *unruly) Exchange(ctx context.Context, ended []store.Ended, known, want int) (store.ExchangeResult, error) {
	u.mu.Lock()
	fault := u.rand.IntN(8)
	u.flying++
	if u.flying == 2 {
		u.pairs++
	}
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.flying--
		if u.held != nil {
			close(u.held)
			u.held = nil
		}
	}()
	if fault == 0 {
		return store.ExchangeResult{}, errLost
	}
	res, err := u.side.Exchange(ctx, ended, known, want)
	switch fault {
	case 1:
		return store.ExchangeResult{}, errLost
	case 2, 3:
		u.mu.Lock()
		var other chan struct{}
		if u.held == nil && u.flying == 2 {
			other = make(chan struct{})
			u.held = other
		}
		u.mu.Unlock()
		if other != nil {
			<-other
		}
	}
	return res, err
}

// Two calls under way, their answers in any order, lost, or never sent: each job runs once and ends once, never more at a time
// than there are slots, and the actor is idle after that: the next job is handed to it.
func TestPairedCalls(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		for _, slots := range []int{8, 10, 33} {
			t.Run(fmt.Sprint(slots), func(t *testing.T) {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				b := newBed(t, srv)
				b.flush()
				b.raise(1)
				var ids []string
				for i := range 300 {
					ids = append(ids, b.script(fmt.Sprint(i)))
				}
				var y tally
				u := &unruly{rand: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // a test's
				a := b.start("p_1", y.handle, func(c *Config) { c.Concurrency = slots }, func(s side) side { u.side = s; return u })
				for _, id := range ids {
					if r := b.ended(id); r.Attempts != 1 || r.Status != store.StatusFinished {
						t.Errorf("got %+v", r)
					}
				}
				c := b.client()
				for over := soonest(); c.ZCard(t.Context(), "hero:idle:t").Val() == 0; {
					if over() {
						t.Fatal("it does not stand among the idle")
					}
				}
				b.ended(b.script("one more"))
				if err := a.end(b); err != nil {
					t.Error(err)
				}
				for id, n := range y.ran {
					if n != 1 {
						t.Errorf("%s ran %d times", id, n)
					}
				}
				if n := b.count(store.FactEnded); n != 301 {
					t.Errorf("%d ends", n)
				}
				if u.pairs == 0 {
					t.Error("there were never two calls under way")
				}
			})
		}
	})
}

// Redis is emptied while two calls are under way: what had not ended is given again by the log and runs, and nothing is in two
// hands.
func TestPairedCallsAndAFlush(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		var y tally
		reached, end := make(chan struct{}), make(chan struct{})
		handle := func(ctx context.Context, j Job) Outcome {
			if j.Script == "stop here" {
				close(reached)
				<-end
			}
			return y.handle(ctx, j)
		}
		var ids []string
		for i := range 100 {
			script := "x"
			if i == 50 {
				script = "stop here"
			}
			ids = append(ids, b.script(script))
		}
		a := b.start("p_1", handle, func(c *Config) { c.Concurrency = 10 }, nil)
		recv(t, reached)
		b.flush()
		b.raise(2)
		b.hello("p_1")
		close(end)
		for i, id := range ids {
			script := "x"
			if i == 50 {
				script = "stop here"
			}
			b.accept(store.Submission{ID: id, Script: script})
		}
		for _, id := range ids {
			b.ended(id)
		}
		if err := a.end(b); err != nil {
			t.Error(err)
		}
		if n := y.ran[ids[50]]; n != 1 { // it was in hand all the time
			t.Errorf("the job that was running ran %d times", n)
		}
	})
}

// surprised gets once, behind its back, jobs into its hand, as by a call that was carried out after it had been
// given up.
type surprised struct {
	side
	b      *bed
	mu     sync.Mutex
	calls  int
	unseen []string
	done   chan struct{}
}

func (r *surprised) Exchange(ctx context.Context, ended []store.Ended, known, want int) (store.ExchangeResult, error) {
	res, err := r.side.Exchange(ctx, ended, known, want)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls++; r.calls != 20 {
		return res, err
	}
	defer close(r.done)
	other, err2 := r.b.s.Actor("p_1", "t", res.Jobs[0].Token.Incarnation)
	if err2 != nil || other.SetSlots(13) != nil {
		return res, err2
	}
	if _, err := other.Hello(ctx); err != nil {
		return res, err
	}
	more, err2 := other.Exchange(ctx, nil, store.Listening, 3)
	for _, j := range more.Jobs {
		r.unseen = append(r.unseen, j.ID)
	}
	return res, errors.Join(err, err2)
}

// What is in the hand and not known of is found in the middle of a backlog, not at its end.
func TestPairedCallsAndAnUnknownJob(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		var ids []string
		for i := range 1500 {
			ids = append(ids, b.script(fmt.Sprint(i)))
		}
		var y tally
		r := &surprised{b: b, done: make(chan struct{})}
		a := b.start("p_1", y.handle, func(c *Config) { c.Concurrency = 10 }, func(s side) side { r.side = s; return r })
		recv(t, r.done)
		for _, id := range ids {
			if r := b.ended(id); r.Attempts != 1 {
				t.Errorf("got %+v", r)
			}
		}
		if err := a.end(b); err != nil {
			t.Error(err)
		}
		if len(r.unseen) != 3 {
			t.Fatalf("behind its back came %v", r.unseen)
		}
		for _, id := range r.unseen {
			if at := slices.Index(y.order, id); y.ran[id] != 1 || at > len(ids)/2 {
				t.Errorf("%s ran %d times, as number %d of %d", id, y.ran[id], at, len(ids))
			}
		}
	})
}

// An answer of a pair may be older than a ring that was heard before it: the ring is not forgotten.
func TestAnOldAnswerForgetsNoRing(t *testing.T) {
	t.Parallel()
	for _, code := range []store.Code{store.Closed, store.Idle, store.GotJob} {
		c := &call{}
		l := loop{calls: []*call{c}, ask: true}
		l.replied(reply{c, store.ExchangeResult{Code: code}, nil})
		if !l.ask || len(l.calls) != 0 {
			t.Errorf("%s: ask %v, %d under way", code, l.ask, len(l.calls))
		}
	}
}
