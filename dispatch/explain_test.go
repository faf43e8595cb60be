package dispatch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"herosup/dispatch/store"
	"herosup/events"
)

// Each cause by its code, in the order in which they are told; each text with its
// numbers.
func TestExplain(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	pool := func(change func(*PoolState)) []PoolState {
		p := PoolState{Name: "p", Types: []string{"bash"}, Have: 2, Want: 2, Max: 2, Reason: "because"}
		change(&p)
		return []PoolState{p}
	}
	same := func(*PoolState) {}
	actors := func(states ...string) (out []ActorState) {
		for i, s := range states {
			out = append(out, ActorState{Name: fmt.Sprintf("p_%d", i+1), Pool: "p", State: s, Reason: "crashes"})
		}
		return append(out, ActorState{Name: "q_1", Pool: "q", State: "idle"}) // another pool's
	}
	held := JobView{ID: "j", Type: "bash", State: StateBlocked, Waits: []Need{{ID: "a", Rule: "hold", Status: "error", Reason: "exit 3"}, {ID: "b", Rule: "fail", Status: "started"}, {ID: "c"}}}
	wait := JobView{ID: "j", Type: "bash", State: StateWaiting}
	by := wait
	by.StartBy = now.Add(time.Minute)
	zero := func(p *PoolState) {
		p.Max, p.Have = 0, 0
	}
	for _, c := range []struct {
		codes, words string
		f            Facts
	}{
		{"ended", "dead, retries used up (exit 3)", Facts{Job: JobView{State: StateDead, Reason: "retries used up", Cause: "exit 3"}}},
		{"ended", "finished", Facts{Job: JobView{State: StateFinished}}},
		{"running", "on p_1 for 2s, attempt 3", Facts{Job: JobView{State: StateRunning, Actor: "p_1", Attempts: 3, StartedAt: now.Add(-2 * time.Second)}}},
		{"cancelling", "p_1 is ending it", Facts{Job: JobView{State: StateRunning, Actor: "p_1", Cancelling: true}}},
		{"held prerequisite prerequisite", "job a did not finish: exit 3", Facts{Job: held}},
		{"released", "released at this moment", Facts{Job: JobView{State: StateBlocked}}},
		{"delayed", "before 2026-11-25T12:01:00Z, in 1m0s", Facts{Job: JobView{State: StateDelayed, ReadyAt: now.Add(time.Minute)}}},
		{"retry_later", "attempt 2 is over (its script failed)", Facts{Job: JobView{State: StateDelayed, ReadyAt: now.Add(time.Minute), Attempts: 2}}},
		{"retry_later", "(1 of its actors died)", Facts{Job: JobView{State: StateDelayed, ReadyAt: now.Add(time.Minute), Attempts: 2, Crashes: 1}}},
		{"retry_later", "attempt 2 is over (its script failed: exit 3)", Facts{Job: JobView{State: StateDelayed, ReadyAt: now.Add(time.Minute), Attempts: 2, Crashes: 1, History: []AttemptView{
			{Attempt: 1, Outcome: store.AttemptCrashed, Reason: "signal SIGSEGV"}, {Attempt: 2, Outcome: store.AttemptFailed, Reason: "exit 3"},
		}}}},
		{"retry_later", "attempt 2 is over (2 of its actors died)", Facts{Job: JobView{State: StateDelayed, ReadyAt: now.Add(time.Minute), Attempts: 2, Crashes: 2, History: []AttemptView{
			{Attempt: 1, Outcome: store.AttemptFailed, Reason: "exit 3"}, {Attempt: 2, Outcome: store.AttemptCrashed, Reason: "signal SIGSEGV"},
		}}}},
		{"pools_unknown", "nobody says", Facts{Job: wait, Ahead: -1}},
		{"behind pools_unknown", "7 jobs", Facts{Job: wait, Ahead: 7}},
		{"no_pool", "type bash", Facts{Job: wait, Pools: []PoolState{}}},
		{"no_room", "max 0", Facts{Job: wait, Pools: pool(zero)}},
		{"paused", "has 1 actors, 1 of them busy", Facts{Job: wait, Pools: pool(func(p *PoolState) { p.Paused, p.Have = true, 1 }), Actors: actors("running")}},
		{"degraded", "no interpreter", Facts{Job: wait, Pools: pool(func(p *PoolState) { p.Degraded = "no interpreter" })}},
		{"starting", "1 of its actors", Facts{Job: wait, Pools: pool(same), Actors: actors("running", "starting")}},
		{"all_busy behind", "all of its 2 actors are busy, and it may not have more (max 2)", Facts{Job: wait, Ahead: 3, Pools: pool(same), Actors: actors("running", "running")}},
		{"all_busy", "it wants 3: because", Facts{Job: wait, Pools: pool(func(p *PoolState) { p.Max, p.Want = 5, 3 }), Actors: actors("running", "running")}},
		{"all_busy closed", "1 of its actors are being stopped", Facts{Job: wait, Pools: pool(func(p *PoolState) { p.Max = 1 }), Actors: actors("running", "draining")}},
		{"quarantined", "p_1 is held down: crashes", Facts{Job: wait, Pools: pool(func(p *PoolState) { p.Have = 0 }), Actors: actors("quarantined")}},
		{"asleep start_by", "has no actor yet and wants 2", Facts{Job: by, Pools: pool(func(p *PoolState) { p.Have = 0 })}},
		{"soon", "1 of its actors are free", Facts{Job: wait, Pools: pool(same), Actors: actors("idle", "running")}},
	} {
		c.f.Now = now
		var codes []string
		text := ""
		for _, r := range Explain(c.f) {
			codes = append(codes, r.Code)
			text += r.Text + "\n"
		}
		if got := strings.Join(codes, " "); got != c.codes || !strings.Contains(text, c.words) {
			t.Errorf("want %s with %q, got %s:\n%s", c.codes, c.words, got, text)
		}
	}
	// Whatever its pool's actors do, something is said of a job that waits.
	for _, a := range []string{"", "starting", "running", "idle", "pinging", "failed", "restarting", "stopped", "draining", "recycling", "stopping", "quarantined"} {
		for have := range 3 {
			if len(Explain(Facts{Job: wait, Pools: pool(func(p *PoolState) { p.Have = have }), Actors: actors(a)})) == 0 {
				t.Errorf("nothing is said with an actor that is %q", a)
			}
		}
	}
	// Whatever the state, something is said.
	for _, s := range States() {
		if len(Explain(Facts{Job: JobView{State: s}})) == 0 {
			t.Errorf("nothing is said of a job that is %s", s)
		}
	}
}

// The answer puts together what dispatch knows and what the monitor says.
func TestExplainService(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		b.up()
		for i, o := range []Options{{}, {}, {Priority: 2}, {Priority: 1}, {Delay: time.Hour}} {
			o.ID = fmt.Sprintf("j%d", i)
			b.submit("x", o)
			expect(b, func(e events.JobQueued) bool { return e.Job == o.ID })
		}
		codes := func(id string) (string, Explanation) {
			var x Explanation
			if err := b.bus.Request(b.soon(), events.JobExplain{Job: id}, &x); err != nil {
				t.Fatal(err)
			}
			out := ""
			for _, r := range x.Reasons {
				out += r.Code + " "
			}
			return strings.TrimSpace(out), x
		}
		if got, x := codes("j1"); got != "behind pools_unknown" || !strings.HasPrefix(x.Reasons[0].Text, "1 jobs") || x.State != StateWaiting || x.Job != "j1" {
			t.Errorf("%s: %+v", got, x)
		}
		if got, _ := codes("j4"); got != "delayed" {
			t.Errorf("delayed: %s", got)
		}
		// Now somebody answers for the pools, as the monitor does.
		svc, err := b.connect("monitor").Serve(events.ServiceConfig{Name: "pools", Patterns: []events.Pattern{events.Of(events.PoolList{}), events.Of(events.ActorList{})}})
		if err != nil {
			t.Fatal(err)
		}
		stopped := make(chan struct{})
		end := make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case m := <-svc.C:
					if _, ok := m.Event.(events.PoolList); ok {
						_ = m.Respond([]PoolState{{Name: "bash", Types: []string{"bash"}, Have: 1, Want: 1, Max: 1}, {Name: "other", Types: []string{"other"}, Max: 9}})
					} else {
						_ = m.Respond([]ActorState{{Name: "bash_1", Pool: "bash", State: "running"}})
					}
				case <-end:
					return
				}
			}
		}()
		defer func() { close(end); <-stopped; _ = svc.Stop() }()
		if got, x := codes("j0"); got != "all_busy" {
			t.Errorf("%s: %+v", got, x)
		}
		if got, x := codes("j3"); got != "all_busy behind" || !strings.HasPrefix(x.Reasons[1].Text, "1 jobs") {
			t.Errorf("%s: %+v", got, x)
		}
		if _, r := b.ask("hero.cmd.job.explain.nobody", nil, ""); r == nil || r.Status != 404 {
			t.Errorf("%+v", r)
		}
	})
}
