package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"herosup/zinit"
	"herosup/zinit/wire"
	"herosup/zinit/zinittest"
)

// otherZinit is one that runs already, as that of a user does. restart kills it, under
// what it runs, and starts it again.
type otherZinit struct {
	kind, dialect, socket, dir string // kind is its name in zinits
	restart                    func()
}

// zinits are those that the main job is done over: our server in each of its
// dialects, the rewrite that crates.io has, and the original.
var zinits = map[string]func(*testing.T) *otherZinit{
	"json-rpc": startInit,
	"text":     startTextInit,
	"crate":    startCrate,
	"original": startOriginal,
}

// eachZinit runs f with each of them, of which there is a new one each time.
func eachZinit(t *testing.T, f func(*testing.T, *otherZinit)) {
	for dialect, start := range zinits {
		t.Run(dialect, func(t *testing.T) {
			z := start(t)
			z.kind, z.dialect = dialect, dialect
			got, err := zinittest.Dial(t, z.socket).Dialect(t.Context())
			if dialect == "original" {
				z.dialect = string(got) // by its version
			}
			if err != nil || string(got) != z.dialect {
				t.Fatalf("it speaks %q, %v", got, err)
			}
			f(t, z)
		})
	}
}

// shortDir is a folder with a short name: sockets have those.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startInit is `herosup zinit init` in a process of its own.
func startInit(t *testing.T) *otherZinit {
	t.Helper()
	dir := shortDir(t)
	z := &otherZinit{socket: filepath.Join(dir, "z.sock"), dir: filepath.Join(dir, "services")}
	program := filepath.Join(dir, "herosup-copy") // see TestMain
	copyProgram(t, program)
	if err := os.Mkdir(z.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	start := func() (kill func()) {
		return background(t, z.dir, z.socket, syscall.SIGTERM, program, "zinit", "init", "--config", z.dir, "--socket", z.socket)
	}
	kill := start()
	z.restart = func() { kill(); kill = start() }
	return z
}

// startTextInit is the same, reached by a door that lets the text dialect through alone.
func startTextInit(t *testing.T) *otherZinit {
	t.Helper()
	z := startInit(t)
	door := filepath.Join(filepath.Dir(z.dir), "text.sock")
	background(t, z.dir, door, syscall.SIGKILL, textDoor, door, z.socket)
	return &otherZinit{socket: door, dir: z.dir, restart: z.restart}
}

func startCrate(t *testing.T) *otherZinit {
	t.Helper()
	binary := zinittest.Crate(t)
	dir := shortDir(t)
	z := &otherZinit{socket: filepath.Join(dir, "z.sock"), dir: filepath.Join(dir, "services")}
	if err := os.Mkdir(z.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := zinittest.StartCrateIn(t, binary, z.dir, z.socket)
	z.restart = func() { s.Kill(t); s = zinittest.StartCrateIn(t, binary, z.dir, z.socket) }
	return z
}

func startOriginal(t *testing.T) *otherZinit {
	t.Helper()
	binary := zinittest.Original(t)
	dir := shortDir(t)
	z := &otherZinit{socket: filepath.Join(dir, "z.sock"), dir: filepath.Join(dir, "services")}
	if err := os.Mkdir(z.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := zinittest.StartOriginal(t, binary, z.dir, z.socket)
	z.restart = func() { s.Kill(t); s = zinittest.StartOriginal(t, binary, z.dir, z.socket) }
	return z
}

// background runs a program in dir until the end of the test, which a signal is for,
// and returns when somebody answers at its socket. kill ends it sooner. textDoor is
// this program.
func background(t *testing.T, dir, socket string, end syscall.Signal, argv ...string) (kill func()) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	if argv[0] == textDoor {
		cmd.Path, cmd.Err = "/proc/self/exe", nil
	}
	var said bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, &said, &said, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func(by syscall.Signal) {
		if cmd.ProcessState != nil {
			return // by kill
		}
		_ = cmd.Process.Signal(by)
		if err := cmd.Wait(); err != nil && by != syscall.SIGKILL || t.Failed() {
			t.Errorf("%s: %v\n%s", argv, err, said.String())
		}
	}
	t.Cleanup(func() { stop(end) })
	zinittest.Eventually(t, "somebody answers at "+socket, func() error {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	return func() { stop(syscall.SIGKILL) }
}

// textDoor is the name by which this program is a zinit that knows the text dialect
// alone, as v0.2.14 does: what is said in it goes to ours behind, and what is not is
// refused in its words. It works in the folder of the service files, where a
// client looks for them.
const textDoor = "text-door"

func beTextDoor() {
	l, err := wire.Listen(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		go throughTextDoor(c, os.Args[2])
	}
}

func throughTextDoor(client net.Conn, behind string) {
	defer client.Close()
	line, err := bufio.NewReader(client).ReadString('\n')
	if err != nil {
		return
	}
	if strings.HasPrefix(line, "{") {
		fmt.Fprint(client, `{"state":"error","body":"unknown command '{jsonrpc:2.0' or wrong arguments count"}`)
		return
	}
	server, err := net.Dial("unix", behind)
	if err != nil {
		os.Exit(0) // it has been shut down
	}
	defer server.Close()
	go func() { // the client goes: so do we, as the one who follows a log does
		_, _ = io.Copy(io.Discard, client)
		_ = server.(*net.UnixConn).CloseWrite()
	}()
	if _, err := io.WriteString(server, line); err == nil {
		_, _ = io.Copy(client, server)
	}
}

// configure has a configuration name this zinit.
func (z *otherZinit) configure(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	rest := strings.TrimPrefix(string(b), "zinit: {socket: own}\n")
	return os.WriteFile(file, []byte("zinit: {socket: "+z.socket+"}\n"+rest), 0o600)
}

// clean wants the zinit to have nothing that is not its user's, and its folder no file.
func (z *otherZinit) clean(t *testing.T) {
	t.Helper()
	if all, err := zinittest.Dial(t, z.socket).List(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("services are left: %v, %v", all, err)
	}
	for _, kind := range []string{"*.yaml", "*.toml"} {
		if left, err := filepath.Glob(filepath.Join(z.dir, kind)); err != nil || len(left) > 0 {
			t.Errorf("files are left: %v, %v", left, err)
		}
	}
}

// notRaced leaves out what under the race detector, where each command's process takes
// most of a second, costs minutes: the same code is under it over one zinit.
func notRaced(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("NOT RACED: minutes under the race detector, and its code is raced over one zinit; the step without it runs this")
	}
}

// The whole of it as a user sees it, over a zinit that he has: nothing is lost, and
// nothing is left behind but the zinit.
func TestDemoOverEachZinit(t *testing.T) {
	notRaced(t)
	eachZinit(t, func(t *testing.T, z *otherZinit) {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe, "demo", "-o", "json", "--zinit-socket", z.socket)
		cmd.Args[0] = "herosup-demo" // see TestMain
		var story bytes.Buffer
		cmd.Stderr = &story
		out, err := cmd.Output()
		if !strings.Contains(story.String(), "zinit: "+z.socket+" ("+z.dialect+")") {
			t.Errorf("another zinit was used:\n%s", story.String())
		}
		var s struct{ Submitted, Lost int }
		if wrong := json.Unmarshal(out, &s); err != nil || wrong != nil || s.Submitted == 0 || s.Lost != 0 {
			t.Errorf("%v %v\n%s\n%s", err, wrong, out, story.String())
		}
		z.clean(t)
	})
}

// The scripts of the main job, the same that run over the zinit of our own.
func TestScriptsOverEachZinit(t *testing.T) {
	notRaced(t)
	for _, file := range []string{"script/walkthrough", "script/jobs", "zinit/foreign", "zinit/killed", "zinit/changed", "zinit/orphans"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			eachZinit(t, func(t *testing.T, z *otherZinit) {
				t.Parallel()
				t.Run("script", func(t *testing.T) { // which returns when it is over
					p := scripts(t, z)
					p.Files = []string{filepath.Join("..", "..", "testdata", file+".txtar")}
					testscript.Run(t, p)
				})
				z.clean(t)
			})
		})
	}
}

// Each command to a zinit, over each zinit.
func TestZinitCommands(t *testing.T) {
	eachZinit(t, func(t *testing.T, z *otherZinit) {
		c := zinittest.Dial(t, z.socket)
		sh := func(script string) zinit.Service { return zinit.Service{Exec: []string{"sh", "-c", script}} }
		for _, s := range []struct {
			name string
			zinit.Service
		}{
			{"web", sh("echo hello; echo beware >&2; trap '' USR2; while true; do sleep 0.05; done")},
			{"behind", zinit.Service{Exec: []string{"sleep", "1000"}, After: []string{"web"}}},
			{"broken", zinit.Service{Exec: []string{"/no/such/program"}}},
		} {
			make := c.Create
			if z.dialect == "crate" && s.name == "web" { // what something depends on is not made anew there
				make = c.TakeUp
			}
			if err := make(t.Context(), s.name, s.Service); err != nil {
				t.Fatal(err)
			}
		}
		p := scripts(t, z)
		p.Files = []string{filepath.Join("..", "..", "testdata", "zinit", "commands.txtar")}
		testscript.Run(t, p)
	})
}

// takeUp gives the zinit at $ZINIT a service that is not ours: takeup NAME.
func takeUp(ts *testscript.TestScript, _ bool, args []string) {
	c := zinit.NewClient(ts.Getenv("ZINIT"), zinit.Options{})
	defer c.Close()
	ts.Check(c.TakeUp(context.Background(), args[0], zinit.Service{Exec: []string{"sleep", "1000"}}))
}

// takeDown removes it, once it is stopped.
func takeDown(ts *testscript.TestScript, _ bool, args []string) {
	c := zinit.NewClient(ts.Getenv("ZINIT"), zinit.Options{})
	defer c.Close()
	ts.Check(c.Remove(context.Background(), args[0]))
}
