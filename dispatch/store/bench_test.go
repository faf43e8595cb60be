package store

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Each figure stands beside its floor, measured in the same run with the same workers and connections:
// one EVALSHA that does nothing but carry the same script text, so what is left is our Lua.
//
//	go test -run '^$' -bench . ./dispatch/store

var benchWorkers = []int{1, 10, 100}

func eachBench(b *testing.B, f func(b *testing.B, srv *server, workers int)) {
	for _, name := range []string{"real", "mini"} {
		for _, n := range benchWorkers {
			b.Run(fmt.Sprintf("%s/workers=%d", name, n), func(b *testing.B) {
				srv := miniServer
				if name == "real" {
					srv = func(t testing.TB) *server { return realServer(t) }
				}
				f(b, srv(b), n)
			})
		}
	}
}

// spread runs b.N calls over the workers and returns the time a call took on the whole.
func spread(b *testing.B, workers, n int, call func(worker int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	from := time.Now()
	for w := range workers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				if err := call(w); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(from)
}

// stores opens one Store a worker: each actor is a process with a connection of its own.
func stores(b *testing.B, srv *server, n int) []*Store {
	b.Helper()
	out := make([]*Store, n)
	for i := range out {
		out[i] = srv.open(b)
	}
	if err := out[0].rdb.FlushAll(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	if _, _, err := out[0].RaiseEpoch(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
	return out
}

// floor measures the bare round trip of a script that does nothing, with the same argument bytes.
func floor(b *testing.B, ss []*Store, n int) float64 {
	b.Helper()
	sha, err := ss[0].rdb.ScriptLoad(b.Context(), "return {'OK'}").Result()
	if err != nil {
		b.Fatal(err)
	}
	took := spread(b, len(ss), n, func(w int) error {
		return ss[w].rdb.EvalSha(b.Context(), sha, []string{"a", "b"}, benchScript).Err()
	})
	return float64(n) / took.Seconds()
}

const benchScript = "#!/bin/sh\necho hello, this is a script of a usual length\nexit 0\n"

func report(b *testing.B, what string, took time.Duration, n int, floor float64) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(n)/took.Seconds(), what+"/s")
	b.ReportMetric(floor, "floor-trips/s")
}

// BenchmarkSubmit: one accept a round trip.
func BenchmarkSubmit(b *testing.B) {
	eachBench(b, func(b *testing.B, srv *server, workers int) {
		ss := stores(b, srv, workers)
		bare := floor(b, ss, min(b.N, 20_000))
		var seq atomic.Uint64
		b.ResetTimer()
		took := spread(b, workers, b.N, func(w int) error {
			n := seq.Add(1)
			_, err := ss[w].Daemon(1).Accept(b.Context(), 0, []Submission{
				{ID: "j" + strconv.FormatUint(n, 10), Type: "sh", Script: benchScript, Sequence: n},
			})
			return err
		})
		report(b, "jobs", took, b.N, bare)
	})
}

// BenchmarkSubmitBatch: pipelines of 100, as the log's reader does it; the floor is still per round trip.
func BenchmarkSubmitBatch(b *testing.B) {
	for _, name := range []string{"real", "mini"} {
		b.Run(name, func(b *testing.B) {
			srv := map[string]func(testing.TB) *server{"mini": miniServer, "real": func(t testing.TB) *server { return realServer(t) }}[name](b)
			ss := stores(b, srv, 1)
			bare := floor(b, ss, min(b.N, 20_000))
			b.ResetTimer()
			from := time.Now()
			for done := 0; done < b.N; done += 100 {
				batch := make([]Submission, 100)
				for i := range batch {
					n := uint64(done + i + 1)
					batch[i] = Submission{ID: "j" + strconv.FormatUint(n, 10), Type: "sh", Script: benchScript, Sequence: n}
				}
				if _, err := ss[0].Daemon(1).Accept(b.Context(), uint64(done), batch); err != nil {
					b.Fatal(err)
				}
			}
			report(b, "jobs", time.Since(from), (b.N+99)/100*100, bare)
		})
	}
}

// BenchmarkFinishNext: a backlog worked off by finish+next, one round trip a job.
func BenchmarkFinishNext(b *testing.B) {
	eachBench(b, func(b *testing.B, srv *server, workers int) {
		ss := stores(b, srv, workers)
		bare := floor(b, ss, min(b.N, 20_000))
		d := ss[0].Daemon(1)
		total := b.N + workers
		for done := 0; done < total; done += 500 {
			batch := make([]Submission, 500)
			for i := range batch {
				n := uint64(done + i + 1)
				batch[i] = Submission{ID: "j" + strconv.FormatUint(n, 10), Type: "sh", Script: benchScript, Sequence: n}
			}
			if _, err := d.Accept(b.Context(), 0, batch); err != nil {
				b.Fatal(err)
			}
		}
		actors, hands := make([]*Actor, workers), make([]*Claimed, workers)
		for w := range workers {
			actors[w], hands[w] = startBench(b, ss[w], w)
		}
		b.ResetTimer()
		took := spread(b, workers, b.N, func(w int) error {
			f, err := actors[w].Finish(b.Context(), *hands[w], Outcome{Output: "hello"}, true)
			if err == nil && f.Job == nil {
				err = fmt.Errorf("%s %s, want a job", f.Code, f.Next)
			}
			hands[w] = f.Job
			return err
		})
		report(b, "jobs", took, b.N, bare)
	})
}

func startBench(b *testing.B, s *Store, w int) (*Actor, *Claimed) {
	b.Helper()
	a, err := s.Actor(fmt.Sprint("p_", w), "sh", fmt.Sprint("i", w))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := a.Hello(b.Context()); err != nil {
		b.Fatal(err)
	}
	r, err := a.Claim(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return a, r.Job
}

// BenchmarkSubmitToWake: from the call of accept to the moment an idle actor has the job in its hand.
// Its floor is an LPUSH to a BLPOP over the same connections.
func BenchmarkSubmitToWake(b *testing.B) {
	for _, name := range []string{"real", "mini"} {
		b.Run(name, func(b *testing.B) {
			srv := map[string]func(testing.TB) *server{"mini": miniServer, "real": func(t testing.TB) *server { return realServer(t) }}[name](b)
			ss := stores(b, srv, 2)
			a, _ := startBench(b, ss[1], 1) // idle now
			woken, ready := make(chan *Claimed), make(chan struct{})
			ctx, stop := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				for ctx.Err() == nil {
					select {
					case <-ready:
					case <-ctx.Done():
						return
					}
					w, err := a.WaitWake(ctx, time.Minute)
					if err != nil {
						return
					}
					woken <- w.Job
				}
			})
			n := uint64(0)
			var took time.Duration
			for b.Loop() {
				n++
				ready <- struct{}{}
				from := time.Now()
				if _, err := ss[0].Daemon(1).Accept(ctx, 0, []Submission{{ID: fmt.Sprint("j", n), Type: "sh", Script: "x", Sequence: n}}); err != nil {
					b.Fatal(err)
				}
				job := <-woken
				took += time.Since(from)
				if _, err := a.Finish(ctx, *job, Outcome{}, true); err != nil {
					b.Fatal(err)
				}
			}
			stop()
			wg.Wait()
			b.ReportMetric(float64(took.Microseconds())/float64(n), "us/wake")
			b.ReportMetric(wakeFloor(b, ss), "floor-us/wake")
		})
	}
}

func wakeFloor(b *testing.B, ss []*Store) float64 {
	const n = 500
	b.Helper()
	woken := make(chan error)
	var took time.Duration
	for range n {
		go func() { woken <- ss[1].rdb.BLPop(b.Context(), time.Minute, "floor").Err() }()
		from := time.Now()
		if err := ss[0].rdb.LPush(b.Context(), "floor", "x").Err(); err != nil {
			b.Fatal(err)
		}
		if err := <-woken; err != nil {
			b.Fatal(err)
		}
		took += time.Since(from)
	}
	return float64(took.Microseconds()) / n
}
