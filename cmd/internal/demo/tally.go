package demo

import (
	"slices"
	"time"

	"herosup/events"
)

// tally is what was seen, folded from facts.
type tally struct {
	submitted map[string]time.Time // job -> when it was published
	ended     map[string]string    // job -> outcome
	rerun     map[string]bool
	started   map[string]int // job -> highest attempt seen
	waits     []time.Duration
	actors    map[string]string // actor -> state
	most      map[string]int    // pool -> most actors at once
	lives     map[string]events.Incarnation
	victim    events.JobStarted
	ponged    string
	retried   time.Time
	again     time.Time // the victim's second start
}

func newTally() *tally {
	return &tally{
		submitted: map[string]time.Time{}, ended: map[string]string{}, rerun: map[string]bool{}, started: map[string]int{},
		actors: map[string]string{}, most: map[string]int{}, lives: map[string]events.Incarnation{},
	}
}

func (t *tally) fold(m events.Message) {
	switch e := m.Event.(type) {
	case events.JobStarted:
		if e.Attempt > t.started[e.Job] {
			t.started[e.Job] = e.Attempt
		}
		if e.Attempt == 1 {
			t.waits = append(t.waits, e.Wait.Duration())
		} else {
			t.rerun[e.Job] = true
		}
		if e.Job == victimID {
			if e.Attempt > 1 && t.again.IsZero() {
				t.again = m.Time
			}
			t.victim = e
		}
	case events.JobEnded:
		t.ended[e.Job] = e.Outcome
	case events.JobRetried:
		if e.Job == victimID {
			t.retried = m.Time
		}
	case events.ActorRegistered:
		t.lives[e.Actor] = e.Incarnation
	case events.ActorPonged:
		t.ponged = e.Actor
	case events.ActorStateChanged:
		t.actors[e.Actor] = e.To
		n := t.up(e.Pool)
		if n > t.most[e.Pool] {
			t.most[e.Pool] = n
		}
	}
}

// up counts the actors of a pool (or of all for "") that are not stopped.
func (t *tally) up(pool string) int {
	n := 0
	for a, s := range t.actors {
		if s != "stopped" && (pool == "" || poolOf(a) == pool) {
			n++
		}
	}
	return n
}

// idle names an idle actor, the first by name; "" when there is none.
func (t *tally) idle() string {
	best := ""
	for a, s := range t.actors {
		if s == "idle" && (best == "" || a < best) {
			best = a
		}
	}
	return best
}

func (t *tally) open() int { return len(t.submitted) - len(t.ended) }

func poolOf(actor string) string {
	for i := len(actor) - 1; i > 0; i-- {
		if actor[i] == '_' {
			return actor[:i]
		}
	}
	return actor
}

// Summary is what a run came to; with -o json it is the last line of stdout.
type Summary struct {
	Submitted int `json:"submitted"`
	Finished  int `json:"finished"`
	// Rerun counts jobs that were started more than once.
	Rerun int `json:"rerun"`
	// Lost counts jobs without an end; those of a run that was interrupted are Unfinished.
	Lost       int     `json:"lost"`
	Unfinished int     `json:"unfinished"`
	WaitP50    float64 `json:"wait_p50_ms"`
	WaitP99    float64 `json:"wait_p99_ms"`
	FirstCode  float64 `json:"first_instruction_ms"`
}

func (t *tally) summary(first time.Duration, interrupted bool) Summary {
	finished := 0
	for id := range t.submitted {
		if t.ended[id] == events.Finished {
			finished++
		}
	}
	s := Summary{
		Submitted: len(t.submitted), Finished: finished, Rerun: len(t.rerun), Lost: t.open(),
		WaitP50: millis(quantile(t.waits, 0.50)), WaitP99: millis(quantile(t.waits, 0.99)), FirstCode: millis(first),
	}
	if interrupted { // nobody waited for their ends
		s.Lost, s.Unfinished = 0, s.Lost
	}
	return s
}

// quantile is the nearest-rank quantile; 0 of nothing.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Clone(d)
	slices.Sort(s)
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
