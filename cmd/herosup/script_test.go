package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	// A daemon keeps a copy of its program, here of the test binary, and starts
	// services from it under the name herosup-<hash>: then it is the program.
	if strings.HasPrefix(filepath.Base(os.Args[0]), "herosup-") {
		main()
		return
	}
	if filepath.Base(os.Args[0]) == textDoor {
		beTextDoor()
		return
	}
	// The scripts run our main as the command herosup, in processes of its own.
	testscript.Main(m, map[string]func(){"herosup": main, "nats-server": natsServer})
}

// outside are the programs that scripts may use when they are there, and the
// word for each in HEROSUP_REQUIRE.
var outside = map[string]string{"redis": "redis-server", "python3": "python3", "nats": "nats"}

func TestScripts(t *testing.T) {
	var missing []string
	for word, program := range outside {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, word)
			if slices.Contains(strings.Split(os.Getenv("HEROSUP_REQUIRE"), ","), word) {
				t.Errorf("%s is required and not here", program)
			}
		}
	}
	p := scripts(t, nil)
	p.Dir = scriptDir
	testscript.Run(t, p)
	if len(missing) > 0 {
		slices.Sort(missing)
		t.Logf("MISSING here, so their parts of the scripts did not run: %s", strings.Join(missing, " "))
	}
}

var scriptDir = filepath.Join("..", "..", "testdata", "script")

// scripts says how scripts are run: with the zinit that each one's configuration
// names or, if z is one, with that.
func scripts(t *testing.T, z *otherZinit) testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// A short folder: sockets have short names. The scripts' daemons are
			// all ended by their scripts; what is left shows as a leak below.
			dir, err := os.MkdirTemp("", "hs")
			if err != nil {
				return err
			}
			e.Defer(func() {
				if _, err := os.Stat(filepath.Join(dir, "s", "zinit")); z != nil && err == nil {
					t.Error("a zinit of our own was used")
				}
				cleanUp(t, dir)
			})
			e.Setenv("HEROSUP_STATE", filepath.Join(dir, "s"))
			e.Setenv("HOME", filepath.Join(dir, "home"))
			// The nats CLI takes the home folder from the password file, not HOME.
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "home", ".config"))
			e.Setenv("HEROSUP_CONFIG", filepath.Join(e.WorkDir, "herosup.yaml"))
			if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil || z == nil {
				return err
			}
			e.Setenv("ZINIT", z.socket)
			return z.configure(e.Getenv("HEROSUP_CONFIG"))
		},
		Condition: func(cond string) (bool, error) {
			if program, ok := outside[cond]; ok {
				_, err := exec.LookPath(program)
				return err == nil, nil
			}
			if _, ok := zinits[cond]; ok {
				return z != nil && (z.dialect == cond || z.kind == cond), nil
			}
			return false, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually":   eventually,
			"killzinit":    killZinit,
			"restartzinit": func(*testscript.TestScript, bool, []string) { z.restart() },
			"takeup":       takeUp,
			"takedown":     takeDown,
		},
		// For all of them, two at a time: the race detector makes each command's process take most of a second.
		Deadline: time.Now().Add(6 * time.Minute),
	}
}

// cleanUp ends whatever a failed script left, and its folder.
func cleanUp(t *testing.T, dir string) {
	if log, err := os.ReadFile(filepath.Join(dir, "s", "daemon.log")); err == nil && t.Failed() {
		t.Logf("the daemon's log:\n%s", log[max(0, len(log)-8000):])
	}
	exe, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	cmd := exec.Command(exe, "down", "--stop-actors", "--deadline", "1ms")
	cmd.Args[0] = "herosup-cleanup" // see TestMain
	cmd.Env = append(os.Environ(), "HEROSUP_STATE="+filepath.Join(dir, "s"))
	_ = cmd.Run() // usually there is nothing left to end
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// eventually runs a command again and again until it succeeds and its output
// matches: eventually 'pattern' command args... With ! until it does not match any more.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] eventually pattern command [args...]")
	}
	var out string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		_ = ts.Exec(args[1], args[2:]...)
		out = ts.ReadFile("stdout")
		if matches(args[0], out) != neg {
			return
		}
		<-time.After(50 * time.Millisecond) // what is waited for is in another process
	}
	ts.Fatalf("%q did not come (or go) in 20 s; last output:\n%s", args[0], out)
}

func matches(pattern, out string) bool {
	for _, p := range strings.Split(pattern, "&&") {
		if !strings.Contains(out, strings.TrimSpace(p)) {
			return false
		}
	}
	return true
}

// killZinit ends the script's own process manager as a crash would: the holder
// of its lock.
func killZinit(ts *testscript.TestScript, _ bool, _ []string) {
	b, err := os.ReadFile(filepath.Join(ts.Getenv("HEROSUP_STATE"), "zinit.sock.lock"))
	ts.Check(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
}
