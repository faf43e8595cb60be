package client_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"herosup/dispatch/client"
	"herosup/events"
	"herosup/events/embedded"
)

// told is what Done was told.
type told map[string]error

func TestBatchTellsEachJob(t *testing.T) {
	d, c := bed(t, embedded.Submitter)
	got := told{}
	b, err := c.Batch(client.BatchConfig{Size: 10, InFlight: 2, Done: func(id string, err error) { got[id] = err }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const n = 505
	for i := range n {
		o := client.Options{ID: fmt.Sprintf("job-%d", i), Env: map[string]string{"N": fmt.Sprint(i)}, CallerID: "me", Timeout: new(time.Minute)}
		if _, err := b.Add(soon(t), "nobody", fmt.Sprint(i), o); err != nil {
			t.Fatal(err)
		}
	}
	count, err := b.Flush(soon(t))
	if err != nil || count != (client.BatchCount{Accepted: n}) || len(got) != n {
		t.Fatalf("%+v, %d told, %v", count, len(got), err)
	}
	for id, err := range got {
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	op, err := d.connect(soon(t), embedded.Operator)
	if err != nil {
		t.Fatal(err)
	}
	defer op.Close()
	j, err := shown(t, op, "job-504")
	if err != nil || j.Script != "504" || j.Env["N"] != "504" || j.CallerID != "me" || j.Timeout.Duration() != time.Minute {
		t.Errorf("%+v, %v", j, err)
	}
}

// shown asks until the daemon has read the log as far as that job.
func shown(t testing.TB, c *client.Client, id string) (client.Job, error) {
	ctx := soon(t)
	for {
		j, err := c.Show(ctx, id)
		var r *client.Refusal
		if !errors.As(err, &r) || r.Status != 503 || ctx.Err() != nil {
			return j, err
		}
	}
}

// Without a Flush a job does not wait for others to come.
func TestBatchLingers(t *testing.T) {
	_, c := bed(t, embedded.Submitter)
	done := make(chan error, 1)
	b, err := c.Batch(client.BatchConfig{Done: func(_ string, err error) { done <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.AddJob(soon(t), events.JobCreate{ScriptType: "nobody", Script: "x"}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-soon(t).Done():
		t.Error("it still waits")
	}
}

// While the daemon is away nothing is lost: what was under way is sent again under
// its ids, and accepted once.
func TestBatchSurvivesTheDaemon(t *testing.T) {
	d, c := bed(t, embedded.Submitter)
	d.ends[len(d.ends)-1]() // actor
	d.ends[len(d.ends)-2]() // dispatch
	d.ends = d.ends[:len(d.ends)-2]
	b, err := c.Batch(client.BatchConfig{Size: 5, InFlight: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	added := make(chan error, 1)
	go func() {
		for i := range 40 {
			if _, err := b.Add(context.WithoutCancel(t.Context()), "nobody", fmt.Sprint(i), client.Options{}); err != nil {
				added <- err
				return
			}
		}
		added <- nil
	}()
	d.nats.Stop()
	if err := d.bus(); err != nil {
		t.Fatal(err)
	}
	if err := d.dispatch(); err != nil {
		t.Fatal(err)
	}
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	if count, err := b.Flush(soon(t)); err != nil || count.Accepted != 40 || count.Unconfirmed != 0 {
		t.Errorf("%+v, %v", count, err)
	}
}

// Nobody there for long: Add says so instead of taking ever more, and every job that
// was taken is told.
func TestBatchGivesUp(t *testing.T) {
	d, c := bed(t, embedded.Submitter)
	d.ends[len(d.ends)-1]()
	d.ends[len(d.ends)-2]()
	d.ends = d.ends[:len(d.ends)-2]
	got := told{}
	b, err := c.Batch(client.BatchConfig{Size: 2, InFlight: 1, StallWait: 300 * time.Millisecond, Done: func(id string, err error) { got[id] = err }})
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for range 100 {
		var cancel context.CancelFunc
		ctx, cancel := context.WithTimeout(soon(t), 50*time.Millisecond)
		_, err = b.Add(ctx, "nobody", "x", client.Options{})
		cancel()
		if err != nil {
			break
		}
		taken++
	}
	if !errors.Is(err, context.DeadlineExceeded) || taken > 8 {
		t.Errorf("%d taken, then %v", taken, err)
	}
	count, err := b.Flush(soon(t))
	if err != nil || count.Unconfirmed != taken || len(got) != taken {
		t.Errorf("%d taken, %+v, %d told, %v", taken, count, len(got), err)
	}
	for id, err := range got {
		if !errors.Is(err, client.ErrUnconfirmed) {
			t.Errorf("%s: %v", id, err)
		}
	}
	// What waits at the end is told as well.
	if _, err := b.Add(soon(t), "nobody", "x", client.Options{ID: "last"}); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := got["last"]; !errors.Is(err, client.ErrClosed) && !errors.Is(err, client.ErrUnconfirmed) {
		t.Errorf("last: %v", err)
	}
	if _, err := b.Flush(soon(t)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("flush: %v", err)
	}
}

// BenchmarkBatch submits without waiting for each job; client, bus, log and daemon are
// this process. Redis is away, so that what is measured is submission alone: nothing
// is read from the log. The CPU time says what it costs also on a busy machine.
func BenchmarkBatch(b *testing.B) {
	d, c := bed(b, embedded.Submitter)
	d.redis.Close()
	batch, err := c.Batch(client.BatchConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer batch.Close()
	before := cpuTime(b)
	for b.Loop() {
		if _, err := batch.Add(b.Context(), "nobody", "true", client.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	if count, err := batch.Flush(soon(b)); err != nil || count.Accepted != b.N {
		b.Fatalf("%+v, %v", count, err)
	}
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-us/job")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// cpuTime is what this process has used.
func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
