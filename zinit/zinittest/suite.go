package zinittest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"herosup/zinit"
)

// Run is what every zinit has to do, in the dialect that it speaks or that the
// options ask for. newServer gives one that runs until the end of the test it is
// given. Each case uses services of its own, so that a server may be shared (by all
// but those of the crate dialect: see crateCases).
func Run(t *testing.T, newServer func(*testing.T) (socket string, o zinit.Options)) {
	run(t, newServer, false)
}

// RunOriginal is Run for the original.
func RunOriginal(t *testing.T, newServer func(*testing.T) (socket string, o zinit.Options)) {
	run(t, newServer, true)
}

func run(t *testing.T, newServer func(*testing.T) (socket string, o zinit.Options), original bool) {
	socket, o := newServer(t)
	o.Timeout = Patience
	cases := map[string]func(*testing.T, *kit){
		"a monitored service runs and leads its group": testRuns,
		"the process gets what was said":               testArguments,
		"an unknown service is named as such":          testUnknown,
		"files are made, read and removed":             testFiles,
		"monitor and forget":                           testMonitorForget,
		"names that are no names":                      testNames,
		"stop ends the whole group and stays down":     testStop,
		"kill leaves the target up":                    testKill,
		"a oneshot runs once":                          testOneshot,
		"a program that is not there":                  testNoProgram,
		"a service waits for those before it":          testAfter,
		"a service is running when its test passes":    testReadiness,
		"output is kept and followed":                  testLogs,
		"a log is followed while it is written":        testFollow,
	}
	d, err := dial(t, socket, o).Dialect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	switch d {
	case zinit.Crate:
		crateCases(cases)
	case zinit.Text:
		cases["the wire"] = testTextWire
		cases["a stop that needs KILL"] = testStubborn
	default:
		cases["stats"] = testStats
		cases["the server describes itself"] = testDiscover
		cases["the wire"] = testWire
		cases["an answer overtakes a slower one"] = testOutOfOrder
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket, o := socket, o
			if d == zinit.Crate {
				socket, o = newServer(t)
				o.Timeout = Patience
			}
			test(t, &kit{Client: dial(t, socket, o), t: t, socket: socket, dialect: d, original: original})
		})
	}
}

// kit is a client with what the cases need.
type kit struct {
	*zinit.Client
	t       *testing.T
	socket  string
	dialect zinit.Dialect
	// original: it is held to what that keeps.
	original bool
}

// up creates and monitors a service, and takes it away at the end.
func (k *kit) up(s zinit.Service) (name string) {
	k.t.Helper()
	name = NewName(k.t)
	k.upAs(name, s)
	return name
}

func (k *kit) upAs(name string, s zinit.Service) {
	k.t.Helper()
	k.t.Cleanup(func() {
		ctx := backgroundOf(k.t)
		_ = k.Stop(ctx, name)
		_ = k.Remove(ctx, name)
	})
	k.ok(k.TakeUp(k.t.Context(), name, s))
}

func (k *kit) ok(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// refused wants err to be a refusal with this code.
func (k *kit) refused(err error, code zinit.Code) {
	k.t.Helper()
	if !errors.Is(err, code) {
		k.t.Errorf("got %v, want %s", err, code)
	}
}

// awaitStatus waits until the status is as wanted.
func (k *kit) awaitStatus(name string, want func(zinit.Status) bool) (s zinit.Status) {
	k.t.Helper()
	Eventually(k.t, "status of "+name, func() (err error) {
		s, err = k.Status(k.t.Context(), name)
		if err == nil && !want(s) {
			err = fmt.Errorf("is %+v", s)
		}
		return err
	})
	return s
}

func running(s zinit.Status) bool { return s.State.Kind == zinit.Running && s.PID != 0 }

// awaitLine waits until the service has written a line with this in it, and
// returns the line without what zinit puts before it.
func (k *kit) awaitLine(name, want string) (line string) {
	k.t.Helper()
	Eventually(k.t, fmt.Sprintf("line %q of %s", want, name), func() error {
		lines, err := k.CurrentLogs(k.t.Context(), name)
		for _, l := range lines {
			if _, text, ok := strings.Cut(l, ": "); ok && strings.Contains(text, want) {
				line = text
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("has written %q", lines))
	})
	return line
}

func testRuns(t *testing.T, k *kit) {
	name := k.up(Child(t, "say", "hello"))
	s := k.awaitStatus(name, running)
	if s.Name != name || s.Target != zinit.Up || len(s.After) != 0 {
		t.Errorf("status: %+v", s)
	}
	if group, err := syscall.Getpgid(s.PID); err != nil || group != s.PID {
		t.Errorf("process group: got %d, %v, want %d", group, err, s.PID)
	}
	all, err := k.List(t.Context())
	k.ok(err)
	if all[name].Kind != zinit.Running {
		t.Errorf("list: %v", all[name])
	}
	k.ok(k.Start(t.Context(), name)) // no effect
	if again, err := k.Status(t.Context(), name); err != nil || again.PID != s.PID {
		t.Errorf("start of a running service: %+v, %v", again, err)
	}
}

func testArguments(t *testing.T, k *kit) {
	words := []string{"args", "", " ", "a b", `"'\`, "$HOME", "`id`", "~", "*", "#no comment", "ü世\u2028😀", "-x=1;&|<>(){}[]!%"}
	svc := Child(t, words...)
	svc.Env["SAID"] = "a 'b' \"c\" $d\nsecond: line"
	svc.Dir = "/usr"
	name := k.up(svc)
	var got Report
	k.ok(json.Unmarshal([]byte(k.awaitLine(name, `"Args"`)), &got))
	if !slices.Equal(got.Args, words) {
		t.Errorf("arguments: got %q, want %q", got.Args, words)
	}
	if !slices.Contains(got.Env, "SAID="+svc.Env["SAID"]) {
		t.Errorf("environment: %q is not in %q", svc.Env["SAID"], got.Env)
	}
	if got.Dir != "/usr" {
		t.Errorf("directory: got %s", got.Dir)
	}
}

func testUnknown(t *testing.T, k *kit) {
	ctx, name := t.Context(), NewName(t)
	_, err := k.Status(ctx, name)
	k.refused(err, zinit.ServiceNotFound)
	k.refused(k.Start(ctx, name), zinit.ServiceNotFound)
	k.refused(k.Stop(ctx, name), zinit.ServiceNotFound)
	k.refused(k.Forget(ctx, name), zinit.ServiceNotFound)
	k.refused(k.Kill(ctx, name, "SIGTERM"), zinit.ServiceNotFound)
	_, err = k.Stats(ctx, name)
	if k.dialect == zinit.Text {
		k.refused(err, zinit.MethodNotFound)
	} else {
		k.refused(err, zinit.ServiceNotFound)
	}
}

func testFiles(t *testing.T, k *kit) {
	ctx, name := t.Context(), NewName(t)
	svc := Child(t, "say", "it's")
	_, err := k.Get(ctx, name)
	k.refused(err, zinit.ServiceNotFound)
	k.refused(k.Delete(ctx, name), zinit.ServiceNotFound)
	k.ok(k.Create(ctx, name, svc))
	k.refused(k.Create(ctx, name, svc), zinit.ServiceAlreadyExists)
	got, err := k.Get(ctx, name)
	k.ok(err)
	if !slices.Equal(got.Exec, svc.Exec) {
		t.Errorf("get: %+v", got)
	}
	alone := zinit.State{} // not listed
	if k.dialect == zinit.Crate {
		alone.Kind = zinit.Unknown
	}
	if all, err := k.List(ctx); err != nil || all[name] != alone {
		t.Errorf("a file alone is monitored: %v, %v", all[name], err)
	}
	k.ok(k.Delete(ctx, name))
	k.refused(k.Delete(ctx, name), zinit.ServiceNotFound)
}

func testMonitorForget(t *testing.T, k *kit) {
	ctx := t.Context()
	k.refused(k.Monitor(ctx, NewName(t)), zinit.ConfigError) // no file
	name := k.up(Child(t, "say", "hello"))
	k.refused(k.Monitor(ctx, name), zinit.ServiceAlreadyMonitored)
	k.awaitStatus(name, running)
	k.refused(k.Forget(ctx, name), zinit.ServiceIsUp)
	k.ok(k.Delete(ctx, name)) // the file; the service goes on
	if s, err := k.Status(ctx, name); err != nil || s.PID == 0 {
		t.Errorf("after its file was deleted: %+v, %v", s, err)
	}
	k.ok(k.Stop(ctx, name))
	k.awaitStatus(name, func(s zinit.Status) bool { return s.PID == 0 })
	k.ok(k.Forget(ctx, name))
	_, err := k.Status(ctx, name)
	k.refused(err, zinit.ServiceNotFound)
}

func testNames(t *testing.T, k *kit) {
	for _, name := range []string{"../x", "a/b", `a\b`, "a.b"} {
		k.refused(k.Monitor(t.Context(), name), zinit.InvalidServiceName)
		k.refused(k.Delete(t.Context(), name), zinit.InvalidServiceName)
		_, err := k.Get(t.Context(), name)
		k.refused(err, zinit.InvalidServiceName)
	}
}

func testStop(t *testing.T, k *kit) {
	ctx := t.Context()
	name := k.up(Child(t, "fork"))
	main := k.awaitStatus(name, running).PID
	k.awaitLine(name, "forked")
	k.ok(k.Stop(ctx, name))
	s, err := k.Status(ctx, name)
	k.ok(err)
	if s.PID != 0 || s.Target != zinit.Down {
		t.Errorf("after the stop: %+v", s)
	}
	want := zinit.State{Kind: zinit.Signaled, Signal: "SIGTERM", PID: main}
	if k.dialect == zinit.Crate {
		want.Signal, want.PID = zinit.NoSignal, 0 // it keeps neither
	}
	if s.State != want {
		t.Errorf("how it ended: %s, want %s", s.State, want)
	}
	Eventually(t, "an empty group", func() error { // a zombie or two may be on their way
		if err := syscall.Kill(-main, 0); !errors.Is(err, syscall.ESRCH) {
			return errors.Join(err, fmt.Errorf("the group of %d is there", main))
		}
		return nil
	})
	k.ok(k.Stop(ctx, name)) // again: nothing to do
	k.ok(k.Start(ctx, name))
	if again := k.awaitStatus(name, running); again.PID == main || again.Target != zinit.Up {
		t.Errorf("started again: %+v", again)
	}
}

func testKill(t *testing.T, k *kit) {
	ctx := t.Context()
	name := k.up(Child(t, "say", "hello"))
	first := k.awaitStatus(name, running).PID
	k.refused(k.Kill(ctx, name, "SIGNOTHING"), zinit.InvalidSignal)
	k.refused(k.Kill(ctx, name, "9"), zinit.InvalidSignal)
	k.ok(k.Kill(ctx, name, "sigkill"))
	s := k.awaitStatus(name, func(s zinit.Status) bool { return running(s) && s.PID != first })
	if s.Target != zinit.Up {
		t.Errorf("target: %s", s.Target)
	}
	k.ok(k.Stop(ctx, name))
	k.awaitStatus(name, func(s zinit.Status) bool { return s.PID == 0 })
	k.refused(k.Kill(ctx, name, "SIGTERM"), zinit.ServiceIsDown)
}

func testOneshot(t *testing.T, k *kit) {
	good, bad := Child(t, "exit", "0"), Child(t, "exit", "3")
	good.Oneshot, bad.Oneshot = true, true
	a, b := NewName(t)+"-a", NewName(t)+"-b"
	k.upAs(a, good)
	k.upAs(b, bad)
	k.awaitStatus(a, func(s zinit.Status) bool { return s.State.Kind == zinit.Success && s.PID == 0 })
	s := k.awaitStatus(b, func(s zinit.Status) bool { return s.State.Ended() && s.PID == 0 })
	if s.State.Kind != zinit.Exited || s.State.Code != 3 || s.Target != zinit.Up {
		t.Errorf("a oneshot that failed: %+v", s)
	}
	if k.dialect == zinit.Crate {
		return // its second end can not be told from the first
	}
	first := s.State.PID
	k.ok(k.Start(t.Context(), b))
	k.awaitStatus(b, func(s zinit.Status) bool { return s.State.Kind == zinit.Exited && s.State.PID != first })
}

func testNoProgram(t *testing.T, k *kit) {
	name := k.up(zinit.Service{Exec: []string{"/does/not/exist"}})
	want := zinit.State{Kind: zinit.Failure}
	if k.dialect == zinit.Crate {
		want = zinit.State{Kind: zinit.Exited, Code: 127} // of the shell between
	}
	k.awaitStatus(name, func(s zinit.Status) bool { return s.State == want && s.PID == 0 })
}

func testAfter(t *testing.T, k *kit) {
	first := Child(t, "exit", "0")
	first.Oneshot = true
	a, b := NewName(t)+"-a", NewName(t)+"-b"
	second := Child(t, "say", "hello")
	second.After = []string{a}
	k.upAs(b, second)
	s := k.awaitStatus(b, func(s zinit.Status) bool { return s.State.Kind == zinit.Blocked })
	if s.PID != 0 || s.After[a].Kind != zinit.Unknown {
		t.Errorf("before %s is there: %+v", a, s)
	}
	k.upAs(a, first)
	s = k.awaitStatus(b, running)
	if s.After[a].Kind != zinit.Success {
		t.Errorf("after %s: %+v", a, s)
	}
}

func testReadiness(t *testing.T, k *kit) {
	flag := t.TempDir() + "/fit"
	svc := Child(t, "say", "hello")
	svc.Test = []string{"test", "-e", flag}
	name := k.up(svc)
	k.awaitStatus(name, func(s zinit.Status) bool { return s.State.Kind == zinit.Spawned && s.PID != 0 })
	writeFile(t, flag)
	k.awaitStatus(name, running)
}

func testLogs(t *testing.T, k *kit) {
	sh := func(script string) zinit.Service { return zinit.Service{Exec: []string{"sh", "-c", script}} }
	a, b := NewName(t)+"-a", NewName(t)+"-b"
	all, err := k.FollowLogs(t.Context(), "")
	k.ok(err)
	defer all.Close()
	mine, err := k.FollowLogs(t.Context(), a)
	k.ok(err)
	defer mine.Close()
	k.upAs(a, sh("echo out; exec sleep 100"))
	k.upAs(b, sh("echo err >&2; exec sleep 100"))
	next := func(s *zinit.LogStream, want string) {
		t.Helper()
		for {
			line, err := s.Next(t.Context())
			k.ok(err)
			if s == mine && strings.Contains(line, b) {
				t.Errorf("a line of another: %q", line)
			}
			if line == want {
				return
			}
		}
	}
	next(mine, "[+] "+a+": out")
	next(all, "[-] "+b+": err")
	lines, err := k.CurrentLogs(t.Context(), b)
	k.ok(err)
	if !slices.Contains(lines, "[-] "+b+": err") || slices.Contains(lines, "[+] "+a+": out") {
		t.Errorf("current lines of %s: %q", b, lines)
	}
	lines, err = k.CurrentLogs(t.Context(), "")
	k.ok(err)
	if !slices.Contains(lines, "[+] "+a+": out") {
		t.Errorf("current lines of all: %q", lines)
	}
}

// testFollow follows a log while it is written: it has every line, once. The original
// leaves lines out if it is faster than its reader, and then nobody can say which of
// the first ones came before: there the log goes on, and no more.
func testFollow(t *testing.T, k *kit) {
	const lines = 900 // less than any zinit keeps of a service
	name := NewName(t)
	k.upAs(name, zinit.Service{Exec: []string{"sh", "-c", `for i in $(seq ` + strconv.Itoa(lines) + `); do echo $i; done; while true; do echo end; sleep 0.1; done`}})
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	var streams []*zinit.LogStream
	for {
		kept, err := k.CurrentLogs(t.Context(), name)
		k.ok(err)
		s, err := k.FollowLogs(t.Context(), name)
		k.ok(err)
		defer s.Close()
		if streams = append(streams, s); slices.Contains(kept, "[+] "+name+": end") || k.original && len(streams) == 50 {
			break // this one was begun behind all; the original has 100 connections
		}
	}
	for _, s := range streams {
		for want := 1; want <= lines; {
			line, err := s.Next(ctx)
			k.ok(err)
			if strings.HasSuffix(line, " [start] ------------") || k.original && strings.HasSuffix(line, " lines dropped") {
				continue
			}
			if k.original && line == "[+] "+name+": end" {
				break
			}
			var got int
			if _, err := fmt.Sscanf(line, "[+] "+name+": %d", &got); err != nil || got != want && !k.original {
				t.Fatalf("of %d streams one has %q in the place of line %d", len(streams), line, want)
			}
			want = max(want, got+1)
		}
	}
}

func testStats(t *testing.T, k *kit) {
	name := k.up(Child(t, "fork"))
	main := k.awaitStatus(name, running).PID
	child, err := strconv.Atoi(k.awaitPIDLine(name))
	k.ok(err)
	s, err := k.Stats(t.Context(), name)
	k.ok(err)
	if s.Name != name || s.PID != main || s.Memory == 0 {
		t.Errorf("stats: %+v", s)
	}
	if !slices.ContainsFunc(s.Children, func(u zinit.Usage) bool { return u.PID == child && u.Memory > 0 }) {
		t.Errorf("stats: %d is not among the children of %+v", child, s)
	}
}

// awaitPIDLine is the first line of a service that is a number.
func (k *kit) awaitPIDLine(name string) (pid string) {
	k.t.Helper()
	Eventually(k.t, "a PID from "+name, func() error {
		lines, err := k.CurrentLogs(k.t.Context(), name)
		for _, l := range lines {
			_, text, _ := strings.Cut(l, ": ")
			if _, notNumber := strconv.Atoi(text); notNumber == nil {
				pid = text
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("has written %q", lines))
	})
	return pid
}

func testDiscover(t *testing.T, k *kit) {
	raw, err := k.Discover(t.Context())
	k.ok(err)
	var doc struct {
		Methods []struct{ Name string }
	}
	k.ok(json.Unmarshal(raw, &doc))
	for _, want := range []string{"service_list", "service_stop", "stream_subscribeLogs"} {
		if !slices.ContainsFunc(doc.Methods, func(m struct{ Name string }) bool { return m.Name == want }) {
			t.Errorf("%s is not described in %s", want, raw)
		}
	}
}
