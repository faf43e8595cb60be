package actor

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"

	"herosup/dispatch/store"
)

// An actor of three slots runs three jobs at once, never a fourth, and what is over goes to another.
func TestSlots(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		var mu sync.Mutex
		now, most := 0, 0
		begun, end := make(chan string, 10), make(chan struct{})
		a := b.start("p_1", func(ctx context.Context, j Job) Outcome {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			begun <- j.ID
			<-end
			mu.Lock()
			now--
			mu.Unlock()
			return echo(ctx, j)
		}, func(c *Config) { c.Concurrency = 3 }, nil)
		b.hello("p_1")
		ids := []string{b.script("1"), b.script("2"), b.script("3"), b.script("4")}
		var first []string
		for range 3 {
			first = append(first, recv(t, begun))
		}
		slices.Sort(first)
		if !slices.Equal(first, ids[:3]) {
			t.Errorf("runs %v, want %v", first, ids[:3])
		}
		if r := b.record(ids[3]); r.Status != store.StatusDispatched {
			t.Errorf("a fourth job is %s", r.Status)
		}
		close(end)
		for _, id := range ids {
			if r := b.ended(id); r.Attempts != 1 || r.Status != store.StatusFinished {
				t.Errorf("got %+v", r)
			}
		}
		if err := a.end(b); err != nil || most != 3 {
			t.Errorf("%d at once, %v", most, err)
		}
	})
}

// Every other answer is lost, also those that came with jobs: each job runs once and ends once.
func TestSlotsAndLostAnswers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		var mu sync.Mutex
		ran := map[string]int{}
		a := b.start("p_1", func(ctx context.Context, j Job) Outcome {
			mu.Lock()
			ran[j.ID]++
			mu.Unlock()
			return echo(ctx, j)
		}, func(c *Config) { c.Concurrency = 4 }, func(s side) side { return &lossy{side: s} })
		var ids []string
		for i := range 30 {
			ids = append(ids, b.script(fmt.Sprint(i)))
		}
		for _, id := range ids {
			if r := b.ended(id); r.Attempts != 1 || r.Status != store.StatusFinished {
				t.Errorf("got %+v", r)
			}
		}
		if err := a.end(b); err != nil {
			t.Error(err)
		}
		for id, n := range ran {
			if n != 1 {
				t.Errorf("%s ran %d times", id, n)
			}
		}
		if n := b.count(store.FactEnded); n != 30 {
			t.Errorf("%d ends", n)
		}
	})
}

// An actor of several types runs each job once under its own type, also when every other answer is lost and Redis is emptied
// in the middle.
func TestSeveralTypes(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		begun, end := make(chan string, 40), make(chan struct{})
		a := b.start("p_1", func(_ context.Context, j Job) Outcome {
			begun <- j.ID
			if j.Script == "held" {
				<-end
			}
			return Outcome{Output: j.Type}
		}, func(c *Config) { c.Type, c.Types, c.Concurrency = "", map[string]int{"t": 1, "u": 2}, 3 }, func(s side) side { return &lossy{side: s} })
		b.hello("p_1")
		want := map[string]string{}
		for i := range 30 {
			sub := store.Submission{ID: fmt.Sprintf("job-%d", i), Type: []string{"t", "u"}[i%2], Script: "at once"}
			want[b.accept(sub)] = sub.Type
		}
		for id, jobType := range want {
			if r := b.ended(id); r.Attempts != 1 || r.Output != jobType {
				t.Errorf("got %+v, want output %s", r, jobType)
			}
		}
		held := []string{b.accept(store.Submission{Type: "t", Script: "held"}), b.accept(store.Submission{Type: "u", Script: "held"})}
		for seen := 0; seen < len(want)+len(held); seen++ {
			recv(t, begun)
		}
		b.flush()
		b.raise(2)
		for over := soonest(); ; {
			if _, kept, err := b.d.Asserted(t.Context()); err == nil && kept == len(held) {
				break
			}
			if over() {
				t.Fatal("it did not say what it holds")
			}
		}
		close(end)
		for i, id := range held {
			b.accept(store.Submission{ID: id, Type: []string{"t", "u"}[i], Script: "held"})
			if r := b.ended(id); r.Attempts != 1 || r.Output != []string{"t", "u"}[i] || r.Type != r.Output {
				t.Errorf("got %+v", r)
			}
		}
		if err := a.end(b); err != nil {
			t.Error(err)
		}
	})
}

// A job taken from one slot ends that one, and leaves the others alone.
func TestOneSlotIsLost(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		begun, end, causes := make(chan string, 4), make(chan struct{}), make(chan error, 4)
		b.start("p_1", func(ctx context.Context, j Job) Outcome {
			begun <- j.ID
			select {
			case <-ctx.Done():
				causes <- context.Cause(ctx)
			case <-end:
			}
			return echo(ctx, j)
		}, func(c *Config) { c.Concurrency = 2; c.Lease = 60e6 }, nil)
		lost, kept := b.script("lost"), b.script("kept")
		recv(t, begun)
		recv(t, begun)
		c := b.client()
		if err := c.HSet(t.Context(), "hero:job:"+lost, "token", "1 7 another 1 p_9").Err(); err != nil {
			t.Fatal(err)
		}
		if cause := recv(t, causes); cause != ErrLost { //nolint:errorlint // the cause itself
			t.Errorf("cause %v", cause)
		}
		close(end)
		if r := b.ended(kept); r.Attempts != 1 || r.Status != store.StatusFinished {
			t.Errorf("got %+v", r)
		}
		if r := b.record(lost); r.Status != store.StatusStarted {
			t.Errorf("got %+v", r)
		}
	})
}

// A busy job costs two commands (accept, exchange), one for an idle actor three (accept with hand-over, BLPOP,
// exchange): counted by Redis itself, on redis-server alone.
func TestRounds(t *testing.T) {
	t.Parallel()
	srv := realServer(t)
	b := newBed(t, srv)
	c := b.client()
	b.start("p_1", echo, nil, nil)
	b.hello("p_1")
	b.ended(b.script("warm")) // every script is known by now
	count := func(jobs func()) int {
		t.Helper()
		b.idle("p_1")
		c.ConfigResetStat(t.Context())
		jobs()
		b.idle("p_1")
		info, err := c.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, m := range regexp.MustCompile(`cmdstat_(?:eval|evalsha|blpop):calls=(\d+)`).FindAllStringSubmatch(info, -1) {
			one, _ := strconv.Atoi(m[1])
			n += one
		}
		return n
	}
	const jobs = 20
	if n := count(func() {
		for range jobs {
			b.ended(b.script("idle"))
			b.idle("p_1")
		}
	}); n > 3*jobs {
		t.Errorf("%d jobs for an idle actor cost %d commands, want %d", jobs, n, 3*jobs)
	}
	var batch []store.Submission
	for i := range jobs {
		batch = append(batch, store.Submission{ID: fmt.Sprint("busy-", i), Type: "t", Script: "x"})
	}
	if n := count(func() {
		if _, err := b.d.Accept(t.Context(), 0, batch); err != nil {
			t.Fatal(err)
		}
		b.ended(batch[jobs-1].ID)
	}); n > 2*jobs+1 { // the first finds it idle
		t.Errorf("%d jobs in a row cost %d commands, want %d", jobs, n, 2*jobs+1)
	}
}

// idle waits until an actor stands among the idle and listens.
func (b *bed) idle(name string) {
	b.Helper()
	c := b.client()
	for until := soonest(); ; {
		members, err := c.ZRange(b.Context(), "hero:idle:t", 0, -1).Result()
		if err != nil {
			b.Fatal(err)
		}
		clients, err := c.ClientList(b.Context()).Result()
		if err != nil {
			b.Fatal(err)
		}
		if len(members) > 0 && regexp.MustCompile(` flags=b.* cmd=blpop `).MatchString(clients) {
			return
		}
		if until() {
			b.Fatalf("%s is not idle", name)
		}
	}
}
