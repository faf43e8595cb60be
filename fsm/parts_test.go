package fsm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herosup/events"
)

func TestBackoff(t *testing.T) {
	c := BackoffConfig{time.Second, time.Minute}
	for n, want := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 60, 8: 60, 1000: 60} {
		want *= time.Second
		for i := range 50 {
			actor := fmt.Sprintf("bash_%d", i)
			got := Backoff(c, actor, n)
			if got < max(c.Min, want*9/10) || got > min(c.Max, want*11/10) {
				t.Errorf("after %d failures: %s, want about %s", n, got, want)
			}
			if again := Backoff(c, actor, n); again != got {
				t.Errorf("the same failure waits %s and %s", got, again)
			}
		}
	}
	if Backoff(c, "bash_1", 4) == Backoff(c, "bash_2", 4) {
		t.Error("two actors that failed together come back together")
	}
}

func TestIncarnationsInOrder(t *testing.T) {
	other := life(1)
	other.PID++ // the same tick of 10 ms
	boot := life(1)
	boot.Boot = "99999999"
	for name, c := range map[string]struct {
		a    Actor
		i    events.Incarnation
		want bool
	}{
		"none":                      {Actor{}, life(0), false},
		"the first":                 {Actor{}, life(1), true},
		"the current":               {Actor{Incarnation: life(1)}, life(1), false},
		"a later":                   {Actor{Incarnation: life(1)}, life(2), true},
		"an older":                  {Actor{Incarnation: life(2)}, life(1), false},
		"the one that ended":        {Actor{Gone: life(1)}, life(1), false},
		"older than one that ended": {Actor{Gone: life(2)}, life(1), false},
		"another of the same tick":  {Actor{Gone: life(1)}, other, true},
		"of another boot":           {Actor{Incarnation: life(2)}, boot, true},
	} {
		if got := c.a.unseen(c.i); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestHistoryKeepsTheLastSteps(t *testing.T) {
	chart, err := NewChart()
	if err != nil {
		t.Fatal(err)
	}
	m, now := Machine{State: Running}, time.Unix(0, 0)
	for range 3 * Remembered {
		for _, on := range []Event{JobEnded, JobStarted} {
			now = now.Add(time.Second)
			if m, _, err = chart.Step(t.Context(), m, on, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := m.History()
	if len(h) != Remembered || h[Remembered-1] != "00:01:36.000 idle --JobStarted--> running" || !strings.HasPrefix(h[0], "00:01:21.000") {
		t.Errorf("%d steps:\n%s", len(h), strings.Join(h, "\n"))
	}
}

// looplab wedges a machine for good when its context is cancelled.
func TestCancelledContextMovesTheMachineAllTheSame(t *testing.T) {
	chart, err := NewChart()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := Machine{State: Running}
	for _, on := range []Event{JobEnded, JobStarted, JobEnded} {
		if m, _, err = chart.Step(ctx, m, on, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if m.State != Idle {
		t.Errorf("it is %s", m.State)
	}
	if _, _, err := chart.Step(ctx, m, JobEnded, time.Unix(0, 0)); err == nil || err.Error() != "JobEnded in state idle is not in the table" {
		t.Errorf("got %v", err)
	}
}

func TestSplitID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := rapid.StringMatching(`[A-Za-z0-9_-]{1,50}`).Draw(t, "pool")
		n := rapid.IntRange(1, maxIndex).Draw(t, "n")
		gotPool, gotN, err := SplitID(fmt.Sprintf("%s_%d", pool, n))
		if err != nil || gotPool != pool || gotN != n {
			t.Errorf("%s_%d: %q %d %v", pool, n, gotPool, gotN, err)
		}
	})
	for _, id := range []string{"", "bash", "bash_", "_1", "bash_0", "bash_01", "bash_-1", "bash_+1", "bash_1.2", "bash_100001", "bash_x", "b*sh_1", strings.Repeat("a", 63) + "_1"} {
		if pool, n, err := SplitID(id); err == nil {
			t.Errorf("%q was read as %q %d", id, pool, n)
		}
	}
}

// One queue, an entry per actor, the next deadline first, whatever moves.
func TestDeadlines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d deadlines
		slots := make([]*slot, 5)
		for i := range slots {
			slots[i] = &slot{at: -1}
		}
		for range rapid.IntRange(1, 50).Draw(t, "moves") {
			s := slots[rapid.IntRange(0, 4).Draw(t, "slot")]
			s.actor.Due = time.Time{}
			if n := rapid.IntRange(0, 9).Draw(t, "due"); n > 0 {
				s.actor.Due = time.Unix(int64(n), 0)
			}
			d.settle(s)
			var want time.Time
			have := 0
			for _, s := range slots {
				if due := s.actor.Due; !due.IsZero() {
					have++
					if want.IsZero() || due.Before(want) {
						want = due
					}
				}
			}
			if got := d.next(); !got.Equal(want) || len(d) != have {
				t.Fatalf("next is %s of %d, want %s of %d", got, len(d), want, have)
			}
		}
	})
}
