package monitor

import (
	"testing"
	"time"

	"herosup/events"
)

// An actor of several slots: each job's time is its own, and what it does is known from its first job to its last.
func TestAnActorHoldsSeveralJobs(t *testing.T) {
	v := NewView(config())
	begin := func(id string, timeout events.Seconds, at time.Duration) {
		v.Fold(events.JobStarted{Type: "bash", Job: id, Actor: "bash_1", Incarnation: inc(1), Attempt: 1, Timeout: timeout}, epoch.Add(at))
	}
	holds := func(job string, n int) {
		t.Helper()
		if a := v.Actors("")[0]; a.Job != job || a.Holds != n {
			t.Errorf("it holds %s and %d in all, want %s and %d", a.Job, a.Holds, job, n)
		}
	}
	v.Fold(moved("bash_1", "starting", "idle", 1), epoch)
	begin("j1", 0, 0)
	begin("j2", 60, time.Second)
	begin("j3", 30, 2*time.Second)
	begin("j2", 60, 3*time.Second) // told again
	holds("j1", 3)
	same(t, run(v, 0, time.Minute, nobody), "42s overran j3 on bash_1: 40s")
	v.Fold(events.JobEnded{Type: "bash", Job: "j1", Actor: "bash_1", Incarnation: inc(1)}, epoch.Add(time.Minute))
	holds("j2", 2)
	same(t, run(v, 0, time.Hour, nobody), "1m11s overran j2 on bash_1: 1m10s") // and no ping: it is at work
	v.Fold(events.JobRetried{Type: "bash", Job: "j2", Actor: "bash_1", Incarnation: inc(1), Failed: true}, epoch.Add(time.Hour))
	holds("j3", 1)
	begin("j4", 0, time.Hour)
	v.Fold(events.ActorRegistered{Pool: "bash", Actor: "bash_1", Incarnation: inc(1), Anew: true, Holds: []string{"j4"}}, epoch.Add(time.Hour))
	holds("j4", 1)
	begin("j5", 0, time.Hour)
	v.Fold(events.ProcessExited{Pool: "bash", Actor: "bash_1", Incarnation: inc(1), Signal: "KILL"}, epoch.Add(time.Hour))
	holds("", 0)
}
