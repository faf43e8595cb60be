package server_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// up creates and monitors a service.
func up(t testing.TB, c *zinit.Client, name string, s zinit.Service) {
	t.Helper()
	ok(t, c.Create(t.Context(), name, s))
	ok(t, c.Monitor(t.Context(), name))
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// awaitState waits until the service is in a state.
func awaitState(t testing.TB, c *zinit.Client, name string, want func(zinit.Status) bool) (s zinit.Status) {
	t.Helper()
	zinittest.Eventually(t, "status of "+name, func() (err error) {
		s, err = c.Status(t.Context(), name)
		if err == nil && !want(s) {
			err = fmt.Errorf("is %+v", s)
		}
		return err
	})
	return s
}

func running(s zinit.Status) bool { return s.State.Kind == zinit.Running && s.PID != 0 }

// awaitLine waits until the service has written a line that f takes.
func awaitLine(t testing.TB, c *zinit.Client, name string, f func(string) bool) {
	t.Helper()
	zinittest.Eventually(t, "a line of "+name, func() error {
		lines, err := c.CurrentLogs(t.Context(), name)
		for _, l := range lines {
			if _, text, found := strings.Cut(l, ": "); found && f(text) {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("has written %.500q", lines))
	})
}

func is(want string) func(string) bool { return func(s string) bool { return s == want } }

// awaitPID waits until the service has written a line that is a PID.
func awaitPID(t testing.TB, c *zinit.Client, name string) (life events.Incarnation) {
	t.Helper()
	awaitLine(t, c, name, func(s string) bool {
		pid, err := strconv.Atoi(s)
		if err == nil {
			life, err = events.IncarnationOf(pid)
		}
		return err == nil
	})
	return life
}

func incarnation(t testing.TB, pid int) events.Incarnation {
	t.Helper()
	life, err := events.IncarnationOf(pid)
	if err != nil {
		t.Fatalf("pid %d: %v", pid, err)
	}
	return life
}

// childrenOf are the processes whose parent this is, with their state.
func childrenOf(t testing.TB, parent int) map[int]byte {
	t.Helper()
	found := map[int]byte{}
	entries, err := os.ReadDir("/proc")
	ok(t, err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if f[1] == strconv.Itoa(parent) {
			found[pid] = f[0][0]
		}
	}
	return found
}

// onlyChild waits until a process has one child: of a new server the keeper.
func onlyChild(t testing.TB, parent int) (child int) {
	t.Helper()
	zinittest.Eventually(t, "one child", func() error {
		children := childrenOf(t, parent)
		for pid := range children {
			child = pid
		}
		if len(children) != 1 {
			return fmt.Errorf("are %v", children)
		}
		return nil
	})
	return child
}
