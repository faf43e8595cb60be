package actor

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"herosup/dispatch/store"
)

// flight is one Exchange that a test lets go, and whose answer it lets come.
type flight struct {
	ended       []store.Ended
	res         store.ExchangeResult
	run, answer chan struct{}
	ran         chan struct{}
	lose        bool
}

// carry has Redis do it, and keeps the answer back.
func (f *flight) carry(t *testing.T) {
	t.Helper()
	close(f.run)
	recv(t, f.ran)
}

// held keeps exchanges back while it is told to, and lets a test stop the loop in a renewal.
type held struct {
	side
	mu      sync.Mutex
	hold    bool
	flights chan *flight
	renew   func()
}

func (h *held) keep(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = on
}

func (h *held) Exchange(ctx context.Context, ended []store.Ended, known, want int) (store.ExchangeResult, error) {
	h.mu.Lock()
	hold := h.hold
	h.mu.Unlock()
	if !hold {
		return h.side.Exchange(ctx, ended, known, want)
	}
	f := &flight{ended: ended, run: make(chan struct{}), answer: make(chan struct{}), ran: make(chan struct{})}
	h.flights <- f
	<-f.run
	res, err := h.side.Exchange(ctx, ended, known, want)
	f.res = res
	close(f.ran)
	<-f.answer
	if f.lose {
		return store.ExchangeResult{}, errLost
	}
	return res, err
}

func (h *held) Renew(ctx context.Context, jobs ...store.Claimed) ([]store.Code, error) {
	h.mu.Lock()
	f := h.renew
	h.renew = nil
	h.mu.Unlock()
	if f != nil {
		f()
	}
	return h.side.Renew(ctx, jobs...)
}

// works is a handler whose jobs run until the test lets them end.
type works struct {
	mu   sync.Mutex
	now  int
	let  chan struct{} // the first eight
	rest chan struct{}
	in   chan string
}

func (w *works) running() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *works) handle(ctx context.Context, j Job) Outcome {
	w.mu.Lock()
	w.now++
	w.mu.Unlock()
	w.in <- j.ID
	end := w.rest
	if j.Script == "first" {
		end = w.let
	}
	<-end
	w.mu.Lock()
	w.now--
	w.mu.Unlock()
	return echo(ctx, j)
}

// want waits until so many run.
func (w *works) want(t *testing.T, n int) {
	t.Helper()
	for over := soonest(); w.running() != n; <-time.After(time.Millisecond) {
		if over() {
			t.Fatalf("%d run, want %d", w.running(), n)
		}
	}
}

// pair is an actor of eight slots whose eight jobs have ended, told in two calls that are not carried out yet; second tells
// of the job first-8. Calls after these are not kept back.
type pair struct {
	b             *bed
	a             running
	w             *works
	h             *held
	first, second *flight
}

func newPair(t *testing.T, srv server) *pair {
	t.Helper()
	p := &pair{
		b: newBed(t, srv), h: &held{flights: make(chan *flight, 100)},
		w: &works{let: make(chan struct{}), rest: make(chan struct{}), in: make(chan string, 1000)},
	}
	for i := 1; i <= 8; i++ {
		p.b.accept(store.Submission{ID: fmt.Sprint("first-", i), Script: "first"})
	}
	p.a = p.b.start("p_1", p.w.handle, func(c *Config) { c.Concurrency, c.Lease = 8, 300*time.Millisecond }, func(s side) side { p.h.side = s; return p.h })
	t.Cleanup(sync.OnceFunc(func() { close(p.w.rest) }))
	for range 8 {
		recv(t, p.w.in)
	}
	renewing, on := make(chan struct{}), make(chan struct{})
	p.h.mu.Lock()
	p.h.hold, p.h.renew = true, func() { close(renewing); <-on }
	p.h.mu.Unlock()
	recv(t, renewing)
	close(p.w.let)
	p.w.want(t, 0)
	close(on)
	p.first, p.second = recv(t, p.h.flights), recv(t, p.h.flights)
	p.h.keep(false)
	for _, e := range p.first.ended {
		if e.Job.ID == "first-8" {
			p.first, p.second = p.second, p.first
			break
		}
	}
	return p
}

// The first of two calls finds nothing, and the second's own ends release more than it asked for: all slots are filled, in
// whichever order the answers are heard.
func TestHalfAnAnswerLeavesNoSlotEmpty(t *testing.T) {
	for _, swapped := range []bool{false, true} {
		t.Run(fmt.Sprint("swapped=", swapped), func(t *testing.T) {
			p := newPair(t, realServer(t))
			for i := range 20 {
				p.b.accept(store.Submission{ID: fmt.Sprint("next-", i), Script: "x", Prerequisites: []store.Prerequisite{{ID: "first-8", Rule: store.RuleFail}}})
			}
			p.first.carry(t)
			p.second.carry(t)
			if p.first.res.Code != store.Idle || p.second.res.Code != store.GotJob {
				t.Fatalf("%s, %s", p.first.res.Code, p.second.res.Code)
			}
			if swapped {
				close(p.second.answer)
				for range p.second.res.Jobs {
					recv(t, p.w.in)
				}
				close(p.first.answer)
			} else {
				close(p.first.answer)
				close(p.second.answer)
			}
			p.w.want(t, 8)
		})
	}
}

// What one of two calls brings begins, though the other is lost and Redis does not answer what follows.
func TestWhatCameBeginsWhileRedisIsAway(t *testing.T) {
	p := newPair(t, realServer(t))
	for i := range 4 {
		p.b.accept(store.Submission{ID: fmt.Sprint("next-", i), Script: "x"})
	}
	p.second.carry(t)
	p.h.keep(true)
	p.first.carry(t)
	p.first.lose = true
	close(p.first.answer)
	<-time.After(20 * time.Millisecond) // most likely the loop waits for the second by then, to make a call alone
	close(p.second.answer)
	away := recv(t, p.h.flights)
	p.w.want(t, 4)
	p.h.keep(false)
	close(away.run)
	close(away.answer)
}

// An actor that stops stands among the idle no more, in whatever order it heard of that.
func TestAStoppingActorIsNotIdle(t *testing.T) {
	p := newPair(t, realServer(t))
	for i := range 4 {
		p.b.accept(store.Submission{ID: fmt.Sprint("next-", i), Script: "x"})
	}
	p.first.carry(t)
	p.second.carry(t)
	if p.first.res.Code != store.GotJob || p.second.res.Code != store.Idle {
		t.Fatalf("%s, %s", p.first.res.Code, p.second.res.Code)
	}
	close(p.second.answer)
	close(p.first.answer)
	p.w.want(t, 4)
	p.a.stop()
	c := p.b.client()
	for over := soonest(); c.ZCard(t.Context(), "hero:idle:t").Val() > 0; {
		if over() {
			t.Fatal("it is handed jobs still")
		}
	}
}

// More slots than one call gives jobs for are filled at once.
func TestMoreSlotsThanACallGives(t *testing.T) {
	b := newBed(t, realServer(t))
	w := &works{rest: make(chan struct{}), in: make(chan string, 1000)}
	defer close(w.rest)
	for range 250 {
		b.script("x")
	}
	b.start("p_1", w.handle, func(c *Config) { c.Concurrency = 220 }, nil)
	w.want(t, 220)
}

// A cancel that was heard before the answer that brings its job is asked for when that is there.
func TestACancelBeforeItsJob(t *testing.T) {
	t.Parallel()
	c := &call{}
	l := loop{calls: []*call{c}, wake: newListener(), renewed: time.Now()}
	l.wake.end = func() {}
	job := store.Claimed{ID: "j1"}
	if err := l.woken(heard{wake: store.Wake{Kind: store.WakeCancel, Job: &job}}); err != nil {
		t.Fatal(err)
	}
	l.replied(reply{c, store.ExchangeResult{Code: store.Idle}, nil})
	if !l.renewed.IsZero() {
		t.Error("it waits for the next third of the lease")
	}
}

// Ends that are still to be told count as known to Redis' check, and may hide what a lost answer gave.
func TestTheCheckIsRepeatedUntilAllIsTold(t *testing.T) {
	t.Parallel()
	l := loop{recall: true, results: make([]store.Ended, 3)}
	for left := 2; left >= 0; left-- {
		if err := l.answered(l.results[:1], 0, store.ExchangeResult{Code: store.NotWanted, Told: []store.Code{store.OK}}); err != nil {
			t.Fatal(err)
		}
		if l.recall != (left > 0) {
			t.Errorf("%d left to be told: %v", left, l.recall)
		}
	}
}
