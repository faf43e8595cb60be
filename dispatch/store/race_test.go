package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Eight actors work off 2,000 jobs while their incarnations are recovered under them as if they had died,
// their gates go, and some answers are "lost" and asked for again. Every job ends once; every finish
// that counted was by the token of its time.
func TestRace(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, srv *server) {
		jobs := map[string]int{"real": 2000, "mini": 200}[srv.name]
		raceOnce(newBed(t, srv), 8, jobs)
	})
}

func raceOnce(b *bed, actors, jobs int) {
	ctx, stop := context.WithTimeout(b.ctx(), 2*time.Minute)
	defer stop()
	var ended atomic.Int64 // finishes that were the first of their job
	var lives atomic.Int64
	ends := make([]atomic.Int64, jobs)
	var wg, submitter sync.WaitGroup
	submitter.Go(func() {
		for i := 0; i < jobs; i += 50 {
			var batch []Submission
			for j := i; j < i+50; j++ {
				batch = append(batch, Submission{ID: fmt.Sprint("j", j), Type: "sh", Script: "x", Sequence: uint64(j + 1)})
			}
			err := repeat(ctx, func() error { _, err := b.d.Accept(ctx, uint64(i), batch); return err })
			if err != nil {
				b.Error(err)
			}
		}
	})
	work, done := context.WithCancel(ctx)
	for n := range actors {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			w := &racer{bed: b, rnd: r, name: fmt.Sprint("p_", n), lives: &lives, ended: &ended, ends: ends}
			if err := w.run(work); err != nil && !errors.Is(err, context.Canceled) {
				b.Error(err)
			}
		})
	}
	// The sweep: recovers anybody, alive or not, as a wrong verdict would.
	wg.Go(func() {
		r := rand.New(rand.NewPCG(2, 2))
		for work.Err() == nil {
			regs, err := b.d.Incarnations(work)
			if err != nil || len(regs) == 0 {
				continue
			}
			victim := regs[r.IntN(len(regs))]
			switch r.IntN(3) {
			case 0:
				_, _ = b.d.Recover(work, victim.Incarnation, r.IntN(2) == 0, 1_000_000)
			case 1:
				_, _ = b.d.CloseGate(work, victim.Actor)
				_, _ = b.d.OpenGate(work, victim.Actor)
			case 2:
				_, _ = b.d.Ping(work, victim.Actor, fmt.Sprint("n", r.IntN(3)))
			}
		}
	})
	submitter.Wait()
	for ctx.Err() == nil && ended.Load() < int64(jobs) {
		err := repeat(ctx, func() error {
			es, _, err := b.d.Ended(ctx, pageMax)
			if err == nil {
				_, err = b.d.Settle(ctx, es)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	done()
	wg.Wait()
	for i := range jobs {
		if n := ends[i].Load(); n != 1 {
			b.Errorf("j%d ended %d times", i, n)
		}
		if r := b.record(fmt.Sprint("j", i)); r.Status != StatusFinished {
			b.Errorf("%+v", r)
		}
		if l := b.list(b.s.keys.reply(fmt.Sprint("j", i))); len(l) != 1 {
			b.Errorf("j%d: %d replies", i, len(l))
		}
	}
	d := must[[]Depth](b)(b.d.Depths(b.ctx(), []string{"sh"}))[0]
	if d.Ready+d.InFlight != 0 {
		b.Errorf("%+v", d)
	}
	b.Logf("%d jobs, %d lives", jobs, lives.Load())
}

// repeat calls until Redis answers, as the protocol wants it: what was executed and not answered is
// answered then. (On a loaded machine miniredis is slower than our timeout now and then.)
func repeat(ctx context.Context, f func() error) error {
	for {
		if err := f(); !errors.Is(err, ErrAway) || ctx.Err() != nil {
			return err
		}
	}
}

// racer is one actor process after another under a name.
type racer struct {
	*bed
	rnd   *rand.Rand
	name  string
	lives *atomic.Int64
	ended *atomic.Int64
	ends  []atomic.Int64
}

func (w *racer) run(ctx context.Context) error {
	for {
		a, err := w.s.Actor(w.name, "sh", fmt.Sprint("life", w.lives.Add(1)))
		if err != nil {
			return err
		}
		if err := repeat(ctx, func() error { _, err := a.Hello(ctx); return err }); err != nil {
			return err
		}
		if err := w.live(ctx, a); err != nil {
			return err
		}
	}
}

// live works until it finds itself recovered.
func (w *racer) live(ctx context.Context, a *Actor) error {
	for {
		var r ClaimResult
		err := repeat(ctx, func() (err error) { r, err = a.Claim(ctx); return err })
		if err != nil {
			return err
		}
		job := r.Job
		switch r.Code {
		case Unregistered:
			return nil
		case Idle, Closed:
			wk, err := a.WaitWake(ctx, 50*time.Millisecond)
			if errors.Is(err, ErrAway) {
				continue // a message may be gone; claim finds its job
			}
			if err != nil {
				return err
			}
			if wk.Kind == WakePing {
				if err := repeat(ctx, func() error { _, err := a.Pong(ctx, wk.Nonce); return err }); err != nil {
					return err
				}
			}
			job = wk.Job
		}
		for job != nil {
			if w.rnd.IntN(50) == 0 {
				return nil // dies with the job in hand; the sweep will find it
			}
			if job, err = w.finish(ctx, a, *job); err != nil {
				return err
			}
		}
	}
}

func (w *racer) finish(ctx context.Context, a *Actor, job Claimed) (*Claimed, error) {
	before := Outcome{Output: fmt.Sprint(job.Token)}
	var f FinishResult
	err := repeat(ctx, func() (err error) { f, err = a.Finish(ctx, job, before, true); return err })
	if err != nil {
		return nil, err
	}
	if f.Code == OK {
		var n int
		_, _ = fmt.Sscanf(job.ID, "j%d", &n)
		w.ends[n].Add(1)
		w.ended.Add(1)
		if w.rnd.IntN(10) == 0 { // that answer was lost
			var again FinishResult
			err := repeat(ctx, func() (err error) { again, err = a.Finish(ctx, job, before, true); return err })
			if err != nil {
				return nil, err
			}
			if again.Code != OK || f.Job != nil && again.Job != nil && again.Job.ID != f.Job.ID {
				w.Errorf("first %+v, repeated %+v", f, again)
			}
			return again.Job, nil
		}
	}
	return f.Job, nil
}
