package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What the README promises, each against a real daemon in a process of its own.

const bashPool = "  bash: {max: 4, idle_timeout: 60s}\n"

func onBoth(t *testing.T, test func(*testing.T, redisKind)) {
	for _, k := range []redisKind{withServer, withEmbedded} {
		t.Run(string(k), func(t *testing.T) { test(t, k) })
	}
}

// A submission that got its receipt runs, also when the daemon is killed right
// after the receipt.
func TestAcceptedIsRunAfterTheDaemonWasKilled(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, bashPool)
		r.submit("bash", "accepted", "echo ran")
		r.kill()
		r.up()
		r.until("the job's end", func() bool { return r.isEnded("accepted") })
		if v := r.record("accepted"); strings.TrimSpace(v.Output) != "ran" {
			t.Errorf("output %q", v.Output)
		}
	})
}

// isEnded looks at the facts and, because an end may have been told before we
// listened, at the record.
func (r *rig) isEnded(id string) bool {
	if len(r.ends[id]) > 0 {
		return true
	}
	s := r.record(id).Status
	return s == "finished" || s == "error"
}

// The daemon is killed in the middle of 200 jobs: the actors keep working, the
// next daemon finds the same processes, and each job ends once and runs once.
func TestDaemonKilledInTheMiddleOf200Jobs(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, bashPool)
		ledger := filepath.Join(filepath.Dir(r.dir), "ledger")
		for _, id := range ids(200) {
			r.submit("bash", id, "sleep 0.02; echo $HERO_JOB_ID >> "+ledger)
		}
		r.until("60 jobs", func() bool { return len(r.ends) >= 60 })
		before := r.lives
		r.kill()
		r.up()
		r.until("all jobs", func() bool {
			for _, id := range ids(200) {
				if !r.isEnded(id) {
					return false
				}
			}
			return true
		})
		for name, life := range before {
			if !life.Alive() {
				t.Errorf("%s: the process of before is gone", name)
			}
			if now := r.lives[name]; now != life {
				t.Errorf("%s: told as %s, was %s", name, now, life)
			}
		}
		once(t, ledger, 200)
	})
}

// once checks the ledger that the scripts wrote outside Redis.
func once(t *testing.T, ledger string, want int) {
	t.Helper()
	b, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string]int{}
	for _, id := range strings.Fields(string(b)) {
		runs[id]++
	}
	for id, n := range runs {
		if n != 1 {
			t.Errorf("%s ran %d times", id, n)
		}
	}
	if len(runs) != want {
		t.Errorf("%d jobs ran, want %d", len(runs), want)
	}
}

// Redis is emptied in the middle of 200 jobs: all of them end.
func TestRedisEmptiedInTheMiddleOf200Jobs(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, bashPool)
		for _, id := range ids(200) {
			r.submit("bash", id, "sleep 0.02; echo $HERO_JOB_ID")
		}
		r.until("60 jobs", func() bool { return len(r.ends) >= 60 })
		c := r.redis()
		if err := c.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		r.until("all jobs", func() bool { return len(r.ends) == 200 })
	})
}

func (r *rig) redis() *redis.Client {
	r.t.Helper()
	opt, err := redis.ParseURL(r.d.run.Redis)
	if err != nil {
		r.t.Fatal(err)
	}
	c := redis.NewClient(opt)
	r.t.Cleanup(func() { c.Close() })
	return c
}

// A Hero job that somebody pushes by hand while nothing runs is run.
func TestJobPushedByHandRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, bashPool)
		c := r.redis()
		now := time.Now().UTC().Format(time.RFC3339)
		err := c.HSet(t.Context(), "hero:job:by-hand", "id", "by-hand", "caller_id", "me", "context_id", "here", "script", "echo $CALLER_ID $CONTEXT_ID",
			"script_type", "bash", "timeout", "10", "retries", "0", "concurrent", "false", "created_at", now, "updated_at", now, "status", "dispatched").Err()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.LPush(t.Context(), "hero:q:work:type:bash", "by-hand").Err(); err != nil {
			t.Fatal(err)
		}
		r.until("the job's end", func() bool { return len(r.ends["by-hand"]) > 0 })
		if got := c.HGet(t.Context(), "hero:job:by-hand", "output").Val(); strings.TrimSpace(got) != "me here" {
			t.Errorf("output %q", got)
		}
		reply, err := c.BLPop(t.Context(), time.Second, "hero:q:reply:by-hand").Result()
		if err != nil || strings.TrimSpace(reply[1]) != "me here" {
			t.Errorf("reply %v %v", reply, err)
		}
	})
}

// An actor is killed in the middle of a job: the job runs again on another, and
// by then nothing of the first attempt is alive, not even what its script left
// in the background.
func TestNothingOfADeadAttemptLivesWhenTheNextBegins(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, "  bash: {max: 2, min: 2, idle_timeout: 60s, restart: {crash_loop: {exits: 9, within: 2m}}}\n")
		r.until("two idle actors", func() bool { return r.count("idle") == 2 })
		dir := t.TempDir()
		script := `
if [ "$HERO_ATTEMPT" = 1 ]; then
  sleep 1000 & sleep 1001 & echo $$ $(jobs -p) > ` + dir + `/pids.tmp; mv ` + dir + `/pids.tmp ` + dir + `/pids
  wait
fi
for p in $(cat ` + dir + `/pids); do kill -0 $p 2>/dev/null && echo alive $p; done
echo checked`
		for round := range 5 {
			id := ids(5)[round]
			_ = os.Remove(filepath.Join(dir, "pids"))
			r.submit("bash", id, script)
			r.until("its first start", func() bool { return len(r.starts[id]) == 1 })
			waitFile(t, filepath.Join(dir, "pids"))
			if err := syscall.Kill(r.starts[id][0].Incarnation.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			r.until("its end", func() bool { return len(r.ends[id]) > 0 })
			if v := r.record(id); strings.TrimSpace(v.Output) != "checked" {
				t.Errorf("round %d: %q", round, v.Output)
			}
			r.until("two idle actors again", func() bool { return r.count("idle") == 2 })
		}
	})
}

// The same with every poll set to an hour: nothing but the exit itself brings
// the job to the next actor.
func TestADeathIsSeenWithoutPolling(t *testing.T) {
	r := newRigPolling(t, "  bash: {max: 2, min: 2, idle_timeout: 60s}\n", time.Hour)
	r.until("two idle actors", func() bool { return r.count("idle") == 2 })
	r.submit("bash", "victim", `[ "$HERO_ATTEMPT" = 1 ] && sleep 1000; echo second`)
	r.until("its start", func() bool { return len(r.starts["victim"]) == 1 })
	if err := syscall.Kill(r.starts["victim"][0].Incarnation.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("its end", func() bool { return len(r.ends["victim"]) > 0 })
	if v := r.record("victim"); strings.TrimSpace(v.Output) != "second" || r.starts["victim"][1].Incarnation == r.starts["victim"][0].Incarnation {
		t.Errorf("%+v, started %+v", v, r.starts["victim"])
	}
	r.until("two idle actors again", func() bool { return r.count("idle") == 2 })
}

func waitFile(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not appear", path)
		case <-time.After(time.Millisecond): // a script in another process writes it
		}
	}
}
