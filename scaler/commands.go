package scaler

import (
	"fmt"
	"math"
	"strings"
	"time"

	"herosup/events"
)

const (
	// defaultOverride ends an override that names no time, so that one set in
	// haste does not rule a pool for months.
	defaultOverride = time.Hour
	// maxOverride keeps the sum with the clock representable.
	maxOverride = 10 * 365 * 24 * time.Hour
)

// Answer is what pool.scale, pool.pause and pool.resume answer with.
type Answer struct {
	Pool string `json:"pool"`
	// Count is the size set by hand; absent when the scaler decides.
	Count *int `json:"count,omitempty"`
	// Until ends it; absent when it must be cleared.
	Until time.Time `json:"until,omitzero"`
	// Paused: the pool neither grows nor shrinks.
	Paused bool `json:"paused"`
}

// command applies a command to the picture. It returns the fact that became
// true, or why the command is refused.
func (v *View) command(e events.Event, now time.Time) (events.Event, Answer, *events.Refusal) {
	var name string
	switch e := e.(type) {
	case events.PoolScale:
		name = e.Pool
	case events.PoolPause:
		name = e.Pool
	case events.PoolResume:
		name = e.Pool
	default:
		return nil, Answer{}, &events.Refusal{Status: 400, Code: "unknown_command", Reason: fmt.Sprintf("pools do not know %T", e)}
	}
	p := v.pools[name]
	if p == nil {
		return nil, Answer{}, v.unknown(name)
	}
	var fact events.Event
	switch e := e.(type) {
	case events.PoolScale:
		until, r := p.checkScale(e, now)
		if r != nil {
			return nil, Answer{}, r
		}
		p.override = &Override{Count: e.Count, Until: until}
		if e.Count == release {
			p.override = nil
		}
		fact = events.PoolScaled{Pool: name, Count: e.Count, Until: until}
	case events.PoolPause:
		p.paused = true
		fact = events.PoolPaused{Pool: name}
	case events.PoolResume:
		p.paused = false
		fact = events.PoolResumed{Pool: name}
	}
	return fact, p.answer(now), nil
}

// release is the count that gives the pool back to the scaler.
const release = -1

// checkScale returns when the override ends; zero for never and for a release.
func (p *pool) checkScale(e events.PoolScale, now time.Time) (time.Time, *events.Refusal) {
	bad := func(code, reason, hint string) (time.Time, *events.Refusal) {
		return time.Time{}, &events.Refusal{Status: 400, Code: code, Reason: reason, Hint: hint, Pool: p.Name}
	}
	if e.Count < release || e.Count > p.Policy.Max {
		return bad("bad_count", fmt.Sprintf("scale %s: count is %d, want 0..%d", p.Name, e.Count, p.Policy.Max),
			fmt.Sprintf("max of this pool is %d; -1, in herosup scale auto, lets the scaler decide again", p.Policy.Max))
	}
	seconds := float64(e.For)
	switch {
	case math.IsNaN(seconds) || seconds < 0 && seconds != -1 || seconds > maxOverride.Seconds():
		return bad("bad_time", fmt.Sprintf("scale %s: for is %v seconds, want 0..%.0f or -1", p.Name, seconds, maxOverride.Seconds()),
			"0 means one hour, -1 until it is cleared")
	case seconds == -1 || e.Count == release:
		return time.Time{}, nil
	case seconds == 0:
		return now.Add(defaultOverride).UTC(), nil
	}
	return now.Add(e.For.Duration()).UTC(), nil
}

func (p *pool) answer(now time.Time) Answer {
	a := Answer{Pool: p.Name, Paused: p.paused}
	if p.override.holds(now) {
		n := p.override.Count
		a.Count, a.Until = &n, p.override.Until
	}
	return a
}

func (v *View) unknown(name string) *events.Refusal {
	r := &events.Refusal{Status: 404, Code: "unknown_pool", Pool: name, Reason: fmt.Sprintf("pool %q is not configured", name)}
	switch near := events.Nearest(name, v.names); {
	case near != "":
		r.Hint = fmt.Sprintf("did you mean %q?", near)
	case len(v.names) > 0:
		r.Hint = "pools: " + strings.Join(v.names, ", ")
	default:
		r.Hint = "no pool is configured"
	}
	return r
}
