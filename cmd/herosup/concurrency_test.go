package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/dispatch"
)

// Pools whose actors run several jobs at a time: as many actors as the jobs need, all jobs of a dead one run again, each alone, when
// none of its scripts is alive any more, and none is stopped that holds one.
func TestActorsOfSeveralSlots(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, "  bash: {max: 3, concurrency: 4, idle_timeout: 1s}\n")
		dir := t.TempDir()
		// Each waits until all eight have begun, which takes two actors of four slots; a first attempt waits on.
		script := fmt.Sprintf(`cd %s
echo $$ > $HERO_JOB_ID.$HERO_ATTEMPT.pid
for p in $(cat $HERO_JOB_ID.?.pid); do [ $p = $$ ] || ! kill -0 $p 2>/dev/null || echo alive $p; done
until set -- *.1.pid; [ $# = 8 ]; do sleep 0.01; done
until [ -e go ]; do sleep 0.01; done
echo done`, dir)
		jobs := ids(8)
		for _, id := range jobs {
			r.submit("bash", id, script)
		}
		r.until("the start of all", func() bool { return len(r.starts) == 8 })
		for _, id := range jobs {
			waitFile(t, filepath.Join(dir, id+".1.pid"))
		}
		by := map[string]int{}
		for _, id := range jobs {
			by[r.starts[id][0].Actor]++
		}
		if by["bash_1"] != 4 || by["bash_2"] != 4 || len(by) != 2 {
			t.Errorf("run by %v, want four on each of two actors", by)
		}
		r.until("the keeper knows of it", func() bool { return r.count("running") == 2 })
		list, err := r.d.actors(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			if a.State != "running" || a.Holds != 4 || a.Job == "" {
				t.Errorf("%s is %s and holds %d jobs, %q first", a.Name, a.State, a.Holds, a.Job)
			}
		}
		if err := syscall.Kill(r.lives["bash_1"].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// Each runs alone now: one on the actor that comes back, one on another; the rest when those have ended.
		again := func() (n int) {
			for _, s := range r.starts {
				n += len(s) - 1
			}
			return n
		}
		r.until("the start of two of the dead one's jobs", func() bool { return again() == 2 })
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.until("the end of all", func() bool { return len(r.ends) == 8 })
		for _, id := range jobs {
			v := r.record(id)
			if strings.TrimSpace(v.Output) != "done" {
				t.Errorf("%s: %q", id, v.Output)
			}
			if first := r.starts[id][0].Actor; v.Attempts != map[string]int{"bash_1": 2, "bash_2": 1}[first] {
				t.Errorf("%s began on %s and had %d attempts", id, first, v.Attempts)
			}
		}
		r.until("nobody", func() bool { return r.count("stopped") == len(r.states) })
	})
}

// Work that one actor can do is done by one: the others become idle for long enough to be stopped, while it goes on.
func TestATrickleKeepsOneActor(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, "  bash: {max: 3, idle_timeout: 1s}\n")
		dir := t.TempDir()
		for _, id := range ids(3) {
			r.submit("bash", id, fmt.Sprintf("cd %s; echo > %s; until set -- *; [ $# = 3 ]; do sleep 0.01; done", dir, id))
		}
		r.until("the end of three at a time", func() bool { return len(r.ends) == 3 })
		n := 0
		tick := time.NewTicker(100 * time.Millisecond) // the trickle: a job each
		defer tick.Stop()
		r.until("two stopped while one works", func() bool {
			select {
			case <-tick.C:
				n++
				r.submit("bash", fmt.Sprint("trickle-", n), "true")
			default:
			}
			return r.count("stopped") == 2
		})
		if up := len(r.states) - r.count("stopped"); up != 1 {
			t.Errorf("%d actors are up: %v", up, r.states)
		}
	})
}

// A pool of two types: one actor comes for both and runs each with its interpreter; what it held when it was killed goes back
// to both queues, turns are taken, and when neither has any work it is stopped.
func TestAPoolOfTwoTypes(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		needs(t, "python3", "python3")
	}
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, "  both: {max: 1, concurrency: 2, types: {bash: 1, python: }, idle_timeout: 1s}\n")
		dir := t.TempDir()
		r.submit("python", "p", fmt.Sprintf("import os, time\nopen(%q + os.environ['HERO_ATTEMPT'], 'w')\nwhile not os.path.exists(%q): time.sleep(0.01)\nprint('python')",
			filepath.Join(dir, "p"), filepath.Join(dir, "go")))
		r.submit("bash", "b", fmt.Sprintf("cd %s; echo > b$HERO_ATTEMPT; until [ -e go ]; do sleep 0.01; done; echo bash", dir))
		waitFile(t, filepath.Join(dir, "p1"))
		waitFile(t, filepath.Join(dir, "b1"))
		r.until("both starts", func() bool { return len(r.starts) == 2 })
		if err := syscall.Kill(r.lives["both_1"].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.until("one of them alone", func() bool { return len(r.starts["p"])+len(r.starts["b"]) == 3 })
		for i := range 8 { // all of one type, then all of the other
			r.submit([]string{"bash", "python"}[i/4], fmt.Sprint("more-", i), "# nothing")
		}
		r.until("the queuing of all", func() bool { return len(r.queued) == 10 })
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.until("the end of all", func() bool { return len(r.ends) == 10 })
		for id, want := range map[string]string{"p": "python", "b": "bash"} {
			if v := r.record(id); strings.TrimSpace(v.Output) != want || v.Attempts != 2 || v.Type != want {
				t.Errorf("%s: %+v", id, v)
			}
		}
		if first := []string{r.starts["more-0"][0].Type, r.starts["more-4"][0].Type}; first[0] != "bash" || first[1] != "python" {
			t.Errorf("began as %v", first)
		}
		if a, b := r.record("more-3").StartedAt, r.record("more-4").StartedAt; !b.Before(a) {
			t.Errorf("the first of python began at %v, behind the last of bash, %v", b, a)
		}
		r.until("nobody", func() bool { return r.count("stopped") == 1 && len(r.states) == 1 })
		r.submit("python", "last", "print(1)")
		r.until("the end of one that wakes it", func() bool { return r.isEnded("last") })
	})
}

// A job that kills its actor takes what is beside it along once: then it runs alone, is given up after its three crashes, and
// the others have none.
func TestAKillerAmongOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, "  bash: {max: 1, concurrency: 4, idle_timeout: 1s, restart: {crash_loop: {exits: 9, within: 1m}}}\n")
		dir := t.TempDir()
		all := fmt.Sprintf("cd %s; echo > $HERO_JOB_ID; until set -- *; [ $# = 4 ]; do sleep 0.01; done; ", dir)
		for _, id := range ids(3) {
			r.submit("bash", id, all+"[ $HERO_ATTEMPT = 2 ] || sleep 60")
		}
		r.submit("bash", "killer", all+"kill -9 $PPID; sleep 60")
		r.until("the end of the others", func() bool { return len(r.ends) == 3 })
		for _, id := range ids(3) {
			if v := r.record(id); v.Crashes != 0 || v.Attempts != 2 || v.State != dispatch.StateFinished || v.History[0].Outcome != "suspected" {
				t.Errorf("%+v", v)
			}
		}
		r.until("the killer is given up", func() bool { return r.record("killer").State == dispatch.StateDead })
		if v := r.record("killer"); v.Crashes != 3 || v.Attempts != 4 {
			t.Errorf("%+v", v)
		}
	})
}
