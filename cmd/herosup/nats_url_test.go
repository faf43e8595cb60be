package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/dispatch"
	"herosup/dispatch/client"
	"herosup/events"
)

// newRigOn is newRig with the bus on a server of one's own.
func newRigOn(t *testing.T, n *ownNATS, pools string) *rig {
	t.Helper()
	r := prepare(t, withServer, pools+"nats: {url: \""+n.url()+"\"}\n")
	r.up()
	return r
}

// While a NATS server of one's own is away, what was accepted is run and actors are
// kept, with nothing left of those that die; when it is back, so is everything else.
func TestActorsAreKeptWithoutNATS(t *testing.T) {
	n := startNATS(t)
	r := newRigOn(t, n, "  bash: {min: 2, max: 2, restart: {backoff: [10ms, 20ms]}}\n")
	r.until("two idle actors", func() bool { return r.count("idle") == 2 })
	dir := t.TempDir()
	gate, runs := filepath.Join(dir, "go"), filepath.Join(dir, "runs")
	// It tells whether one that ran before it still does.
	r.submit("bash", "before", "touch "+runs+"; while read p; do grep -s 'State:.[RSD]' /proc/$p/status; done < "+runs+
		"; echo $$ >> "+runs+"; until [ -e "+gate+" ]; do sleep 0.01; done; echo ran")
	r.until("it runs", func() bool { b, _ := os.ReadFile(runs); return len(b) > 0 && len(r.starts["before"]) == 1 })
	busy := r.lives[r.starts["before"][0].Actor].PID

	n.kill()
	if err := syscall.Kill(busy, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if out, err := r.command("submit", "bash", "-e", "true").CombinedOutput(); err == nil {
		t.Errorf("a job is submitted without NATS: %s", out)
	}
	rdb := r.redis()
	r.poll("another process in the place of the killed one", func() bool {
		n := 0
		for _, inc := range rdb.HKeys(t.Context(), "hero:incarnations").Val() {
			if i, err := events.ParseIncarnation(inc); err == nil && i.Alive() && i.PID != busy {
				n++
			}
		}
		return n == 2
	})
	r.poll("the job's second run", func() bool { b, _ := os.ReadFile(runs); return strings.Count(string(b), "\n") == 2 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.poll("its end", func() bool { return rdb.HGet(t.Context(), "hero:job:before", "status").Val() == "finished" })

	n.start()
	for end := time.Now().Add(20 * time.Second); ; { // the client of the test connects again when it can
		if _, err := r.d.jobs.Submit(t.Context(), "bash", "echo back", client.Options{ID: "after"}); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	r.poll("an answer of the daemon", func() bool {
		return r.d.ask(t.Context(), events.JobShow{Job: "after"}, &dispatch.JobView{}) == nil
	})
	r.until("a job that came after", func() bool { return r.isEnded("after") })
	r.poll("an answer of the daemon to commands: its connections come back one by one", func() bool {
		_, err := r.d.bus.Conn().Request("$SRV.PING.daemon", nil, time.Second)
		return err == nil
	})
	if v := r.record("before"); strings.TrimSpace(v.Output) != "ran" || v.Attempts != 2 {
		t.Errorf("a job that ran without NATS: %d attempts, output %q", v.Attempts, v.Output)
	}
}

// A pool that sleeps wakes for a job that Redis has, and goes to sleep again, without the NATS server.
func TestAPoolWakesWithoutNATS(t *testing.T) {
	n := startNATS(t)
	r := newRigOn(t, n, "  bash: {min: 0, max: 1, idle_timeout: 10ms}\n")
	rdb := r.redis()
	if _, err := r.d.jobs.Submit(t.Context(), "bash", "true", client.Options{ID: "later", Delay: time.Second}); err != nil {
		t.Fatal(err)
	}
	r.poll("Redis has it", func() bool { return rdb.Exists(t.Context(), "hero:job:later").Val() == 1 })
	n.kill()
	r.poll("its end", func() bool { return rdb.HGet(t.Context(), "hero:job:later", "status").Val() == "finished" })
	r.poll("nobody, since there is nothing to do", func() bool {
		return !slices.ContainsFunc(rdb.HKeys(t.Context(), "hero:incarnations").Val(), func(inc string) bool {
			i, err := events.ParseIncarnation(inc)
			return err == nil && i.Alive()
		})
	})
	// Nobody can tell it to end by a server that is away; what does is said.
	want := fmt.Sprintf("kill %d", r.d.run.PID)
	if out, err := r.command("down").CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
		t.Errorf("down: %v, want %q\n%s", err, want, out)
	}
	n.start()
	r.poll("an answer of the daemon, which is to end now", func() bool {
		_, err := r.d.bus.Conn().Request("$SRV.PING.daemon", nil, time.Second)
		return err == nil
	})
}

// Another daemon does not take the jobs of this.
func TestOneDaemonPerNATSAccount(t *testing.T) {
	n := startNATS(t)
	r := newRigOn(t, n, bashPool)
	other := r.command("up")
	other.Env = append(other.Env, "HEROSUP_STATE="+filepath.Join(filepath.Dir(r.dir), "o"))
	out, err := other.CombinedOutput() // a start that fails leaves nothing behind
	if other.ProcessState.ExitCode() != exitRefused || !strings.Contains(string(out), "holds the jobs of another herosup") || !strings.Contains(string(out), "nats kv del HERO_STATE owner") {
		t.Errorf("up: %v\n%s", err, out)
	}
	for args, want := range map[string]string{
		"doctor":                        "(yours) answers",
		"status":                        "",
		"up --check --listen :1":        "--listen is for the bus of our own",
		"nats-context --role submitter": "one of our own server's",
	} {
		more, _ := r.command(strings.Fields(args)...).CombinedOutput() // other things here may not please the doctor
		if !strings.Contains(string(more), want) {
			t.Errorf("%s: want %q\n%s", args, want, more)
		}
		out = append(out, more...)
	}
	if strings.Contains(string(out), natsPassword) {
		t.Errorf("the password is shown:\n%s", out)
	}
	// Those who ask for the whole way in get it.
	if out, err := r.command("nats-context").CombinedOutput(); err != nil || !strings.Contains(string(out), n.url()) {
		t.Errorf("nats-context: %v\n%s", err, out)
	}
}

// poll waits for what other processes do and no fact tells.
func (r *rig) poll(what string, done func() bool) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("waited 20 s for: %s\n%s", what, r.log())
		}
	}
}
