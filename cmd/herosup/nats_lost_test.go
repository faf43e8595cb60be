package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herosup/dispatch/client"
	"herosup/events"
	"herosup/monitor"
)

// A NATS server of one's own that comes back without its streams, as one without a lasting folder does, takes no job: that is told, with what
// to do, and what Redis has goes on over it.
func TestANATSServerThatHasLostTheLog(t *testing.T) {
	n := startNATS(t)
	r := newRigOn(t, n, bashPool)
	if _, err := r.d.jobs.Submit(t.Context(), "bash", "true", client.Options{ID: "kept", Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	r.until("Redis has it", func() bool { return r.queued["kept"] == 1 })
	n.kill()
	if err := os.RemoveAll(filepath.Join(n.dir, "js")); err != nil {
		t.Fatal(err)
	}
	n.start()
	var s monitor.Status
	r.poll("status tells it", func() bool {
		return r.d.ask(t.Context(), events.SystemStatus{}, &s) == nil && s.Log.State == monitor.LinkLost
	})
	if s.Well || !strings.Contains(strings.Join(s.Findings, "\n"), "herosup up") {
		t.Errorf("well %v: %v", s.Well, s.Findings)
	}
	if out, err := r.command("down").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r.d.close()
	r.up()
	r.submit("bash", "new", "true")
	r.until("a job by the new log", func() bool { return len(r.ends["new"]) == 1 })
	if v := r.record("kept"); v.State != "delayed" {
		t.Errorf("what Redis had: %+v", v)
	}
}
