package store

import (
	"context"
	"strconv"
	"strings"
	"testing"
)

// What finished jobs leave behind: with -benchtime=1000000x a million. It fails above 10,000 records or 20 MiB.
func BenchmarkFinishedJobsLeave(b *testing.B) {
	s := realServer(b).open(b)
	ctx := b.Context()
	if _, _, err := s.RaiseEpoch(ctx, 1); err != nil {
		b.Fatal(err)
	}
	d := s.Daemon(1)
	a, err := s.Actor("p_1", "sh", "i1")
	if err == nil {
		err = a.SetSlots(MaxExchange)
	}
	if err == nil {
		_, err = a.Hello(ctx)
	}
	if err != nil {
		b.Fatal(err)
	}
	empty := usedMemory(b, s)
	b.ResetTimer()
	for done := 0; done < b.N; done += MaxExchange {
		jobs := make([]Submission, MaxExchange)
		for i := range jobs {
			n := done + i + 1
			jobs[i] = Submission{ID: "01KAYW0000000000000" + strconv.Itoa(1_000_000+n), Type: "sh", Script: "true", Sequence: uint64(n)}
		}
		if _, err := d.Accept(ctx, 0, jobs); err != nil {
			b.Fatal(err)
		}
		if err := runAll(ctx, a, d); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	keys, err := s.rdb.Keys(ctx, "hero:job:*").Result()
	if err != nil {
		b.Fatal(err)
	}
	left := usedMemory(b, s) - empty
	b.ReportMetric(float64(len(keys)), "records")
	b.ReportMetric(float64(left)/(1<<20), "MiB")
	if len(keys) > 10_000 || left > 20<<20 {
		b.Errorf("%d records and %d bytes are left", len(keys), left)
	}
}

// runAll ends what waits, and settles it.
func runAll(ctx context.Context, a *Actor, d *Daemon) error {
	r, err := a.Exchange(ctx, nil, 0, MaxExchange)
	if err != nil {
		return err
	}
	ends := make([]Ended, len(r.Jobs))
	for i, j := range r.Jobs {
		ends[i] = Ended{Job: j.Claimed}
	}
	if _, err := a.Exchange(ctx, ends, 0, 0); err != nil {
		return err
	}
	page, _, err := d.Ended(ctx, 1000)
	if err == nil {
		_, err = d.Settle(ctx, page)
	}
	return err
}

func usedMemory(b *testing.B, s *Store) int {
	b.Helper()
	info, err := s.rdb.Info(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, "used_memory:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(v))
			return n
		}
	}
	return 0
}
