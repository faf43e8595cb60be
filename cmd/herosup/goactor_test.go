package main

import (
	"testing"
	"time"

	"herosup/dispatch/client"
)

// A pool's command that is a Go program of a few lines is told all by the daemon: which Redis and under which
// prefix, its type, how many jobs at a time, and the bounds that the end of a job needs.
func TestAGoProgramHasThePoolsSettings(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, "  mine: {type: odd, command: "+buildStamp(t)+", max: 1, concurrency: 2}\n"+
			"jobs: {retry_backoff: [700h, 720h], retries: 1}\nredis: {prefix: other}\n")
		r.submit("odd", "fails", "fail")
		r.until("the retry", func() bool { return r.retried["fails"] == 1 })
		// By default it would be a second at most.
		if v := r.record("fails"); time.Until(v.ReadyAt) < 10*time.Second || v.Retries != 1 {
			t.Errorf("runs again at %v, %d retries", v.ReadyAt, v.Retries)
		}
		for _, id := range []string{"one", "two"} {
			r.submit("odd", id, "hold")
		}
		r.until("both at a time", func() bool { return len(r.starts["one"]) == 1 && len(r.starts["two"]) == 1 })
		for _, id := range []string{"one", "two"} {
			if j, err := r.d.jobs.Cancel(t.Context(), id); err != nil || j.State != "cancelled" {
				t.Errorf("%+v %v", j, err)
			}
		}
		if res, err := r.d.jobs.Run(t.Context(), "odd", "x", client.Options{}); err != nil || !res.Finished {
			t.Errorf("%+v %v", res, err)
		}
	})
}
