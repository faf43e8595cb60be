package scaler

import (
	"fmt"
	"time"
)

// activation keeps a sleeping pool asleep for a handful of jobs. A pool with a
// minimum never sleeps.
func (c *chain) activation(s Snapshot, p Policy, t *tally) {
	switch {
	case p.Min > 0 || t.usable > 0:
		c.step(RuleActivation, c.n, false, "awake")
	case s.Ready <= p.Activation:
		c.step(RuleActivation, 0, false, fmt.Sprintf("asleep until more than %d are ready", p.Activation))
	default:
		c.step(RuleActivation, c.n, false, fmt.Sprintf("%d ready, more than %d", s.Ready, p.Activation))
	}
}

func (c *chain) stale(s Snapshot, p Policy, t *tally) {
	old, why := stale(s, p)
	out := c.n
	if c.n < t.usable {
		if old {
			out = t.usable
		} else {
			t.wake(s.MeasuredAt.Add(p.StaleAfter))
		}
	}
	c.step(RuleStale, out, false, why)
}

func (c *chain) paused(s Snapshot, t *tally) {
	if s.Paused {
		c.step(RulePaused, t.usable, true, "neither grows nor shrinks")
		return
	}
	c.step(RulePaused, c.n, false, "not paused")
}

func (c *chain) override(s Snapshot, holds bool) {
	switch {
	case !holds:
		c.step(RuleOverride, c.n, false, "none")
	case s.Override.Until.IsZero():
		c.step(RuleOverride, s.Override.Count, true, fmt.Sprintf("set to %d by hand until cleared", s.Override.Count))
	default:
		c.step(RuleOverride, s.Override.Count, true, fmt.Sprintf("set to %d by hand for another %s",
			s.Override.Count, round(s.Override.Until.Sub(s.Now))))
	}
}

// busy keeps what works or is about to: only idle actors are given up. An
// override of 0 takes all; those with a job drain, since a stop waits for it.
func (c *chain) busy(t *tally, override bool) {
	why := fmt.Sprintf("%d running, %d starting or pinged", t.inFlight, t.others)
	if override && c.n == 0 {
		c.step(RuleBusy, 0, false, why+": all drain")
		return
	}
	floor := t.usable - len(t.idle)
	c.step(RuleBusy, max(c.n, min(floor, t.usable)), false, why)
}

// window names the victims. An actor goes after idle_timeout, so that a short
// gap between jobs costs no restart; an override does not wait.
func (c *chain) window(s Snapshot, p Policy, t *tally, override bool) []int {
	surplus := t.usable - c.n
	if surplus <= 0 {
		c.step(RuleWindow, c.n, false, "nothing to stop")
		return nil
	}
	candidates, all := t.idle, override && c.n == 0
	if all {
		candidates = t.all
	}
	var stop []int
	var wait time.Duration
	for _, a := range candidates {
		if len(stop) == surplus {
			break
		}
		if s.Now.Before(a.RefusedUntil) {
			continue
		}
		if due := a.Since.Add(p.IdleTimeout); !override && s.Now.Before(due) {
			t.wake(due)
			wait = due.Sub(s.Now)
			break // the others are idle for a shorter time
		}
		stop = append(stop, a.Slot)
	}
	out := t.usable - len(stop)
	switch {
	case all:
		c.step(RuleWindow, 0, false, fmt.Sprintf("%d drain", len(stop)))
	case wait > 0:
		c.step(RuleWindow, out, false, fmt.Sprintf("%s left of %s idle timeout", round(wait), p.IdleTimeout))
	case out > c.n:
		c.step(RuleWindow, out, false, "a stop was refused a moment ago")
	default:
		c.step(RuleWindow, out, false, fmt.Sprintf("%d idle long enough", len(stop)))
	}
	return stop
}

// room names the slots to start. Slots of failed, quarantined and stopping
// actors are taken. Nothing can be had while the pool is blocked, and nothing is to
// be had by starting another beside one that waits for other services: it would wait
// for the same.
func (c *chain) room(s Snapshot, p Policy, t *tally) (start []int, degraded string) {
	missing := c.n - t.usable
	if len(t.blocked) > 0 && missing >= 0 && c.limiting != RuleWindow {
		c.step(RuleBlocked, t.usable, true, t.waiting(s.Pool))
		return nil, ""
	}
	if missing <= 0 {
		return nil, ""
	}
	if s.Blocked != "" {
		c.step(RuleBlocked, t.usable, true, s.Blocked)
		return nil, "" // whoever blocked it tells of it
	}
	start = t.room(missing, p.Max)
	if len(start) == missing {
		return start, ""
	}
	can := t.usable + len(start)
	rule, why := t.missing()
	if rule == RuleCrashLoop {
		degraded = fmt.Sprintf("wants %d, can have %d: %s", c.n, can, why)
	} else {
		why = fmt.Sprintf("max %d, %s", p.Max, why)
	}
	c.step(rule, can, true, why)
	return start, degraded
}
