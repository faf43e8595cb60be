package actor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"herosup/dispatch/runner"
	"herosup/dispatch/store"
)

// Every code of the store has its step, or ends the actor; none is taken for another.
func TestSteps(t *testing.T) {
	t.Parallel()
	all := []store.Code{
		store.OK, store.Same, store.Conflict, store.Gap, store.GotJob, store.Idle, store.Again, store.Closed, store.Unregistered,
		store.Superseded, store.Stale, store.Unknown, store.Running, store.EndedCode, store.Full, store.Gone, store.Higher,
		store.Other, store.NotWanted, "NEW",
	}
	exchange := map[store.Code]step{
		store.GotJob: stepWait, store.Idle: stepWait, store.Closed: stepWait, store.NotWanted: stepWait, store.Again: stepAsk,
		store.Unregistered: stepHello,
	}
	told := map[store.Code]bool{store.OK: true, store.Stale: false, store.Unknown: false}
	for _, code := range all {
		if got, err := afterExchange(code); got != exchange[code] || (err == nil) != (exchange[code] != "") {
			t.Errorf("exchange %s: %q %v", code, got, err)
		}
		want, known := told[code]
		if got, err := afterTold(code); got != want || (err == nil) != known {
			t.Errorf("told %s: %v %v", code, got, err)
		}
		err := afterHello(code)
		if (code == store.OK) != (err == nil) || errors.Is(err, ErrSuperseded) != (code == store.Superseded) {
			t.Errorf("hello %s: %v", code, err)
		}
	}
	for kind, want := range map[store.WakeKind]step{
		store.WakeNone: stepAsk, store.WakeRing: stepAsk, store.WakeJob: stepWait, store.WakePing: stepWait, "new": stepAsk,
	} {
		if got := afterWake(kind); got != want {
			t.Errorf("wake %q: %q", kind, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for n, want := range []time.Duration{50, 100, 200, 400, 500, 500} {
		want *= time.Millisecond
		if got := backoff(n, 0); got != want {
			t.Errorf("backoff(%d): %v, want %v", n, got, want)
		}
		if got := backoff(n, 1); got != max(want/2, 50*time.Millisecond) {
			t.Errorf("backoff(%d) with all jitter: %v", n, got)
		}
	}
	if got := backoff(1<<40, 0); got != 500*time.Millisecond {
		t.Errorf("late: %v", got)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ask, stop := context.WithCancel(t.Context())
		ts, end := newTimes(ask, time.Minute, time.Second)
		begun := time.Now()
		stop()
		<-ts.work.Done()
		if d := time.Since(begun); d != time.Minute || !errors.Is(context.Cause(ts.work), ErrStopped) || ts.last.Err() != nil {
			t.Errorf("work ended after %v with %v; last: %v", d, context.Cause(ts.work), ts.last.Err())
		}
		<-ts.last.Done()
		if d := time.Since(begun); d != time.Minute+time.Second {
			t.Errorf("last ended after %v", d)
		}
		end()
	})
	synctest.Test(t, func(t *testing.T) {
		ts, end := newTimes(t.Context(), time.Minute, time.Minute)
		end()
		if ts.work.Err() == nil || ts.last.Err() == nil {
			t.Error("not ended")
		}
	})
}

func TestScriptOutcome(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   runner.Result
		want Outcome
	}{
		"finished": {runner.Result{Ran: true, Output: "o", ErrorText: "warned"}, Outcome{Output: "o", ExitCode: "0"}},
		"exit, said why": {
			runner.Result{Ran: true, ExitCode: 3, ErrorText: "why\n"},
			Outcome{Failed: true, Reason: "exit 3", ExitCode: "3", Error: "why\n"},
		},
		"exit, silent": {
			runner.Result{Ran: true, ExitCode: 3, Output: "o"},
			Outcome{Failed: true, Reason: "exit 3", ExitCode: "3", Error: "exit status 3", Output: "o"},
		},
		"signal": {
			runner.Result{Ran: true, ExitCode: -1, Signal: "SIGSEGV"},
			Outcome{Failed: true, Reason: "signal SIGSEGV", Error: "the interpreter was ended by SIGSEGV"},
		},
		"timeout": {
			runner.Result{Ran: true, TimedOut: true, ExitCode: -1, Signal: "SIGKILL", ErrorText: "late\n"},
			Outcome{Failed: true, Reason: "timeout", Error: "timed out after 2s\nlate\n"},
		},
		"timeout, exit 0 in the grace": {
			runner.Result{Ran: true, TimedOut: true},
			Outcome{Failed: true, Reason: "timeout", Error: "timed out after 2s", ExitCode: "0"},
		},
		"timeout before it began": {
			runner.Result{TimedOut: true, Err: ErrTimeout, ExitCode: -1},
			Outcome{Failed: true, Reason: "timeout", Error: "timed out after 2s, before the script could begin"},
		},
		"not started": {
			runner.Result{Err: runner.ErrEmptyScript, ExitCode: -1},
			Outcome{Failed: true, Reason: "not started", Error: "the script is empty"},
		},
		"stopped": {
			runner.Result{Ran: true, Err: ErrStopped, ExitCode: -1, Signal: "SIGTERM"},
			Outcome{Failed: true, Reason: "stopped", Error: "the actor was stopped"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, scriptOutcome(tc.in, 2*time.Second)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScriptEnv(t *testing.T) {
	t.Parallel()
	got := scriptEnv(map[string]string{"A": "pool", "B": "pool"}, Job{
		ID: "j1", CallerID: "c", ContextID: "x", Attempt: 2, Env: map[string]string{"A": "job", "HERO_JOB_ID": "forged"},
	})
	want := map[string]string{"A": "job", "B": "pool", "CALLER_ID": "c", "CONTEXT_ID": "x", "HERO_JOB_ID": "j1", "HERO_ATTEMPT": "2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestScriptHandlerWantsItsInterpreter(t *testing.T) {
	t.Parallel()
	for _, argv := range [][]string{nil, {"no-such-interpreter"}} {
		if _, err := ScriptHandler(ScriptConfig{Interpreter: argv}); err == nil {
			t.Errorf("%v is taken", argv)
		}
	}
}

// What is in hand is told in the order in which it came: Redis keeps it, and gives it back in that order if we die.
func TestWhatIsInHandIsToldInOrder(t *testing.T) {
	l := &loop{running: map[hold]*slot{}}
	now := time.Now()
	var want []string
	for i := range 50 {
		s := &slot{job: store.Claimed{ID: fmt.Sprint("j", i)}, begun: now.Add(time.Duration(i) * time.Millisecond), lost: i == 7}
		l.running[holdOf(s.job)] = s
		if !s.lost {
			want = append(want, s.job.ID)
		}
	}
	l.waiting = []store.Claimed{{ID: "next"}}
	jobs, settle := l.inHandSince()
	var got []string
	for _, j := range jobs {
		got = append(got, j.ID)
	}
	if !slices.Equal(got, append(want, "next")) || len(settle) != len(jobs) {
		t.Error(got)
	}
}
