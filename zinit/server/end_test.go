package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// The end of the server is the end of everything in it: dependents before what
// they depend on, and what belongs to no service any more at last.
func TestShutdownEndsEverythingInOrder(t *testing.T) {
	s := zinittest.Start(t)
	c := s.Client(t)
	order := filepath.Join(t.TempDir(), "order")
	// Told at the same moment, they would end in the other order.
	noting := func(name, needs string, after ...string) zinit.Service {
		script := "trap 'sleep " + needs + "; echo " + name + " >>" + order + "; exit 0' TERM; echo up; while :; do sleep 0.01; done"
		return zinit.Service{Exec: []string{"sh", "-c", script}, After: after}
	}
	up(t, c, "db", noting("db", "0"))
	up(t, c, "app", noting("app", "0.1", "db"))
	up(t, c, "web", noting("web", "0.2", "app"))
	left := zinittest.Child(t, "escape-exit")
	left.Oneshot = true
	up(t, c, "starter", left)
	daemon := awaitPID(t, c, "starter")
	var lives []events.Incarnation
	for _, name := range []string{"db", "app", "web"} {
		awaitLine(t, c, name, is("up"))
		lives = append(lives, incarnation(t, awaitState(t, c, name, running).PID))
	}
	s.Stop(t)
	for _, l := range append(lives, daemon) {
		if l.Alive() {
			t.Errorf("%s is alive", l)
		}
	}
	b, err := os.ReadFile(order)
	ok(t, err)
	if got := strings.Fields(string(b)); strings.Join(got, " ") != "web app db" {
		t.Errorf("order of the end: %v", got)
	}
}

// A client may ask for the end, and is answered when all is over.
func TestShutdownByAClient(t *testing.T) {
	s := zinittest.Start(t)
	c := s.Client(t)
	up(t, c, "a", zinittest.Child(t, "say", "hello"))
	life := incarnation(t, awaitState(t, c, "a", running).PID)
	ok(t, c.Shutdown(t.Context()))
	if life.Alive() {
		t.Error("answered before all was over")
	}
	s.Wait(t)
}

// A killed server's children go on, also when they write; the next server names
// them and does not start second copies; once they are gone it starts.
func TestChildrenOutliveAKilledServer(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "z.sock")
	s := zinittest.StartIn(t, dir, socket)
	c := s.Client(t)
	lines := filepath.Join(t.TempDir(), "lines")
	up(t, c, "chatter", zinittest.Child(t, "chatter", lines))
	up(t, c, "parent", zinittest.Child(t, "escape"))
	awaitLine(t, c, "chatter", is("still here"))
	escaped := awaitPID(t, c, "parent")
	main := incarnation(t, awaitState(t, c, "parent", running).PID)
	chatter := incarnation(t, awaitState(t, c, "chatter", running).PID)
	s.Kill(t)
	t.Cleanup(func() {
		for _, l := range []events.Incarnation{chatter, main, escaped} {
			if l.Alive() {
				_ = syscall.Kill(l.PID, syscall.SIGKILL)
			}
		}
	})
	written := func() int64 {
		fi, err := os.Stat(lines)
		ok(t, err)
		return fi.Size()
	}
	enough := written() + 20
	zinittest.Eventually(t, "the child writes on", func() error {
		if !chatter.Alive() {
			t.Fatal("a child that writes did not outlive its server")
		}
		if n := written(); n < enough {
			return fmt.Errorf("%d lines of %d", n, enough)
		}
		return nil
	})
	_, err := zinittest.TryStart(t, dir, socket)
	if err == nil {
		t.Fatal("a server was started beside the processes of another")
	}
	for _, want := range []string{
		"chatter (PID " + strconv.Itoa(chatter.PID) + ")", "parent (PID " + strconv.Itoa(main.PID) + ")",
		"(PID " + strconv.Itoa(escaped.PID) + ")", "end them with: kill ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	_, pids, _ := strings.Cut(err.Error(), "end them with: kill ")
	for _, pid := range strings.Fields(pids) { // as a user would, by the message
		ok(t, syscall.Kill(atoi(t, pid), syscall.SIGTERM))
	}
	zinittest.Eventually(t, "they are gone", func() error {
		for _, l := range []events.Incarnation{chatter, main, escaped} {
			if l.Alive() {
				return &strayError{l.PID, 'S'}
			}
		}
		return nil
	})
	awaitState(t, zinittest.StartIn(t, dir, socket).Client(t), "chatter", running)
}
