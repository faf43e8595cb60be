package actor

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"herosup/dispatch/store"
)

// python starts the actor of testdata/actors/actor.py, which speaks the protocol by the scripts' published texts and
// dispatch/PROTOCOL.md alone. It is killed at the test's end.
func (b *bed) python(name string) *exec.Cmd {
	b.Helper()
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("HEROSUP_REQUIRE"), ","), "python3") {
			b.Fatal("HEROSUP_REQUIRE names python3 and it is not on PATH")
		}
		b.Skip("MISSING here: python3; the python actor did not run")
	}
	if err := b.s.PublishScripts(b.Context()); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(interpreter, filepath.Join("..", "..", "testdata", "actors", "actor.py"),
		"--redis-url", b.url, "--actor-id", name, "--type", "t")
	cmd.Stderr = &b.logs
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestPythonActorRunsJobs(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		waited := b.script("print(6 * 7)") // before there is an actor: by exchange
		b.python("p_1")
		if r := b.ended(waited); r.Status != store.StatusFinished || r.Output != "42\n" || r.Actor != "p_1" {
			t.Errorf("got %+v", r)
		}
		for script, want := range map[string]store.Record{
			"print('é' * 3)":     {Status: store.StatusFinished, Output: "ééé\n", ExitCode: "0"},
			"ping":               {Status: store.StatusFinished, Output: "pong", ExitCode: "0"},
			"print('a'); 1 / 0":  {Status: store.StatusError, Output: "a\n", ExitCode: "1", Reason: "exit 1", Error: "ZeroDivisionError"},
			"exit(3)":            {Status: store.StatusError, ExitCode: "3", Reason: "exit 3", Error: "SystemExit"},
			"exit('no')":         {Status: store.StatusError, ExitCode: "1", Reason: "exit 1", Error: "SystemExit: no"},
			"print(1); exit(0)":  {Status: store.StatusFinished, Output: "1\n", ExitCode: "0"},
			"import sys; exit()": {Status: store.StatusFinished, ExitCode: "0"},
			"raise TimeoutError": {Status: store.StatusError, ExitCode: "1", Reason: "exit 1", Error: "TimeoutError"},
		} {
			r := b.ended(b.script(script))
			if r.Status != want.Status || r.Output != want.Output || r.ExitCode != want.ExitCode || r.Reason != want.Reason || !strings.Contains(r.Error, want.Error) {
				t.Errorf("%s: got %+v", script, r)
			}
		}
		late := b.ended(b.accept(store.Submission{Script: "while True: pass", Timeout: 1e9}))
		if late.Status != store.StatusError || late.Reason != ReasonTimeout {
			t.Errorf("got %+v", late)
		}
		if n := b.count(store.FactStarted); n != 10 {
			t.Errorf("%d starts of 10 jobs", n)
		}
	})
}

func TestPythonActorAnswersPingAndGate(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.python("p_1")
		b.hello("p_1")
		b.ping("p_1", "n1")
		b.await("pong", func(f store.Fact) bool { return f.Kind == store.FactPong && f.Nonce == "n1" })
		b.gate(b.d.CloseGate, "p_1")
		id := b.script("print('after')")
		// A second ping comes behind whatever the actor might have done with the job.
		b.ping("p_1", "n2")
		b.await("pong", func(f store.Fact) bool { return f.Kind == store.FactPong && f.Nonce == "n2" })
		if r := b.record(id); r.Status != store.StatusDispatched {
			t.Errorf("a closed actor took a job: %+v", r)
		}
		b.gate(b.d.OpenGate, "p_1")
		if r := b.ended(id); r.Output != "after\n" {
			t.Errorf("got %+v", r)
		}
	})
}

// SIGKILL in mid-job: the job is given back and another runs it.
func TestKillOfAPythonActorInMidJob(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		pids, next := fifo(t)
		cmd := b.python("p_1")
		id := b.script("import os, time\nopen('" + pids + "', 'w').write(f'{os.getpid()}\\n')\nwhile not os.path.exists('" + pids + ".go'): time.sleep(0.01)")
		inc := incarnation(t, next())
		if start := b.started(id); start.Incarnation != inc.String() || inc.PID != cmd.Process.Pid {
			t.Errorf("incarnation %s, want %s", start.Incarnation, inc)
		}
		awaitExit(t, inc, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		if err := os.WriteFile(pids+".go", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		b.recover(inc.String(), false)
		b.python("p_2")
		next()
		if r := b.ended(id); r.Attempts != 2 || r.Actor != "p_2" || r.Status != store.StatusFinished {
			t.Errorf("got %+v", r)
		}
	})
}

// A cancel of what runs ends that, and nothing of what comes behind it.
func TestPythonActorHearsACancel(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		pids, next := fifo(t)
		b.python("p_1")
		id := b.script("import os, time\nopen('" + pids + "', 'w').write(f'{os.getpid()}\\n')\ntime.sleep(1000)")
		next()
		if c := patient(b, func() (store.Cancelled, error) { return b.d.Cancel(b.Context(), id) }); c.Code != store.Running {
			t.Errorf("%+v", c)
		}
		if r := b.ended(id); r.Status != store.StatusError || r.Reason != store.ReasonCancelled || r.Attempts != 1 {
			t.Errorf("got %+v", r)
		}
		if r := b.ended(b.script("print(2)")); r.Output != "2\n" || r.Attempts != 1 {
			t.Errorf("got %+v", r)
		}
	})
}

// Redis forgets its epoch under a waiting actor: when there is another it says hello again, and works.
func TestPythonActorAfterARebuild(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.python("p_1")
		b.hello("p_1")
		b.raise(2)
		b.ring("p_1")
		if r := b.ended(b.script("print(2)")); r.Output != "2\n" {
			t.Errorf("got %+v", r)
		}
	})
}

// Redis loses everything in the middle of a job: the actor says that it has it, and its one run counts.
func TestPythonActorKeepsItsJobOverARebuild(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		pids, next := fifo(t)
		b.python("p_1")
		script := "import os, time\nopen('" + pids + "', 'w').write(f'{os.getpid()}\\n')\nwhile not os.path.exists('" + pids + ".go'): time.sleep(0.01)\n" +
			"open('" + pids + ".runs', 'a').write('run\\n')\nprint('once')"
		id := b.script(script)
		inc := incarnation(t, next()).String()
		b.flush()
		if err := b.s.PublishScripts(b.Context()); err != nil {
			t.Fatal(err)
		}
		b.raise(2)
		for over := soonest(); ; {
			done, jobs, err := b.d.Asserted(b.Context())
			if err != nil {
				t.Fatal(err)
			}
			if done[inc] && jobs == 1 {
				break
			}
			if over() {
				t.Fatalf("it does not say what it holds: %v, %d jobs", done, jobs)
			}
		}
		b.accept(store.Submission{ID: id, Script: script}) // from the log
		if r := b.record(id); r.Status != store.StatusStarted || r.Actor != "p_1" || r.Attempts != 1 {
			t.Errorf("it is not left in its hand: %+v", r)
		}
		if err := os.WriteFile(pids+".go", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := b.ended(id); r.Status != store.StatusFinished || r.Output != "once\n" || r.Attempts != 1 {
			t.Errorf("got %+v", r)
		}
		if runs, err := os.ReadFile(pids + ".runs"); string(runs) != "run\n" || err != nil {
			t.Errorf("runs %q %v", runs, err)
		}
	})
}

func TestPythonActorsHealthCheck(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		cmd := b.python("p_1")
		check := append(slices.Clone(cmd.Args), "--health-check")
		if out, err := exec.Command(check[0], check[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		srv.stop()
		if err := exec.Command(check[0], check[1:]...).Run(); err == nil {
			t.Error("it is well without Redis")
		}
		srv.back()
	})
}

// An output that is no text ends the job, and not its actor.
func TestPythonActorsOddOutput(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		b.python("p_1")
		for script, want := range map[string]string{`print("a\ud800b")`: "a?b\n", `raise ValueError("\udfff")`: ""} {
			if r := b.ended(b.script(script)); r.Output != want || r.Attempts != 1 {
				t.Errorf("%s: got %+v", script, r)
			}
		}
	})
}

// The connection by which it says that it lives breaks in the middle of a job: it ends, and does not go on with a job that nobody renews.
func TestPythonActorWithoutItsSignOfLife(t *testing.T) {
	t.Parallel()
	b := newBed(t, realServer(t)) // miniredis can not be told to end a connection
	pids, next := fifo(t)
	cmd := b.python("p_1")
	b.script("import os, time\nopen('" + pids + "', 'w').write(f'{os.getpid()}\\n')\ntime.sleep(1000)")
	next()
	for over := soonest(); ; {
		list, err := b.client().ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if id := lastCalled(list, "get"); id != "" {
			if err := b.client().Do(t.Context(), "CLIENT", "KILL", "ID", id).Err(); err != nil {
				t.Fatal(err)
			}
			break
		}
		if over() {
			t.Fatalf("it does not look at the epoch:\n%s", list)
		}
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	if err := recv(t, gone); err == nil || !strings.Contains(b.logs.String(), "Traceback") {
		t.Errorf("%v; its log:\n%s", err, b.logs.String())
	}
}

// lastCalled is the id of a connection by its last command.
func lastCalled(list, command string) string {
	for line := range strings.Lines(list) {
		if strings.Contains(line, " cmd="+command+" ") {
			id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
			return id
		}
	}
	return ""
}
