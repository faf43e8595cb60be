package main

import (
	"encoding/json"
	"testing"
	"time"

	"herosup/dispatch"
	"herosup/monitor"
)

// dispatch explains jobs by what monitor says of pools and actors, and imports it not:
// the two agree on the members' names.
func TestExplainReadsWhatTheMonitorSays(t *testing.T) {
	var p dispatch.PoolState
	pass(t, monitor.Pool{
		Name: "n", Types: []string{"t"}, Have: 1, Want: 2, Max: 3, Reason: "r", Degraded: "d", Paused: true, Override: &monitor.Override{Count: 4, Until: time.Now()},
	}, &p)
	if p.Name != "n" || len(p.Types) != 1 || p.Types[0] != "t" || p.Have != 1 || p.Want != 2 || p.Max != 3 || p.Reason != "r" || p.Degraded != "d" || !p.Paused ||
		p.Override == nil || p.Override.Count != 4 {
		t.Errorf("%+v", p)
	}
	var a dispatch.ActorState
	pass(t, monitor.Actor{Name: "n", Pool: "p", State: "s", Job: "j", Reason: "r"}, &a)
	if a != (dispatch.ActorState{Name: "n", Pool: "p", State: "s", Job: "j", Reason: "r"}) {
		t.Errorf("%+v", a)
	}
}

func pass(t *testing.T, from, to any) {
	t.Helper()
	b, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		t.Fatal(err)
	}
}
