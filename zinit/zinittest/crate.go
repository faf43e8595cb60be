package zinittest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"herosup/zinit"
)

// Crate is the program of the rewrite that crates.io has as zinit: the zinit-server
// that HEROSUP_ZINIT_CRATE names, or the one on PATH. Where there is none the test is
// skipped, the closing line of the run says so (Main), and where HEROSUP_REQUIRE names
// zinit-crate the test fails.
func Crate(t *testing.T) (binary string) {
	t.Helper()
	binary = os.Getenv("HEROSUP_ZINIT_CRATE")
	if binary == "" {
		binary, _ = exec.LookPath("zinit-server")
	}
	if binary == "" {
		absent(t, "zinit-crate", "zinit-server of crates.io: HEROSUP_ZINIT_CRATE names none, and none is on PATH")
	}
	return binary
}

// StartCrate runs such a server over a folder until the end of the test. Its
// services end with it, which it sees to only when it is asked over its socket.
func StartCrate(t *testing.T, binary, dir string) *Server {
	t.Helper()
	return StartCrateIn(t, binary, dir, filepath.Join(dir, "z.sock"))
}

// StartCrateIn is StartCrate answering on socket.
func StartCrateIn(t *testing.T, binary, dir, socket string) *Server {
	t.Helper()
	s := &Server{Dir: dir, Socket: socket, exited: make(chan struct{})}
	s.cmd = exec.Command(binary, "-s", s.Socket, "-c", dir, "--log-level", "warn")
	s.cmd.Stdout, s.cmd.Stderr = &testLog{t: t}, &testLog{t: t}
	s.cmd.WaitDelay = time.Second // a leftover that holds the pipe must not hold up Wait
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.cmd.Wait(); close(s.exited) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		c := zinit.NewClient(s.Socket, zinit.Options{})
		_ = c.Shutdown(ctx)
		c.Close()
		select {
		case <-s.exited:
		case <-ctx.Done():
			_ = s.cmd.Process.Kill()
			<-s.exited
		}
	})
	Eventually(t, "the zinit of the crate answers", func() error {
		c, err := zinit.Dial(t.Context(), s.Socket, zinit.Options{})
		if err == nil {
			c.Close()
		}
		return err
	})
	return s
}

// crateCases leaves out what a zinit of the crate dialect can not keep, and puts in
// what it does instead.
func crateCases(cases map[string]func(*testing.T, *kit)) {
	// Its file is the service: nothing is forgotten without it.
	delete(cases, "monitor and forget")
	cases["a service and its file are one"] = testOneWithItsFile
	// What waits for a service that is not there is refused, where others let it wait.
	delete(cases, "a service waits for those before it")
	cases["a service waits for those that are there"] = testAfterKnown
	// Removing one can lose another that runs.
	cases["nothing is removed that would move another"] = testRemovalThatMoves
	// It starts again by itself what is stopped while it waits to start it.
	cases["a stop between two lives"] = testStopBetweenLives
	cases["stats"] = testStats
}

func testOneWithItsFile(t *testing.T, k *kit) {
	ctx, name := t.Context(), NewName(t)
	k.refused(k.Monitor(ctx, name), zinit.ConfigError) // no file
	k.ok(k.Create(ctx, name, Child(t, "say", "hello")))
	if s, err := k.Status(ctx, name); err != nil || s.PID != 0 || s.Target != zinit.Down {
		t.Errorf("a file alone: %+v, %v", s, err)
	}
	k.refused(k.Start(ctx, name), zinit.ConfigError)
	k.ok(k.Monitor(ctx, name))
	k.refused(k.Monitor(ctx, name), zinit.ServiceAlreadyMonitored)
	life := k.awaitStatus(name, running)
	k.refused(k.Forget(ctx, name), zinit.ServiceIsUp)
	k.refused(k.Delete(ctx, name), zinit.ServiceIsUp)
	k.refused(k.TakeUp(ctx, name, Child(t, "say", "another")), zinit.ServiceAlreadyExists)
	if s, err := k.Status(ctx, name); err != nil || s.PID != life.PID {
		t.Errorf("after all that was refused: %+v, %v", s, err)
	}
	k.ok(k.Stop(ctx, name))
	k.refused(k.Forget(ctx, name), zinit.MethodNotFound)
	k.ok(k.Remove(ctx, name))
	_, err := k.Status(ctx, name)
	k.refused(err, zinit.ServiceNotFound)
	k.ok(k.Remove(ctx, name)) // nothing to do
}

func testAfterKnown(t *testing.T, k *kit) {
	a, b := NewName(t)+"-a", NewName(t)+"-b"
	flag := t.TempDir() + "/fit"
	first, second := Child(t, "say", "first"), Child(t, "say", "second")
	first.Test = []string{"test", "-e", flag}
	second.After = []string{a}
	k.refused(k.TakeUp(t.Context(), b, second), zinit.DependencyError)
	k.upAs(a, first)
	k.upAs(b, second)
	s := k.awaitStatus(b, func(s zinit.Status) bool { return s.State.Kind == zinit.Blocked })
	if s.PID != 0 || s.After[a].Kind != zinit.Spawned {
		t.Errorf("before %s is fit: %+v", a, s)
	}
	writeFile(t, flag)
	k.awaitStatus(b, running)
	k.ok(k.Stop(t.Context(), b))
	k.ok(k.Stop(t.Context(), a))
	k.refused(k.Delete(t.Context(), a), zinit.DependencyError)
	if _, err := k.Status(t.Context(), b); err != nil {
		t.Errorf("%s went with it: %v", b, err)
	}
}

func testRemovalThatMoves(t *testing.T, k *kit) {
	a, b := NewName(t)+"-a", NewName(t)+"-b"
	k.upAs(a, Child(t, "say", "a"))
	k.upAs(b, Child(t, "say", "b"))
	life := k.awaitStatus(b, running)
	k.ok(k.Stop(t.Context(), a))
	k.refused(k.Remove(t.Context(), a), zinit.ProcessError)
	k.ok(k.Kill(t.Context(), b, "SIGKILL"))
	k.awaitStatus(b, func(s zinit.Status) bool { return running(s) && s.PID != life.PID })
	k.ok(k.Stop(t.Context(), b))
	k.ok(k.Remove(t.Context(), a))
	k.ok(k.Remove(t.Context(), b))
	if all, err := k.List(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("left: %v, %v", all, err)
	}
}

func testStopBetweenLives(t *testing.T, k *kit) {
	name := k.up(Child(t, "exit", "3"))
	k.awaitStatus(name, func(s zinit.Status) bool { return s.PID == 0 && s.State.Kind == zinit.Exited })
	k.ok(k.Stop(t.Context(), name))
	s, err := k.Status(t.Context(), name)
	if err != nil || s.PID != 0 || s.Target != zinit.Down {
		t.Errorf("after the stop: %+v, %v", s, err)
	}
}
