package scaler

import (
	"fmt"
	"time"

	"herosup/events"
)

// Decide says how many actors the pool should have now and which ones to start
// or stop. It is pure: equal input gives equal output. The order of the rules is
// explained in the package comment, the formulas in research/autoscalers.md 9.3.
func Decide(s Snapshot, p Policy) Decision {
	t := count(s, p)
	c := &chain{limiting: None}
	override := s.Override.holds(s.Now)

	need := ceilDiv(s.Ready-s.Alone+t.inFlight-t.alone, p.TargetBacklog) + s.Alone + t.alone
	c.step(RuleBacklog, need, false, fmt.Sprintf("%d ready%s and %d running%s, %d per actor",
		s.Ready, lonely(s.Alone), t.inFlight, lonely(t.alone), p.TargetBacklog))
	c.activation(s, p, t)
	c.step(RuleMin, max(c.n, p.Min), false, fmt.Sprint("min ", p.Min))
	c.step(RuleMax, min(c.n, p.Max), false, fmt.Sprint("max ", p.Max))
	c.stale(s, p, t)
	c.paused(s, t)
	c.override(s, override)
	c.busy(t, override)
	stop := c.window(s, p, t, override)
	want := c.n
	start, degraded := c.room(s, p, t)

	d := Decision{
		Pool: s.Pool, Have: t.usable, Want: want, Wanted: need, Limiting: c.limiting, Degraded: degraded,
		Start: ids(s.Pool, start), Stop: ids(s.Pool, stop), Steps: c.steps, Ready: s.Ready, InFlight: t.inFlight,
	}
	if override && !s.Override.Until.IsZero() {
		t.wake(s.Override.Until)
	}
	d.Next = t.next
	d.Reason = reason(d, p, c.why)
	return d
}

// chain carries the number from rule to rule.
type chain struct {
	n        int
	steps    []events.Step
	limiting string
	why      string // of the limiting rule
}

// step records one rule. It limits when it changed the number, or when it binds
// whatever the number was.
func (c *chain) step(rule string, out int, binds bool, why string) {
	c.steps = append(c.steps, events.Step{Rule: rule, In: c.n, Out: out, Why: why})
	if rule != RuleBacklog && (out != c.n || binds) {
		c.limiting, c.why = rule, why
	}
	c.n = out
}

// ceilDiv is a/b rounded up: 3 jobs at 2 an actor need 2 actors, since 1 would
// leave a job without one.
func ceilDiv(a, b int) int { return (a + b - 1) / b }

func ids(pool string, slots []int) []string {
	var out []string
	for _, n := range slots {
		out = append(out, ActorID(pool, n))
	}
	return out
}

// stale reports whether the picture of the queue is too old to take actors away.
func stale(s Snapshot, p Policy) (bool, string) {
	switch {
	case s.RedisLost:
		return true, "Redis is lost, so nothing is stopped"
	case s.MeasuredAt.IsZero():
		return true, "no measurement to go by, so nothing is stopped"
	}
	// A clock that was set back makes the age negative: that is fresh.
	if age := s.Now.Sub(s.MeasuredAt); age >= p.StaleAfter {
		return true, fmt.Sprintf("measured %s ago, older than %s, so nothing is stopped", round(age), p.StaleAfter)
	}
	return false, "measured in time"
}

// round makes a duration readable; what is below a second matters in tests only.
func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}
