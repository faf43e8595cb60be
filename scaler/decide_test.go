package scaler

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// epoch is the time at which all tables are decided.
var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// The decisions as people read them. Each case is a line of numbers (what is
// not named has its default) and a line for each slot:
//
//	decide ready=3 max=4 [paused] [override=2 for=1h] [age=2s|never] [redis-lost] ...
//	1 idle 310s            slot, state, since (how long ago)
//	2 running busy
//	----
//
// Rewrite with -rewrite, and commit only differences that you can explain.
func TestDecisions(t *testing.T) {
	datadriven.Walk(t, "testdata/decide", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s, p := parseCase(t, d)
			if err := p.Validate("bash"); err != nil {
				t.Fatal(err)
			}
			got := Decide(s, p)
			var b strings.Builder
			fmt.Fprintln(&b, got.Reason)
			if got.Start != nil {
				fmt.Fprintln(&b, "start:", strings.Join(got.Start, " "))
			}
			if got.Stop != nil {
				fmt.Fprintln(&b, "stop:", strings.Join(got.Stop, " "))
			}
			if got.Degraded != "" {
				fmt.Fprintln(&b, "degraded:", got.Degraded)
			}
			if !got.Next.IsZero() {
				fmt.Fprintln(&b, "again in:", got.Next.Sub(epoch))
			}
			if d.Cmd == "steps" {
				for _, step := range got.Steps {
					fmt.Fprintf(&b, "  %-10s %d→%d  %s\n", step.Rule, step.In, step.Out, step.Why)
				}
			}
			return b.String()
		})
	})
}

func parseCase(t *testing.T, d *datadriven.TestData) (Snapshot, Policy) {
	t.Helper()
	s := Snapshot{Pool: "bash", Now: epoch, MeasuredAt: epoch.Add(-time.Second)}
	p := DefaultPolicy()
	duration := func(v string) time.Duration {
		x, err := time.ParseDuration(v)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return x
	}
	number := func(v string) int {
		n, err := strconv.Atoi(v)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return n
	}
	for _, a := range d.CmdArgs {
		v := ""
		if len(a.Vals) > 0 {
			v = a.Vals[0]
		}
		switch a.Key {
		case "ready":
			s.Ready = number(v)
		case "min":
			p.Min = number(v)
		case "max":
			p.Max = number(v)
		case "target":
			p.TargetBacklog = number(v)
		case "activation":
			p.Activation = number(v)
		case "idle-timeout":
			p.IdleTimeout = duration(v)
		case "paused":
			s.Paused = true
		case "blocked":
			s.Blocked = "lua is not here"
		case "redis-lost":
			s.RedisLost = true
		case "never":
			s.MeasuredAt = time.Time{}
		case "age":
			s.MeasuredAt = epoch.Add(-duration(v))
		case "override":
			s.Override = &Override{Count: number(v)}
		case "for":
			s.Override.Until = epoch.Add(duration(v))
		default:
			d.Fatalf(t, "unknown argument %s", a.Key)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		a := Actor{Slot: number(f[0]), State: State(f[1])}
		if a.State == Running {
			a.Jobs = 1
		}
		for _, w := range f[2:] {
			switch {
			case w == "busy":
				a.Jobs = max(a.Jobs, 1)
			case strings.HasPrefix(w, "jobs="):
				a.Jobs = number(w[len("jobs="):])
			case w == "leaving":
				a.LeavingUntil = epoch.Add(20 * time.Second)
			case w == "refused":
				a.RefusedUntil = epoch.Add(RefusalPause)
			case w == "ours":
				a.Recall = true
			case w == "blocked":
				a.Blocked = "waits for redis (not there)"
			default:
				a.Since = epoch.Add(-duration(w))
			}
		}
		s.Actors = append(s.Actors, a)
	}
	return s, p
}
