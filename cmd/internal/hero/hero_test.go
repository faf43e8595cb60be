package hero

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herosup/dispatch/actor"
	"herosup/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the python program with a style of writing.
func start(t *testing.T, style string, concurrency int, log *slog.Logger) (*Program, error) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		if strings.Contains(","+os.Getenv("HEROSUP_REQUIRE")+",", ",python3,") {
			t.Fatal("python3 is required and not here")
		}
		t.Skip("MISSING here: python3; this test did not run")
	}
	program, err := filepath.Abs("../../../testdata/actors/hero_actor.py")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	if style == "other" {
		end()
		ctx, end = context.WithTimeout(t.Context(), time.Second)
		defer end()
	}
	return Start(ctx, Config{
		Command: []string{"python3", program, "--redis-url", "{redis}", "--actor-id", "osis_1"}, Type: "osis", Concurrency: concurrency,
		Grace: time.Second, Env: append(os.Environ(), "HERO_STYLE="+style), Log: log,
	})
}

func program(t *testing.T, style string, concurrency int) *Program {
	t.Helper()
	p, err := start(t, style, concurrency, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func job(id, script string) actor.Job {
	return actor.Job{ID: id, Type: "osis", Script: script, CallerID: "me", ContextID: "here", Env: map[string]string{"GREETING": "hi"}, Attempt: 1}
}

// However a program says its end, it is seen, and nothing of a job stays in its Redis.
func TestEndsOfAllStyles(t *testing.T) {
	for _, style := range []string{"", "late"} {
		t.Run("style "+style, func(t *testing.T) {
			p := program(t, style, 1)
			for i, c := range []struct {
				script, output, problem string
			}{
				{"print(CALLER_ID, CONTEXT_ID, __import__('os').environ['GREETING'])", "me here hi\n", ""},
				{"print(sorted(job))", "['caller_id', 'concurrent', 'context_id', 'created_at', 'env_vars', 'id', 'retries', " +
					"'script', 'script_type', 'status', 'timeout', 'updated_at']\n", ""},
				{"pass", "", ""},
				{"print('ü' * 3)", "üüü\n", ""},
				{"1/0", "", "ZeroDivisionError"},
				{"ping", "pong", ""},
			} {
				out := p.Run(t.Context(), job(fmt.Sprint("j", i), c.script)) // what is written late is of that job
				if out.Output != c.output || out.Failed != (c.problem != "") || !strings.Contains(out.Error, c.problem) {
					t.Errorf("%s: %+v", c.script, out)
				}
			}
			if err := p.Healthy(t.Context()); err != nil {
				t.Error(err)
			}
			until(t, "nothing left in its Redis", func() bool {
				p.forget("j1") // as the next job will
				return len(p.redis.Keys(t.Context(), "*").Val()) <= 1
			})
			select {
			case e := <-p.Lost():
				t.Errorf("it ended: %s", e)
			default:
			}
		})
	}
}

// A job whose time is up takes the program with it, which comes back; one that was not begun is just taken back.
func TestAJobThatIsTakenBack(t *testing.T) {
	p := program(t, "", 2)
	first := p.child.leader
	begun := filepath.Join(t.TempDir(), "begun")
	ctx, end := context.WithCancelCause(t.Context())
	var both sync.WaitGroup
	both.Go(func() {
		out := p.Run(ctx, job("long", fmt.Sprintf("open(%q, 'w').close()\nwhile True: pass", begun)))
		if !out.Failed || out.Reason != actor.ReasonTimeout {
			t.Errorf("the one that ran: %+v", out)
		}
	})
	until(t, "its begin", func() bool { _, err := os.Stat(begun); return err == nil })
	waits, endWaits := context.WithCancelCause(t.Context())
	both.Go(func() {
		if out := p.Run(waits, job("behind", "pass")); !out.Failed || out.Reason != actor.ReasonCancelled {
			t.Errorf("the one behind it: %+v", out)
		}
	})
	until(t, "the job behind it", func() bool { return p.redis.LLen(t.Context(), workKey+"osis").Val() == 1 })
	endWaits(actor.ErrCancelled)
	until(t, "its end", func() bool { return p.redis.LLen(t.Context(), workKey+"osis").Val() == 0 })
	if !first.Alive() {
		t.Error("the program was ended for a job that it had not begun")
	}
	end(actor.ErrTimeout)
	both.Wait()
	if first.Alive() || p.child.leader == first {
		t.Error("the program runs on with a job whose time is up")
	}
	if out := p.Run(t.Context(), job("next", "print('well')")); out.Output != "well\n" {
		t.Errorf("after it came back: %+v", out)
	}
}

// The program's own death is told as it happened, and its job gets no end.
func TestTheProgramsDeathIsTold(t *testing.T) {
	p := program(t, "", 1)
	ended := make(chan actor.Outcome, 1)
	go func() {
		ended <- p.Run(context.WithoutCancel(t.Context()), job("killer", "import os; os.kill(os.getpid(), 9)"))
	}()
	if e := <-p.Lost(); e.Code != -1 || e.Signal != syscall.SIGKILL || e.String() != "signal killed" {
		t.Errorf("%+v %s", e, e)
	}
	select {
	case out := <-ended:
		t.Errorf("its job has ended: %+v", out)
	case <-time.After(20 * time.Millisecond):
	}
	if err := p.Healthy(t.Context()); err == nil {
		t.Error("it is well")
	}
}

func TestAProgramThatDoesNotCome(t *testing.T) {
	for name, argv := range map[string][]string{
		"no such file":          {"/does/not/exist"},
		"before it asked for a": {"false"},
	} {
		if _, err := Start(t.Context(), Config{Command: argv, Type: "osis"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", argv, err)
		}
	}
	var log strings.Builder
	_, err := start(t, "other", 1, slog.New(slog.NewTextHandler(&log, nil)))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(log.String(), "hero:q:work:type:other") {
		t.Errorf("one that waits elsewhere: %v\n%s", err, &log)
	}
}

// What it left behind ends with it.
func TestStopEndsTheWholeGroup(t *testing.T) {
	p := program(t, "", 1)
	out := p.Run(t.Context(), job("j", "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid)"))
	var pid int
	if _, err := fmt.Sscan(out.Output, &pid); err != nil {
		t.Fatal(out)
	}
	left, err := events.IncarnationOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	leader := p.child.leader
	p.child.end(time.Second)
	until(t, "the end of all", func() bool { return !left.Alive() && !leader.Alive() })
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for %s", what)
		}
		<-time.After(time.Millisecond) // of another process
	}
}
