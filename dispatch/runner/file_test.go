package runner

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"herosup/events"
)

// inFile is bash as an interpreter that wants a file.
func inFile(script string) Spec {
	return Spec{Interpreter: []string{"bash", "{script.sh}"}, Script: script, Dir: scratchDir}
}

func TestScriptFile(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		at   int
		name string
	}{
		"v run {script.v}":        {2, "script.v"},
		"x {script} {script.y}":   {1, "script"},
		"python3 -":               {-1, ""},
		"{script.v}":              {-1, ""}, // the program itself
		"x {script.}":             {-1, ""},
		"x {script./../../etc/x}": {-1, ""},
		"x {scripts}":             {-1, ""},
		"x a={script}":            {-1, ""},
	} {
		if at, name := ScriptFile(strings.Fields(line)); at != want.at || name != want.name {
			t.Errorf("%s: got %d %q, want %d %q", line, at, name, want.at, want.name)
		}
	}
}

func TestRunInFile(t *testing.T) {
	for name, tc := range map[string]struct {
		spec Spec
		want Result
	}{
		"output":               {inFile("echo hi; echo there"), Result{Output: "hi\nthere\n", Ran: true}},
		"exit code":            {inFile("echo oops >&2; exit 3"), Result{ErrorText: "oops\n", ExitCode: 3, Ran: true}},
		"signal":               {inFile("kill -SEGV $$"), Result{ExitCode: -1, Signal: "SIGSEGV", Ran: true}},
		"nothing on its input": {inFile("cat; echo end"), Result{Output: "end\n", Ran: true}},
		"extension, and who may read it": {
			inFile(`echo "${0##*/} $(stat -c %a "$0") $(stat -c %a "${0%/*}")"`),
			Result{Output: "script.sh 600 700\n", Ran: true},
		},
		"more arguments": {
			Spec{Interpreter: []string{"bash", "{script}", "a b", "", "$x"}, Script: `printf '%s|' "$@"`},
			Result{Output: "a b||$x|", Ran: true},
		},
		"a relative interpreter, from the working directory": {
			Spec{Interpreter: []string{"./mine", "{script}"}, Script: "echo told", Dir: tool(t, "mine", `exec bash "$@"`)},
			Result{Output: "told\n", Ran: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, Run(t.Context(), tc.spec)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// tool makes a program and gives its folder.
func tool(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/bash\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInterpreterForAFileIsMissing(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"no-such-interpreter", "/no/such/interpreter"} {
		res := Run(t.Context(), Spec{Interpreter: []string{program, "{script}"}, Script: "x"})
		if res.Ran || !errors.Is(res.Err, fs.ErrNotExist) && !errors.Is(res.Err, exec.ErrNotFound) {
			t.Errorf("%s: got %+v", program, res)
		}
	}
}

// Not only the script: the interpreter itself does not run before Record, and the file is not there.
func TestRecordComesBeforeTheFile(t *testing.T) {
	t.Parallel()
	for _, refuse := range []error{nil, errors.New("not ours any more")} {
		mark := filepath.Join(t.TempDir(), "mark")
		spec := Spec{Interpreter: []string{filepath.Join(tool(t, "early", "echo > "+mark), "early"), "{script}"}, Script: "x"}
		var file string
		spec.Record = func(pgid int, leader events.Incarnation) error {
			var line []byte
			var err error
			for err == nil && len(line) == 0 { // an exec says that it is done a moment before its arguments show
				line, err = os.ReadFile("/proc/" + strconv.Itoa(pgid) + "/cmdline")
			}
			if err != nil || leader.PID != pgid {
				t.Errorf("leader %v of group %d: %v", leader, pgid, err)
			}
			words := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
			file = words[len(words)-1]
			if info, err := os.Stat(filepath.Dir(file)); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("folder of the script: %v %v", info, err)
			}
			// What was released early would get far in this time.
			<-time.After(100 * time.Millisecond)
			for _, path := range []string{mark, file} {
				if _, err := os.Stat(path); err == nil {
					t.Errorf("%s is there before the group was recorded", path)
				}
			}
			return refuse
		}
		res := Run(t.Context(), spec)
		_, ran := os.Stat(mark)
		if (ran == nil) != (refuse == nil) || res.Finished() != (refuse == nil) || !errors.Is(res.Err, refuse) {
			t.Errorf("refuse %v: mark %v, got %+v", refuse, ran, res)
		}
		if _, err := os.Stat(filepath.Dir(file)); err == nil {
			t.Errorf("refuse %v: the script's folder is left", refuse)
		}
	}
}

// SIGKILL of who runs a script leaves its file; the next run of anybody removes it, and not that of a run that lives.
func TestKilledRunnersFileIsRemovedByTheNextRun(t *testing.T) {
	path, next := fifo(t)
	dir := filepath.Dir(path)
	if err := os.Rename(path, filepath.Join(dir, "at")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), hostMode+"="+dir, hostFileMode+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	left := next()
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	leader := pidOf(t, string(pid))
	t.Cleanup(func() { _ = unix.Kill(-leader.PID, unix.SIGKILL) })
	during := func(want bool, when string) {
		t.Helper()
		if res := Run(t.Context(), inFile("exit 0")); !res.Finished() {
			t.Fatalf("got %+v", res)
		}
		if _, err := os.Stat(left); (err == nil) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
	during(true, "while its run lives")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	during(false, "when its runner was killed")
}

// A runner that is killed while it records has released nothing: the one that holds the interpreter's place ends with it.
func TestKillOfTheRunnerWhileItRecords(t *testing.T) {
	t.Parallel()
	argv := heldBy([]string{"bash", "-c", "echo ran"})
	out, err := exec.Command(argv[0], argv[1:]...).Output() // its input ends without a line
	if err == nil || len(out) > 0 {
		t.Errorf("got %q, %v", out, err)
	}
}

// The real rhai-run.
func TestRhai(t *testing.T) {
	argv, ok := Find("osis")
	if !ok {
		need(t, "rhai-run")
	}
	rhai := func(script string) Spec { return Spec{Interpreter: argv, Script: script, Dir: scratchDir} }
	with := func(constants map[string]string, script string) Spec {
		s := rhai(script)
		s.Constants = constants
		return s
	}
	nasty := "a\"b\\ ${1+1}`\n\t\x01é"
	for name, tc := range map[string]struct {
		spec   Spec
		output string
		code   int
		errs   string // part of
	}{
		"output":                   {rhai(`let n = 6; print("is " + n * 7);`), "is 42\n", 0, ""},
		"an error is no success":   {rhai("print(1);\nlet a = 2;\nthrow \"bad\";"), "1\n", 1, `3: throw "bad";`},
		"nor is one of the syntax": {rhai("let = 3"), "", 1, "1: let = 3"},
		"line numbers stay":        {with(map[string]string{"CALLER_ID": "me"}, "print(1);\nnothing();"), "1\n", 1, "2: nothing();"},
		"constants":                {with(map[string]string{"CALLER_ID": "me", "CONTEXT_ID": nasty}, "fn f() { global::CALLER_ID }\nprint(CONTEXT_ID); print(f())"), nasty + "\nme\n", 0, ""},
		"constants and #!":         {with(map[string]string{"CALLER_ID": "me"}, "#!/usr/bin/env rhai-run\nprint(CALLER_ID)"), "me\n", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := Run(t.Context(), tc.spec)
			if !strings.HasPrefix(res.Output, tc.output) || tc.code == 0 && res.Output != tc.output {
				t.Errorf("output %q, want %q", res.Output, tc.output)
			}
			if res.ExitCode != tc.code || !strings.Contains(res.ErrorText, tc.errs) || (res.ErrorText == "") != (tc.code == 0) || res.Finished() != (tc.code == 0) {
				t.Errorf("got %+v", res)
			}
		})
	}
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		spec := rhai("loop { }")
		spec.Timeout = 100 * time.Millisecond
		if res := Run(t.Context(), spec); !res.TimedOut || res.Signal != "SIGTERM" || res.Left {
			t.Errorf("got %+v", res)
		}
	})
}

// herodo and v are not run here: what is checked is the command line that they would get, by programs in their place.
func TestCommandLinesOfHerodoAndV(t *testing.T) {
	for scriptType, name := range map[string]string{"sal": "herodo", "v": "v"} {
		if _, err := exec.LookPath(name); err != nil {
			missing.Store(name, true)
		}
		t.Setenv("PATH", tool(t, name, `[ -t 0 ] || cat; printf '%s ' "${@##*/}"; cat "${@: -1}"`)+":"+os.Getenv("PATH"))
		argv, ok := Find(scriptType)
		if !ok {
			t.Fatalf("%s is not found", name)
		}
		res := Run(t.Context(), Spec{Interpreter: argv, Script: "text", Constants: map[string]string{"CALLER_ID": "me"}})
		want := map[string]string{"sal": `script.rhai const CALLER_ID = "me"; text`, "v": "run script.v text"}[scriptType]
		if !res.Finished() || res.Output != want {
			t.Errorf("%s: got %q, want %q; %+v", name, res.Output, want, res)
		}
	}
}

// hostFileMode is host with a script in a file.
const hostFileMode = "HEROSUP_TEST_RUNNER_HOST_FILE"

func hostInFile(dir string) {
	spec := inFile("echo $0 > " + dir + "/at\nsleep 1000 & wait")
	spec.Record = func(pgid int, _ events.Incarnation) error {
		return os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(pgid)), 0o600)
	}
	Run(context.Background(), spec)
}
