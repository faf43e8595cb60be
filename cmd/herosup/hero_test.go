package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/events"
)

// heroPool is a pool of programs of the original protocol.
func heroPool(t *testing.T, more string) string {
	t.Helper()
	python, ok := lookPython()
	if !ok {
		needs(t, "python3", "python3")
	}
	program, err := filepath.Abs("../../testdata/actors/hero_actor.py")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("  osis: {protocol: hero, command: %s %s, %s}\n", python, program, more)
}

// A pool of programs that only know BLPOP: from zero and back, each job once and in order, and a death in mid-job
// brings the job to the next.
func TestProgramsOfTheOriginalProtocol(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, heroPool(t, "max: 2, idle_timeout: 1s"))
		dir := t.TempDir()
		jobs := ids(100)
		for _, id := range jobs {
			r.submit("osis", id, fmt.Sprintf("open(%q, 'a').write(job['id'] + '\\n'); print(job['id'])", filepath.Join(dir, "ledger")))
		}
		r.until("the end of all", func() bool { return len(r.ends) == len(jobs) })
		once(t, filepath.Join(dir, "ledger"), len(jobs))
		for _, id := range jobs {
			if e := r.ends[id][0]; e.Outcome != events.Finished {
				t.Errorf("%s: %+v", id, e)
			}
		}
		if v := r.record("job-7"); v.Output != "job-7\n" || v.Attempts != 1 {
			t.Errorf("%+v", v)
		}
		begun := filepath.Join(dir, "begun")
		r.submit("osis", "victim", fmt.Sprintf("import os, time\nif not os.path.exists(%q):\n  open(%q, 'w').close(); time.sleep(1000)\nprint('again')", begun, begun))
		r.until("its start", func() bool { return len(r.starts["victim"]) == 1 })
		waitFile(t, begun)
		if err := syscall.Kill(r.starts["victim"][0].Incarnation.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.until("its end", func() bool { return len(r.ends["victim"]) == 1 })
		if v := r.record("victim"); v.Output != "again\n" || v.Attempts != 2 || v.Crashes != 1 {
			t.Errorf("%+v", v)
		}
		r.submit("osis", "fails", "1/0")
		r.until("its end", func() bool { return len(r.ends["fails"]) == 1 })
		if v := r.record("fails"); v.State != "error" || !strings.Contains(v.Error, "ZeroDivisionError") {
			t.Errorf("%+v", v)
		}
		r.until("nobody", func() bool { return r.count("stopped") == len(r.states) })
	})
}

// An actor that is killed leaves the folder of its private Redis; its successor removes that, and has one of its own.
func TestKilledActorsPrivateFolder(t *testing.T) {
	tmp, err := os.MkdirTemp("/tmp", "ht") // short: the path of a socket has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	t.Setenv("TMPDIR", tmp)
	r := newRig(t, withEmbedded, heroPool(t, "max: 1"))
	folders := func() (names []string) {
		all, err := os.ReadDir(filepath.Join(tmp, fmt.Sprint("herosup-hero-", os.Getuid())))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			names = append(names, f.Name())
		}
		return names
	}
	var seen [][]string
	for _, id := range []string{"first", "second"} {
		r.submit("osis", id, "print(1)")
		r.until("its end", func() bool { return len(r.ends[id]) == 1 })
		seen = append(seen, folders())
		if id == "first" {
			if err := syscall.Kill(r.starts[id][0].Incarnation.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(seen[0]) != 1 || len(seen[1]) != 1 || seen[0][0] == seen[1][0] {
		t.Errorf("folders of the first and of the second: %q", seen)
	}
}

// The program's death in a job is that job's crash, with its cause: three, and it is given up.
func TestAProgramThatItsJobKills(t *testing.T) {
	r := newRig(t, withServer, heroPool(t, "max: 1, restart: {backoff: [10ms, 10ms], crash_loop: {exits: 9, within: 1m}}"))
	r.submit("osis", "poison", "import os; os.kill(os.getpid(), 11)")
	r.until("its end", func() bool { return len(r.starts["poison"]) == 3 && r.record("poison").State == "dead" })
	if v := r.record("poison"); v.Crashes != 3 || !strings.Contains(v.Cause, "SIGSEGV") {
		t.Errorf("%+v", v)
	}
}

// One who dispatches by the original protocol, on the daemon's Redis, is served: a record, an id on the
// list, and an answer on hero:q:reply.
func TestADispatcherOfTheOriginalProtocol(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, heroPool(t, "max: 1"))
		c := r.redis()
		now := time.Now().UTC().Format(time.RFC3339Nano)
		id := "3b241101-e2bb-4255-8caf-4136c566a962"
		if err := c.HSet(t.Context(), "hero:job:"+id, "id", id, "caller_id", "pk1", "context_id", "circle1", "script", "print(CALLER_ID, CONTEXT_ID)",
			"script_type", "osis", "timeout", "60", "retries", "0", "concurrent", "false", "created_at", now, "updated_at", now, "status", "dispatched").Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.LPush(t.Context(), "hero:q:work:type:osis", id).Err(); err != nil {
			t.Fatal(err)
		}
		reply, err := c.BLPop(t.Context(), 20*time.Second, "hero:q:reply:"+id).Result()
		if err != nil || strings.TrimSpace(reply[1]) != "pk1 circle1" {
			t.Errorf("reply %v %v", reply, err)
		}
		if got := c.HMGet(t.Context(), "hero:job:"+id, "status", "output").Val(); got[0] != "finished" || got[1] != "pk1 circle1\n" {
			t.Errorf("record %v", got)
		}
	})
}
