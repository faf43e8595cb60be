package scaler

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var states = []State{Unknown, Starting, Running, Idle, Pinging, Failed, Restarting, Stopped, Draining, Recycling, Stopping, Quarantined}

func drawPolicy(t *rapid.T) Policy {
	p := DefaultPolicy()
	p.Max = rapid.IntRange(0, 8).Draw(t, "max")
	p.Min = rapid.IntRange(0, p.Max).Draw(t, "min")
	p.TargetBacklog = rapid.IntRange(1, 4).Draw(t, "target")
	p.Activation = rapid.IntRange(0, 3).Draw(t, "activation")
	p.IdleTimeout = time.Duration(rapid.IntRange(0, 60).Draw(t, "idleTimeout")) * time.Second
	if err := p.Validate("x"); err != nil {
		t.Fatal(err)
	}
	return p
}

func drawSnapshot(t *rapid.T, p Policy) Snapshot {
	s := Snapshot{
		Pool: "bash", Now: epoch, Ready: rapid.IntRange(0, 20).Draw(t, "ready"),
		MeasuredAt: epoch.Add(-time.Duration(rapid.IntRange(0, 15).Draw(t, "age")) * time.Second),
		RedisLost:  rapid.IntRange(0, 9).Draw(t, "redis") == 0,
		Paused:     rapid.IntRange(0, 4).Draw(t, "paused") == 0,
	}
	if rapid.IntRange(0, 3).Draw(t, "override") == 0 {
		s.Override = &Override{Count: rapid.IntRange(0, p.Max).Draw(t, "count"), Until: epoch.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "until")) * time.Hour)}
	}
	for n := 1; n <= p.Max+1; n++ { // one beyond max: the pool was larger once
		if !rapid.Bool().Draw(t, "heard") {
			continue
		}
		a := Actor{Slot: n, State: rapid.SampledFrom(states).Draw(t, "state"), Since: epoch.Add(-time.Duration(rapid.IntRange(0, 90).Draw(t, "since")) * time.Second)}
		switch a.State {
		case Running:
			a.Jobs = rapid.IntRange(1, 4).Draw(t, "jobs")
		case Idle, Starting, Pinging, Draining:
			a.Jobs = max(0, rapid.IntRange(-12, 3).Draw(t, "jobs"))
		}
		if (a.State == Starting || a.State == Restarting) && rapid.IntRange(0, 3).Draw(t, "blocked") == 0 {
			a.Blocked = "waits for redis (not there)"
		}
		a.Recall = a.State == Draining && rapid.Bool().Draw(t, "ours")
		if rapid.IntRange(0, 5).Draw(t, "leaving") == 0 {
			a.LeavingUntil = epoch.Add(10 * time.Second)
		}
		if rapid.IntRange(0, 5).Draw(t, "refused") == 0 {
			a.RefusedUntil = epoch.Add(time.Second)
		}
		s.Actors = append(s.Actors, a)
	}
	return s
}

// The invariants of research/autoscalers.md 9.7, as far as the rules exist.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		s := drawSnapshot(t, p)
		d := Decide(s, p)
		byHand := s.Override.holds(s.Now)

		if again := Decide(s, p); !cmp.Equal(d, again) {
			t.Errorf("equal input, other output:\n%s", cmp.Diff(d, again))
		}
		usable, busy, jobs, idle := 0, 0, 0, map[string]Actor{}
		for _, a := range s.Actors {
			switch {
			case s.Now.Before(a.LeavingUntil):
				continue
			case a.waits():
			case !slices.Contains([]State{Starting, Running, Idle, Pinging}, a.State):
				continue
			case a.State == Starting && a.Jobs == 0 && s.Now.Sub(a.Since) >= p.StartTimeout:
				continue
			}
			usable++
			jobs += a.Jobs
			if a.Jobs > 0 {
				busy++
			} else if a.State == Idle || a.waits() {
				idle[ActorID(s.Pool, a.Slot)] = a
			}
		}
		if d.Have != usable || d.InFlight != jobs {
			t.Errorf("have %d, in flight %d; want %d, %d", d.Have, d.InFlight, usable, jobs)
		}
		if d.Want < busy && (!byHand || s.Override.Count > 0) {
			t.Errorf("want %d with %d busy", d.Want, busy)
		}
		if !byHand && !s.Paused && (d.Want < p.Min || d.Want > max(p.Max, usable)) {
			t.Errorf("want %d, bounds %d..%d, usable %d", d.Want, p.Min, p.Max, usable)
		}
		if len(d.Start) > 0 && len(d.Stop) > 0 {
			t.Error("starts and stops at once")
		}
		for _, id := range d.Stop {
			a, ok := idle[id]
			if !ok && (!byHand || s.Override.Count > 0) {
				t.Errorf("stops %s, which is not idle", id)
			}
			if ok && !byHand && s.Now.Sub(a.Since) < p.IdleTimeout {
				t.Errorf("stops %s too early", id)
			}
		}
		if old, _ := stale(s, p); (old || s.Paused) && !byHand && len(d.Stop) > 0 {
			t.Error("stops while stale or paused")
		}
		if !d.Next.IsZero() && !d.Next.After(s.Now) {
			t.Errorf("next at %s is not in the future", d.Next.Sub(s.Now))
		}
		if last := d.Steps[len(d.Steps)-1]; last.Rule == RuleWindow && last.Out != d.Want {
			t.Errorf("the steps end in %d, want is %d", last.Out, d.Want)
		}
		for i := 1; i < len(d.Steps); i++ {
			if d.Steps[i].In != d.Steps[i-1].Out {
				t.Errorf("step %s begins with %d after %d", d.Steps[i].Rule, d.Steps[i].In, d.Steps[i-1].Out)
			}
		}
	})
}

// Once a decision is carried out there is nothing left to do.
func TestDecideIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		s := drawSnapshot(t, p)
		d := Decide(s, p)
		if again := Decide(carriedOut(s, d), p); len(again.Start)+len(again.Stop) > 0 {
			t.Errorf("first %s %v %v\nthen %s %v %v", d.Reason, d.Start, d.Stop, again.Reason, again.Start, again.Stop)
		}
	})
}

func carriedOut(s Snapshot, d Decision) Snapshot {
	actors := map[int]Actor{}
	for _, a := range s.Actors {
		actors[a.Slot] = a
	}
	for n := 1; n <= MaxActors; n++ {
		id := ActorID(s.Pool, n)
		if slices.Contains(d.Start, id) {
			actors[n] = Actor{Slot: n, State: Starting, Since: s.Now}
		}
		if slices.Contains(d.Stop, id) {
			a := actors[n]
			a.State = Draining
			actors[n] = a
		}
	}
	s.Actors = nil
	for n := range MaxActors + 1 {
		if a, ok := actors[n]; ok {
			s.Actors = append(s.Actors, a)
		}
	}
	return s
}

func TestMoreWorkNeverMeansFewerActors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		s := drawSnapshot(t, p)
		less := Decide(s, p)
		s.Ready += rapid.IntRange(1, 5).Draw(t, "more")
		if more := Decide(s, p); more.Want < less.Want {
			t.Errorf("%s\nbut %s", less.Reason, more.Reason)
		}
	})
}

// A job that waits for an empty pool starts somebody.
func TestWorkWakesAnEmptyPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		p.Max = max(p.Max, 1)
		d := Decide(Snapshot{Pool: "bash", Now: epoch, Ready: p.Activation + rapid.IntRange(1, 9).Draw(t, "over")}, p)
		if len(d.Start) == 0 {
			t.Error(d.Reason)
		}
	})
}

// The formulas agree with a search over all sizes for the smallest one that is
// enough, done without any of the code above.
func TestDecideAgreesWithASearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		s := drawSnapshot(t, p)
		s.Paused, s.Override, s.RedisLost, s.MeasuredAt = false, nil, false, s.Now
		for i := range s.Actors {
			s.Actors[i].LeavingUntil, s.Actors[i].RefusedUntil, s.Actors[i].Recall = time.Time{}, time.Time{}, false
		}
		var usable, busy, tired, fixed, taken, waits int
		for _, a := range s.Actors {
			up := a.State == Running || a.State == Idle || a.State == Pinging || a.State == Starting && (a.Jobs > 0 || s.Now.Sub(a.Since) < p.StartTimeout)
			if a.waits() {
				waits++
			}
			if up || a.waits() {
				usable++
				switch {
				case a.Jobs > 0:
					busy += a.Jobs
					fixed++
				case a.State != Idle && !a.waits():
					fixed++
				case s.Now.Sub(a.Since) >= p.IdleTimeout:
					tired++
				}
			}
			if a.State != Stopped && a.State != Unknown && a.Slot <= p.Max {
				taken++
			}
		}
		enough := func(n int) bool {
			switch {
			case n < p.Min:
				return false
			case n == p.Max:
				return true // more is not allowed
			case p.Min == 0 && usable == 0 && s.Ready <= p.Activation:
				return true
			}
			return n*p.TargetBacklog >= s.Ready+busy
		}
		target := 0
		for !enough(target) {
			target++
		}
		start, stop := 0, 0
		for waits == 0 && usable+start < target && taken+start < p.Max {
			start++
		}
		for usable-stop > max(target, fixed) && stop < tired {
			stop++
		}
		if d := Decide(s, p); len(d.Start) != start || len(d.Stop) != stop {
			t.Errorf("%s\nstarts %v, want %d; stops %v, want %d", d.Reason, d.Start, start, d.Stop, stop)
		}
	})
}

// Without new work every pool comes to its minimum, and does so within the idle
// timeout once its jobs have ended.
func TestQuietPoolShrinksToMin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		s := drawSnapshot(t, p)
		s.Ready, s.Paused, s.Override, s.RedisLost = 0, false, nil, false
		deadline := s.Now.Add(p.IdleTimeout + p.StartTimeout + 11*time.Second)
		for {
			for i, a := range s.Actors { // everything asked for has happened, jobs end
				switch a.State {
				case Starting, Running, Pinging, Idle:
					if a.State != Idle || a.Jobs > 0 {
						s.Actors[i].Since = s.Now
					}
					s.Actors[i].State, s.Actors[i].Jobs = Idle, 0
				default:
					s.Actors[i].State = Stopped
				}
			}
			s.MeasuredAt = s.Now
			d := Decide(s, p)
			s = carriedOut(s, d)
			switch {
			case d.Have == p.Min && d.Want == p.Min && len(d.Start)+len(d.Stop) == 0:
				return
			case s.Now.After(deadline):
				t.Fatalf("after %s: %s", s.Now.Sub(epoch), d.Reason)
			case len(d.Start)+len(d.Stop) == 0 && d.Next.IsZero():
				t.Fatalf("waits for nothing: %s", d.Reason)
			case len(d.Start)+len(d.Stop) == 0:
				s.Now = d.Next
			}
		}
	})
}
