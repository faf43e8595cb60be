package actor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"herosup/dispatch/store"
)

// weather delays calls and answers, and loses some where it is foul.
type weather struct {
	side
	mu   sync.Mutex
	rand *rand.Rand
	foul bool
}

func (w *weather) draw(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *weather) blow() { <-time.After(time.Duration(w.draw(3000)) * time.Microsecond) }

func (w *weather) Exchange(ctx context.Context, ended []store.Ended, known, want int) (store.ExchangeResult, error) {
	w.blow()
	fault := w.draw(12)
	if w.foul && fault == 0 {
		return store.ExchangeResult{}, errLost
	}
	res, err := w.side.Exchange(ctx, ended, known, want)
	w.blow()
	if w.foul && fault == 1 {
		return store.ExchangeResult{}, errLost
	}
	return res, err
}

// Bursts of jobs, gates that close and open, rings and pings, on a slow network and on a bad one: each job runs once, never more at a
// time than there are slots, a closed gate means an empty hand, and an actor that has stopped holds nothing.
func TestAtRandom(t *testing.T) {
	for n := range 8 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test's
			slots := []int{1, 8, 9, 40}[n%4]
			b := newBed(t, realServer(t))
			var y tally
			var mu sync.Mutex
			now, most := 0, 0
			w := &weather{rand: rand.New(rand.NewPCG(seed, 1)), foul: n >= 4} //nolint:gosec // a test's
			types := []string{"t", "t"}
			a := b.start("p_1", func(ctx context.Context, j Job) Outcome {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				w.blow()
				mu.Lock()
				now--
				mu.Unlock()
				return y.handle(ctx, j)
			}, func(c *Config) {
				c.Concurrency = slots
				if n%3 == 2 {
					c.Type, c.Types = "", map[string]int{"t": 1, "u": 2}
					types[1] = "u"
				}
			}, func(s side) side { w.side = s; return w })
			b.hello("p_1")
			var ids []string
			burst := func(most int) {
				for range r.IntN(most) {
					ids = append(ids, b.accept(store.Submission{Script: "x", Type: types[r.IntN(2)]}))
				}
			}
			for i := range 40 {
				switch r.IntN(8) {
				case 0:
					before := b.count(store.FactDrained)
					g := patient(b, func() (store.Gate, error) { return b.d.CloseGate(b.Context(), "p_1") })
					if g.Held > 0 {
						b.await("drained", func(store.Fact) bool { return b.count(store.FactDrained) > before })
					}
					if held := b.client().LLen(t.Context(), "hero:held:"+g.Incarnation).Val(); held != 0 {
						t.Errorf("%d in hand behind a closed gate", held)
					}
					b.gate(b.d.OpenGate, "p_1")
				case 1:
					b.ring("p_1")
				case 2:
					b.ping("p_1", fmt.Sprint("n", i))
				default:
					burst(60)
				}
				w.blow()
			}
			for _, id := range ids {
				if rec := b.ended(id); rec.Attempts != 1 || rec.Status != store.StatusFinished {
					t.Errorf("%+v", rec)
				}
			}
			burst(200)
			w.blow()
			if err := a.end(b); err != nil {
				t.Error(err)
			}
			c := b.client()
			for _, k := range c.Keys(t.Context(), "hero:held:*").Val() {
				t.Errorf("it has stopped, and %s has %d", k, c.LLen(t.Context(), k).Val())
			}
			for id, times := range y.ran {
				if times != 1 {
					t.Errorf("%s ran %d times", id, times)
				}
			}
			if most > slots {
				t.Errorf("%d at once in %d slots", most, slots)
			}
		})
	}
}
