package actor

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"herosup/dispatch/store"
)

// BenchmarkBacklog works a backlog of no-op jobs off with one actor, and says what a job costs Redis (its scripts' own
// time, by INFO commandstats) and how many jobs an exchange carries.
//
//	go test -run '^$' -bench Backlog -benchtime 50000x ./dispatch/actor
func BenchmarkBacklog(b *testing.B) {
	for _, slots := range []int{1, 10, 100} {
		b.Run(fmt.Sprint("slots=", slots), func(b *testing.B) {
			srv := realServer(b, "--appendonly", "no")
			s := open(b, srv.url)
			if _, _, err := s.RaiseEpoch(b.Context(), 1); err != nil {
				b.Fatal(err)
			}
			d := s.Daemon(1)
			for done := 0; done < b.N; done += store.MaxBatch {
				batch := make([]store.Submission, min(store.MaxBatch, b.N-done))
				for i := range batch {
					n := done + i + 1
					batch[i] = store.Submission{ID: "job-" + strconv.Itoa(n), Type: "t", Script: "no-op", Sequence: uint64(n)}
				}
				if _, err := d.Accept(b.Context(), 0, batch); err != nil {
					b.Fatal(err)
				}
			}
			c := redisClient(b, srv.url)
			c.ConfigResetStat(b.Context())
			_, _, before := scriptTime(b, c)
			var left atomic.Int64
			left.Store(int64(b.N))
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			cfg := Config{
				Store: open(b, srv.url), Name: "p_1", Type: "t", Concurrency: slots, Log: slog.New(slog.DiscardHandler),
				Handler: func(context.Context, Job) Outcome {
					if left.Add(-1) == 0 {
						stop()
					}
					return Outcome{}
				},
			}
			b.ResetTimer()
			from := time.Now()
			if err := Run(ctx, cfg); err != nil {
				b.Fatal(err)
			}
			took := time.Since(from)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(b.N)/took.Seconds(), "jobs/s")
			calls, usec, cpu := scriptTime(b, c)
			b.ReportMetric(usec/float64(b.N), "redis-us/job")
			b.ReportMetric((cpu-before)/float64(b.N), "redis-cpu-us/job")
			b.ReportMetric(float64(b.N)/calls, "jobs/exchange")
		})
	}
}

var (
	evalStat = regexp.MustCompile(`cmdstat_eval(?:sha)?:calls=(\d+),usec=(\d+)`)
	cpuStat  = regexp.MustCompile(`used_cpu_(?:user|sys)_main_thread:([\d.]+)`)
)

// scriptTime is how many scripts ran since the last reset and how long, and Redis' CPU time so far (with its network), which
// is what counts on a machine that has other work.
func scriptTime(b *testing.B, c *redis.Client) (calls, usec, cpu float64) {
	b.Helper()
	info, err := c.Info(b.Context(), "commandstats", "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	number := func(text string) float64 { f, _ := strconv.ParseFloat(text, 64); return f }
	for _, m := range evalStat.FindAllStringSubmatch(info, -1) {
		calls, usec = calls+number(m[1]), usec+number(m[2])
	}
	for _, m := range cpuStat.FindAllStringSubmatch(info, -1) {
		cpu += number(m[1]) * 1e6
	}
	return calls, usec, cpu
}
