package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

var long = flag.Duration("long", 16*time.Second, "how long the long job runs; 10m for the proof in full")

// A healthy job is run once, however long it takes: past the lease (10 s), and past everything by which the daemon judges
// (signs of life, idle time, the look for jobs in no list, each 15 s), while an idle actor would take it at once.
func TestALongJobRunsOnce(t *testing.T) {
	r := newRig(t, withServer, "  bash: {max: 2, min: 2, idle_timeout: 1s, health: {ping_every: 2s, ping_timeout: 1s, ping_lost: 2}}\n")
	r.until("two idle actors", func() bool { return r.count("idle") == 2 })
	ledger := filepath.Join(filepath.Dir(r.dir), "ledger")
	r.submit("bash", "long", fmt.Sprintf("echo $HERO_JOB_ID >> %s; sleep %.3f; echo attempt $HERO_ATTEMPT", ledger, long.Seconds()))
	begin := time.Now()
	r.within(*long+30*time.Second, "the job's end", func() bool { return len(r.ends["long"]) > 0 })
	v := r.record("long")
	t.Logf("%v: %s after %d attempts, %d starts and %d returns told, output %q", time.Since(begin).Round(time.Millisecond), v.Status, v.Attempts, len(r.starts["long"]), r.retried["long"], v.Output)
	if v.Status != "finished" || v.Attempts != 1 || v.Output != "attempt 1\n" || len(r.starts["long"]) != 1 || r.retried["long"] != 0 || len(r.ends["long"]) != 1 {
		t.Errorf("%+v", v)
	}
	once(t, ledger, 1)
}
