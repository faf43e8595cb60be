package main

import (
	"flag"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

var idle = flag.Duration("idle", 10*time.Second, "how long the idle system is looked at; 10m has everything in it that ever comes")

// A hundred idle actors, processes of our own binary, and their daemon have Redis do little: all that INFO commandstats
// counts, what scripts run inside included. Most of a short look is what the daemon's nets cost each second; what an actor costs comes
// each five minutes (its wait is renewed) and each ten (it is asked for a sign of life).
func TestAnIdleSystemIsQuiet(t *testing.T) {
	notRaced(t)
	const actors, most = 100, 10 // a second
	r := newRig(t, withServer, fmt.Sprintf("  bash: {max: %d, min: %d}\n", actors, actors))
	r.until("all are idle", func() bool { return r.count("idle") == actors })
	c := r.redis()
	look := func() map[string]int {
		text, err := c.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		calls := map[string]int{}
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_"); ok {
				name, numbers, _ := strings.Cut(rest, ":")
				n := 0
				if _, err := fmt.Sscanf(numbers, "calls=%d", &n); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				calls[name] = n
			}
		}
		delete(calls, "info") // ours
		return calls
	}
	// The last of them has just said hello: the measure that follows is not what an idle system does. An unchanged one is told after
	// some, so behind the second it is over.
	from := r.measured
	r.until("two measures", func() bool { return r.measured >= from+2 })
	before := look()
	<-time.After(*idle) // what does not happen can not be waited for
	asked, total := look(), 0
	for name, n := range before {
		asked[name] -= n
	}
	maps.DeleteFunc(asked, func(_ string, n int) bool { total += n; return n == 0 })
	t.Logf("%d commands in %v, %.1f a second: %v", total, *idle, float64(total)/idle.Seconds(), asked)
	if total == 0 || float64(total) > most*idle.Seconds() {
		t.Errorf("%d commands in %v, want some and at most %d a second: %v", total, *idle, most, asked)
	}
}
