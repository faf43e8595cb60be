package scaler

import (
	"strings"
	"testing"
	"time"
)

func TestConfigNamesEveryFault(t *testing.T) {
	bad := DefaultPolicy()
	bad.Max, bad.Min, bad.TargetBacklog, bad.IdleTimeout, bad.StaleAfter = -1, 2, 0, -time.Second, 0
	c := Config{Pools: []Pool{
		{Name: "x", Types: []string{"bash"}, Policy: bad},
		{Name: "a.b", Types: []string{"bash"}, Policy: DefaultPolicy()},
		{Name: "y", Types: []string{""}, Policy: DefaultPolicy()},
		{Name: "y", Types: []string{"v"}, Policy: DefaultPolicy()},
		{Name: strings.Repeat("n", 60), Types: []string{"v"}, Policy: DefaultPolicy()},
	}}
	want := `pools.x.max: got -1, want 0..1024 (0 lets jobs wait)
pools.x.min: got 2, want 0..0 (at most max)
pools.x.target_backlog: got 0, want 1..1000000 (1 gives every job an actor)
pools.x.idle_timeout: got -1s, want 0s..720h0m0s (0s stops an idle actor at once)
pools.x.stale_after: got 0s, want 100ms..1h0m0s (several times the measuring interval)
pools.a.b: name "a.b" has "." at position 2: only A-Z a-z 0-9 _ - are allowed
pools.y.type is empty: want 1 to 64 of A-Z a-z 0-9 _ -
pools.y: is there twice
pools.` + strings.Repeat("n", 60) + `: name is 60 bytes long, want at most 59 (actors are called <pool>_<n>)`
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, err := New(c, nil, nil); err == nil {
		t.Error("New takes it")
	}
	if err := (Config{Pools: bash(nil)}).Validate(); err != nil {
		t.Error(err)
	}
}
