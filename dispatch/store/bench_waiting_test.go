package store

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// waitingJobs is how many jobs the full side has; HEROSUP_BENCH_WAITING makes it smaller for a look.
func waitingJobs(b *testing.B) int {
	b.Helper()
	if text := os.Getenv("HEROSUP_BENCH_WAITING"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("HEROSUP_BENCH_WAITING %q: want a number", text)
		}
		return n
	}
	return 1_000_000
}

// stuff writes plain records straight into Redis, which is the way to a million of them in seconds. into is
// the command that puts an id and its number where it waits.
func stuff(b *testing.B, s *Store, n int, into string) {
	b.Helper()
	script := `local from, to = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = from, to do
  local id = string.format('w%07d', i)
  redis.call('HSET', 'hero:job:' .. id, 'status', 'dispatched', 'token', '0 0   ', 'sequence', tostring(i), 'script', 'x', 'type', 'sh',
    'ready_ms', ARGV[3], 'timeout', '0', 'id', id, 'v', '1')
  ` + into + `
end
return 1`
	now := time.Now().UnixMilli()
	for from := 1; from <= n; from += 10_000 {
		if err := s.rdb.Eval(b.Context(), script, nil, from, min(n, from+9_999), now).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

// cost is what Redis' own clock says a call of our scripts took, in µs.
func cost(b *testing.B, s *Store, calls func()) float64 {
	b.Helper()
	if err := s.rdb.ConfigResetStat(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	calls()
	info, err := s.rdb.Info(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, ok := strings.Cut(info, "cmdstat_evalsha:")
	if !ok {
		b.Fatal("no evalsha was counted")
	}
	_, rest, _ = strings.Cut(rest, "usec_per_call=")
	text, _, _ := strings.Cut(rest, ",")
	us, err := strconv.ParseFloat(text, 64)
	if err != nil {
		b.Fatal(err)
	}
	return us
}

// BenchmarkWaiting compares what a submission and a claim with its finish cost Redis beside a million waiting jobs and beside
// none, in interleaved rounds on two servers; the bound is 1.3. The rounds leave the queue as long as it was.
func BenchmarkWaiting(b *testing.B) {
	for name, into := range map[string]string{
		"plain":      `redis.call('LPUSH', 'hero:q:work:type:sh', id)`,
		"levels":     `redis.call('ZADD', 'hero:prio:sh', ARGV[3] + 3000 + i, string.format('%020d', i) .. ' ' .. id)`,
		"unreleased": `redis.call('HSET', 'hero:need:' .. id, 'far', 'run') redis.call('ZADD', 'hero:unlocks:far', 0, string.format('%020d', i) .. ' ' .. id)`,
	} {
		b.Run(name, func(b *testing.B) {
			full, empty := stores(b, realServer(b), 1)[0], stores(b, realServer(b), 1)[0]
			stuff(b, full, waitingJobs(b), into)
			sides := map[string]*side{"full": newSide(b, full), "empty": newSide(b, empty)}
			b.ResetTimer()
			for range 5 {
				for _, s := range sides {
					s.round(b)
				}
			}
			for _, what := range []string{"submit", "claim"} {
				f, e := median(sides["full"].us[what]), median(sides["empty"].us[what])
				b.ReportMetric(f/e, what+"-ratio")
				b.ReportMetric(e, what+"-empty-us")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

type side struct {
	s   *Store
	a   *Actor
	seq uint64
	us  map[string][]float64
}

func newSide(b *testing.B, s *Store) *side {
	b.Helper()
	a, err := s.Actor("p_1", "sh", "i1")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := a.Hello(b.Context()); err != nil {
		b.Fatal(err)
	}
	return &side{s: s, a: a, seq: 1 << 40, us: map[string][]float64{}}
}

func (s *side) round(b *testing.B) {
	b.Helper()
	const calls = 2000
	s.us["submit"] = append(s.us["submit"], cost(b, s.s, func() {
		for range calls / 100 {
			batch := make([]Submission, 100)
			for i := range batch {
				s.seq++
				batch[i] = Submission{ID: fmt.Sprint("s", s.seq), Type: "sh", Script: benchScript, Sequence: s.seq}
			}
			if _, err := s.s.Daemon(1).Accept(b.Context(), 0, batch); err != nil {
				b.Fatal(err)
			}
		}
	}))
	s.us["claim"] = append(s.us["claim"], cost(b, s.s, func() {
		for range calls {
			r, err := s.a.Claim(b.Context())
			if err != nil || r.Job == nil {
				b.Fatal(r.Code, err)
			}
			if _, err := s.a.Finish(b.Context(), *r.Job, Outcome{}, false); err != nil {
				b.Fatal(err)
			}
		}
	}))
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkDelayed says how late a job is put into a hand when a million others are delayed: the timer's part on Redis' side, which is
// to see that it is due (Ahead) and to move it (Promote), with an actor idle.
func BenchmarkDelayed(b *testing.B) {
	s := stores(b, realServer(b), 1)[0]
	stuff(b, s, waitingJobs(b), `redis.call('ZADD', 'hero:delayed:sh', ARGV[3] + 3600000 + i, id)`)
	d := s.Daemon(1)
	a := newSide(b, s).a
	var late []float64
	b.ResetTimer()
	for i := range max(b.N, 50) {
		if r, err := a.Claim(b.Context()); err != nil || r.Code != Idle {
			b.Fatal(r.Code, err)
		}
		due := time.Now().Add(20 * time.Millisecond)
		id := fmt.Sprint("d", i)
		if _, err := d.Accept(b.Context(), 0, []Submission{{ID: id, Type: "sh", Script: "x", Sequence: uint64(i) + 1, Due: due}}); err != nil {
			b.Fatal(err)
		}
		for { // what dispatch/delayed.go does
			ahead, err := d.Ahead(b.Context(), []string{"sh"})
			if err != nil {
				b.Fatal(err)
			}
			if len(ahead.Due) > 0 {
				break
			}
			<-time.After(ahead.In + time.Millisecond)
		}
		if _, err := d.Promote(b.Context(), "sh"); err != nil {
			b.Fatal(err)
		}
		w, err := a.WaitWake(b.Context(), time.Second)
		if err != nil || w.Job == nil || w.Job.ID != id {
			b.Fatal(w, err)
		}
		late = append(late, float64(time.Since(due).Microseconds())/1000)
		if _, err := a.Finish(b.Context(), *w.Job, Outcome{}, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(late), "late-p50-ms")
	b.ReportMetric(late[len(late)-1], "late-max-ms")
}
