package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herosup/events"
)

func bash(script string) Spec {
	return Spec{Interpreter: []string{"bash"}, Script: script, Dir: scratchDir}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		tool string
		spec Spec
		want Result
	}{
		"output": {
			"bash", bash("echo hi; echo there"),
			Result{Output: "hi\nthere\n", Ran: true},
		},
		"stderr": {
			"bash", bash("echo out; echo oops >&2; exit 3"),
			Result{Output: "out\n", ErrorText: "oops\n", ExitCode: 3, Ran: true},
		},
		"signal": {
			"bash", bash("kill -SEGV $$"),
			Result{ExitCode: -1, Signal: "SIGSEGV", Ran: true},
		},
		"syntax error": {
			"bash", bash("echo first\nif"),
			Result{Output: "first\n", ErrorText: "bash: line 3: syntax error: unexpected end of file\n", ExitCode: 2, Ran: true},
		},
		"NUL and invalid UTF-8": {
			"bash", bash(`printf 'a\0b\377\376c\303\251'`),
			Result{Output: "a\x00b\uFFFDc\u00e9", Ran: true},
		},
		"no newline at the end": {"bash", bash("printf x"), Result{Output: "x", Ran: true}},
		"directory": {
			"bash",
			Spec{Interpreter: []string{"bash"}, Script: "pwd -P", Dir: dir},
			Result{Output: realPath(t, dir) + "\n", Ran: true},
		},
		"a command that does not read": {
			"bash",
			Spec{Interpreter: []string{"bash", "-c", "exit 4"}, Script: "echo no"},
			Result{ExitCode: 4, Ran: true},
		},
		"arguments": {
			"bash",
			Spec{Interpreter: []string{"bash", "-s", "a b", "c"}, Script: `echo "$1" "$2"`},
			Result{Output: "a b c\n", Ran: true},
		},
		"the script is the standard input": {
			"bash", bash("read -r line\nthis line is read\necho \"$line\""),
			Result{Output: "this line is read\n", Ran: true},
		},
		"python": {
			"python3",
			Spec{Interpreter: []string{"python3", "-"}, Script: "print(6*7)"},
			Result{Output: "42\n", Ran: true},
		},
		"python exit": {
			"python3",
			Spec{Interpreter: []string{"python3", "-"}, Script: "import sys\nprint('é')\nsys.exit(9)"},
			Result{Output: "é\n", ExitCode: 9, Ran: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, tc.tool)
			if diff := cmp.Diff(tc.want, Run(t.Context(), tc.spec)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func realPath(t *testing.T, dir string) string {
	t.Helper()
	p, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPythonErrorIsInTheErrorText(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	res := Run(t.Context(), Spec{Interpreter: []string{"python3", "-"}, Script: "1/0"})
	if res.ExitCode != 1 || !strings.Contains(res.ErrorText, "ZeroDivisionError") || res.Finished() {
		t.Errorf("got %+v", res)
	}
}

// The environment is the base, the job's and nothing else: an actor's own may hold secrets.
func TestEnvironment(t *testing.T) {
	t.Setenv("HEROSUP_REDIS_PASSWORD", "secret")
	t.Setenv("LANG", "C")
	t.Setenv("TZ", "UTC")
	spec := Spec{
		Interpreter: []string{"env"}, Script: "-",
		Env: map[string]string{"CALLER_ID": "me", "ODD": "a=b\nc", "TZ": "CET"},
	}
	got := Run(t.Context(), spec).Output
	want := ""
	for _, kv := range environ(spec.Env) {
		want += kv + "\n"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, w := range []string{"CALLER_ID=me\n", "ODD=a=b\nc\n", "TZ=CET\n", "LANG=C\n", "PATH=" + os.Getenv("PATH") + "\n"} {
		if !strings.Contains(got, w) {
			t.Errorf("no %q in %q", w, got)
		}
	}
	if strings.Contains(got, "secret") {
		t.Error("the actor's own variables reach the script")
	}
}

func TestOneMegabyteScript(t *testing.T) {
	t.Parallel()
	script := "cat <<'END' >/dev/null\n" + strings.Repeat(strings.Repeat("x", 99)+"\n", 10_000)
	script += strings.Repeat("y", MaxScript-len(script)-len("\nEND\necho ok\n")) + "\nEND\necho ok\n"
	if len(script) != MaxScript {
		t.Fatal(len(script))
	}
	res := Run(t.Context(), bash(script))
	if res.Output != "ok\n" || !res.Finished() {
		t.Errorf("got %+v", res)
	}
}

func TestWhatCanNotRun(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancelCause(t.Context())
	stopping := errors.New("stopping")
	cancel(stopping)
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		ctx  context.Context
		spec Spec
		want string // in the error
	}{
		"no interpreter":  {t.Context(), Spec{Script: "x"}, "no interpreter is named"},
		"not there":       {t.Context(), Spec{Interpreter: []string{"no-such-interpreter"}, Script: "x"}, "start interpreter no-such-interpreter: exec: \"no-such-interpreter\": executable file not found in $PATH; install it"},
		"not executable":  {t.Context(), Spec{Interpreter: []string{plain}, Script: "x"}, "permission denied"},
		"no directory":    {t.Context(), Spec{Interpreter: []string{"bash"}, Script: "x", Dir: plain + "/none"}, "start interpreter bash"},
		"empty":           {t.Context(), bash(""), "the script is empty"},
		"too large":       {t.Context(), bash(strings.Repeat("x", MaxScript+1)), "the script has 1048577 bytes: at most 1048576"},
		"bad name":        {t.Context(), Spec{Interpreter: []string{"bash"}, Script: "x", Env: map[string]string{"A=B": ""}}, `environment variable "A=B"`},
		"NUL in a value":  {t.Context(), Spec{Interpreter: []string{"bash"}, Script: "x", Env: map[string]string{"A": "\x00"}}, `environment variable "A"`},
		"context is over": {canceled, bash("echo no"), "stopping"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := Run(tc.ctx, tc.spec)
			if res.Err == nil || !strings.Contains(res.Err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", res.Err, tc.want)
			}
			if res.Ran || res.Finished() || res.ExitCode != -1 || errors.Is(res.Err, ErrNoInterpreter) != (name == "not there") {
				t.Errorf("got %+v", res)
			}
		})
	}
}

func TestRecordComesBeforeTheFirstInstruction(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	spec := bash("echo > " + mark + "\n") // a whole line: bash runs it without waiting for the end of its input
	var recorded int
	spec.Record = func(pgid int, leader events.Incarnation) error {
		recorded++
		if leader.PID != pgid || !leader.Alive() {
			t.Errorf("group %d, leader %v", pgid, leader)
		}
		// A script that was released early would get far in this time.
		<-time.After(100 * time.Millisecond)
		if _, err := os.Stat(mark); err == nil {
			t.Error("the script ran before its group was recorded")
		}
		return nil
	}
	res := Run(t.Context(), spec)
	if _, err := os.Stat(mark); err != nil || !res.Finished() || recorded != 1 {
		t.Errorf("recorded %d times, mark %v, got %+v", recorded, err, res)
	}
}

func TestRecordErrorKeepsTheScriptFromRunning(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	spec := bash("echo > " + mark + "\n")
	gone := errors.New("not ours any more")
	var leader events.Incarnation
	spec.Record = func(_ int, l events.Incarnation) error { leader = l; return gone }
	res := Run(t.Context(), spec)
	if !errors.Is(res.Err, gone) || res.Ran || res.ExitCode != -1 || res.Signal != "" {
		t.Errorf("got %+v", res)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the script ran")
	}
	if leader.Alive() {
		t.Error("the interpreter was left")
	}
}

func TestContextEndsWhileRecording(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	spec := bash("echo no")
	spec.Record = func(int, events.Incarnation) error { cancel(); return nil }
	if res := Run(ctx, spec); !errors.Is(res.Err, context.Canceled) || res.Ran || res.Output != "" {
		t.Errorf("got %+v", res)
	}
}

// A record that can not be made until the time is up, as with a Redis that is away: that is a timeout, and no fault of the start.
func TestTimeIsUpWhileRecording(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	spec := bash("echo no")
	spec.Record = func(int, events.Incarnation) error { <-ctx.Done(); return context.Cause(ctx) }
	if res := Run(ctx, spec); !res.TimedOut || !errors.Is(res.Err, context.DeadlineExceeded) || res.Ran || res.Output != "" {
		t.Errorf("got %+v", res)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"bash", "osis", "python", "sal", "v"}, Types()); diff != "" {
		t.Error(diff)
	}
	if argv, ok := Find("cobol"); ok || Hint("cobol") != "" {
		t.Errorf("cobol: %v, hint %q", argv, Hint("cobol"))
	}
	for _, name := range Types() {
		if Hint(name) == "" {
			t.Errorf("%s has no hint how to get it", name)
		}
	}
	argv, ok := Find("bash")
	if !ok || len(argv) != 1 || !filepath.IsAbs(argv[0]) {
		t.Errorf("bash: %v %v", argv, ok)
	}
	need(t, "python3")
	argv, ok = Find("python")
	if !ok || len(argv) != 2 || argv[1] != "-" {
		t.Errorf("python: %v %v", argv, ok)
	}
	argv[1] = "changed"
	if again, _ := Find("python"); again[1] != "-" {
		t.Error("a caller can change the table")
	}
}
