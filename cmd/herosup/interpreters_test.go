package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herosup/events"
	"herosup/monitor"
)

// A missing interpreter is the pool's condition and no job's fault: jobs wait, status says what is missing and how to get
// it, and when it is there the pool starts. With the real rhai-run, and with bash under another name.
func TestMissingInterpreterIsThePoolsCondition(t *testing.T) {
	rhai, err := exec.LookPath("rhai-run")
	if err != nil {
		needs(t, "rhai", "rhai-run")
	}
	r := prepare(t, withServer, "  osis: {max: 1}\n  bask: {max: 1, interpreter: bask -s}\n")
	bin := pathWithout(t, filepath.Join(t.TempDir(), "bin"))
	link(t, "redis-server", filepath.Join(bin, "redis-server"))
	r.env = append(r.env, "PATH="+bin)
	r.up()
	r.submit("osis", "o1", `print("rhai for " + CALLER_ID + "."); `)
	r.submit("bask", "b1", `echo bask`)
	r.until("both queued", func() bool { return len(r.queued) == 2 })

	// Twice: a restarted daemon says so again.
	for range 2 {
		out, err := r.command("status").CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitUnwell {
			t.Errorf("status ends with %v:\n%s", err, out)
		}
		for _, want := range []string{
			"pool osis can not start actors: rhai-run, which runs jobs of type osis, is not on the PATH (hint: cargo install --locked rhai --bin rhai-run",
			"pool bask can not start actors: bask is not on this machine's PATH (hint: install it",
		} {
			if !strings.Contains(string(out), want) {
				t.Errorf("status has no %q:\n%s", want, out)
			}
		}
		if out, err := r.command("get", "pools").CombinedOutput(); err != nil || strings.Count(string(out), "can not start actors") != 2 {
			t.Errorf("get pools: %v\n%s", err, out)
		}
		for _, id := range []string{"o1", "b1"} {
			if v := r.record(id); v.Status != "dispatched" {
				t.Errorf("%s: %+v", id, v)
			}
		}
		if len(r.states) > 0 {
			t.Errorf("actors were started: %v", r.states)
		}
		r.kill()
		r.up()
	}

	link(t, rhai, filepath.Join(bin, "rhai-run"))
	link(t, "bash", filepath.Join(bin, "bask"))
	resumed := time.Now()
	for _, pool := range []string{"osis", "bask"} {
		if out, err := r.command("resume", pool).CombinedOutput(); err != nil {
			t.Fatalf("resume %s: %v\n%s", pool, err, out)
		}
	}
	r.until("both ended", func() bool { return len(r.ends) == 2 })
	if d := time.Since(resumed); d > 15*time.Second {
		t.Errorf("took %v: found by the next look and not by the resume", d)
	}
	if v := r.record("o1"); v.Status != "finished" || v.Output != "rhai for .\n" {
		t.Errorf("%+v", v)
	}
	if v := r.record("b1"); v.Status != "finished" || v.Output != "bask\n" {
		t.Errorf("%+v", v)
	}
	var s monitor.Status
	if err := r.d.ask(t.Context(), events.SystemStatus{}, &s); err != nil || !s.Well {
		t.Errorf("%v, findings %q", err, s.Findings)
	}
}

// One that goes while its actor lives: the job that meets it is given back, not failed, the pool says what is missing, no actor
// is replaced, and all goes on when it is there again.
func TestInterpreterThatGoesWhileItsActorLives(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := prepare(t, k, "  bask: {max: 1, idle_timeout: 1h, interpreter: bask -s}\n  mask: {max: 2, idle_timeout: 1h, concurrency: 3, interpreter: 'mask {script.sh}'}\n")
		bin := pathWithout(t, filepath.Join(t.TempDir(), "bin"))
		if k == withServer {
			link(t, "redis-server", filepath.Join(bin, "redis-server"))
		}
		bask, mask := filepath.Join(bin, "bask"), filepath.Join(bin, "mask")
		link(t, "bash", bask)
		link(t, "bash", mask)
		r.env = append(r.env, "PATH="+bin)
		r.up()
		r.submit("bask", "b1", `echo one`)
		r.submit("mask", "m1", `echo one`)
		begun, stop := filepath.Join(bin, "begun"), filepath.Join(bin, "stop")
		r.submit("mask", "long", ": > "+begun+"; until [ -e "+stop+" ]; do read -t 0.01 <> <(:); done; echo well")
		r.until("both", func() bool { return len(r.ends) == 2 })
		waitFile(t, begun)

		for _, at := range []string{bask, mask} {
			if err := os.Remove(at); err != nil {
				t.Fatal(err)
			}
		}
		later := []string{"b2", "b3", "m2", "m3", "m4"}
		for _, id := range later {
			r.submit(map[byte]string{'b': "bask", 'm': "mask"}[id[0]], id, "echo "+id)
		}
		r.until("the first of each back", func() bool { return r.retried["b2"] > 0 && r.retried["m2"] > 0 })
		for _, name := range []string{"bask", "mask"} {
			want := fmt.Sprintf("pool %s can not start actors: %s is not on this machine's PATH (hint: install it", name, name)
			r.until(want, func() bool {
				out, _ := r.command("status").CombinedOutput()
				return strings.Contains(string(out), want)
			})
		}
		for _, id := range later {
			if v := r.record(id); v.Status != "dispatched" || v.Crashes != 0 || len(r.ends[id]) > 0 {
				t.Errorf("%s: %+v", id, v)
			}
		}
		if v := r.record("b2"); len(v.History) != 1 || !strings.Contains(v.History[0].Reason, "start interpreter bask") {
			t.Errorf("%+v", v)
		}
		if err := os.WriteFile(stop, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.until("the end of the one that ran", func() bool { return len(r.ends["long"]) == 1 })

		link(t, "bash", bask)
		link(t, "bash", mask)
		r.until("all of them", func() bool { return len(r.ends) == 3+len(later) })
		for _, id := range later {
			if v := r.record(id); v.Status != "finished" || v.Output != id+"\n" || v.Crashes != 0 {
				t.Errorf("%s: %+v", id, v)
			}
		}
		if first, last := r.starts["b1"][0].Incarnation, r.starts["b3"][0].Incarnation; first != last {
			t.Errorf("the actor was replaced: %v, %v", first, last)
		}
	})
}

// A script in the interpreter's place whose own interpreter vanished (that of a version manager, mostly) is one that is missing: at the
// start, and while its actor lives.
func TestInterpreterThatIsAScriptForNothing(t *testing.T) {
	r := prepare(t, withServer, "  osis: {max: 1}\n  bask: {max: 1, idle_timeout: 1h, interpreter: 'bask {script.sh}'}\n")
	bin := pathWithout(t, filepath.Join(t.TempDir(), "bin"))
	link(t, "redis-server", filepath.Join(bin, "redis-server"))
	real := filepath.Join(bin, "real-bash")
	link(t, "bash", real)
	bask := filepath.Join(bin, "bask")
	for at, text := range map[string]string{bask: "#!/usr/bin/env real-bash\nexec bash \"$@\"\n", filepath.Join(bin, "rhai-run"): "#!/no/such/rhai\n"} {
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.env = append(r.env, "PATH="+bin)
	r.up()
	r.submit("osis", "o1", `print("x")`)
	r.submit("bask", "b1", `echo one`)
	r.until("one ended", func() bool { return len(r.ends["b1"]) == 1 })
	if v := r.record("b1"); v.Status != "finished" || v.Output != "one\n" {
		t.Fatalf("%+v", v)
	}
	if err := os.Remove(real); err != nil {
		t.Fatal(err)
	}
	r.submit("bask", "b2", `echo two`)
	for _, want := range []string{
		"pool osis can not start actors: " + filepath.Join(bin, "rhai-run") + " is a script for /no/such/rhai, which is not there (hint: cargo install --locked rhai --bin rhai-run",
		"pool bask can not start actors: " + bask + " is a script for real-bash, which is not there (hint: install it",
	} {
		r.until(want, func() bool {
			out, _ := r.command("status").CombinedOutput()
			return strings.Contains(string(out), want)
		})
	}
	if v := r.record("b2"); v.Status != "dispatched" || v.Crashes != 0 {
		t.Errorf("%+v", v)
	}
	link(t, "bash", real)
	r.until("the other ended", func() bool { return len(r.ends["b2"]) == 1 })
	if v := r.record("b2"); v.Status != "finished" || v.Output != "two\n" {
		t.Errorf("%+v", v)
	}
	if v := r.record("o1"); v.Status != "dispatched" || v.Attempts != 0 {
		t.Errorf("%+v", v)
	}
}

// link makes a program of this machine found under another path.
func link(t *testing.T, program, at string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, at); err != nil {
		t.Fatal(err)
	}
}
