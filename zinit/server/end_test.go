package server_test

import (
	"os"
	"path/filepath"
	"strings"
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
	up(t, c, "migration", zinit.Service{Exec: []string{"true"}, Oneshot: true, After: []string{"app"}})
	up(t, c, "web", noting("web", "0.2", "migration"))
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

// A daemon that a oneshot has started has the time of that one to end.
func TestShutdownGivesADaemonItsTime(t *testing.T) {
	s := zinittest.Start(t)
	c := s.Client(t)
	file := filepath.Join(t.TempDir(), "saved")
	daemon := "trap 'sleep 1; echo saved >" + file + "; exit 0' USR1; echo up; while :; do sleep 0.01; done"
	up(t, c, "starter", zinit.Service{
		Exec: []string{"sh", "-c", `setsid sh -c "$1" &`, "sh", daemon}, Oneshot: true, StopSignal: "SIGUSR1",
	})
	awaitLine(t, c, "starter", is("up"))
	awaitState(t, c, "starter", func(s zinit.Status) bool { return s.PID == 0 })
	s.Stop(t)
	if _, err := os.Stat(file); err != nil {
		t.Errorf("it had no time to save what it has: %v", err)
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
