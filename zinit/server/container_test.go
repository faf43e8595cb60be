package server_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"herosup/zinit"
	"herosup/zinit/zinittest"
)

var inside = flag.Bool("in-namespace", false, "the test of a container runs inside of it")

// As in a container: nobody is above the first process but us, and what loses
// its parent is reaped. The contract of a life holds there as anywhere.
func TestInAContainer(t *testing.T) {
	if *inside {
		live(t)
		return
	}
	out, ok := zinittest.Namespaced(t, 0, "-test.run", "^TestInAContainer$", "-test.v", "-in-namespace")
	if !ok {
		t.Skip("NO RIGHTS: no PID namespace to be had")
	}
	if !strings.Contains(out, "--- PASS: TestInAContainer") {
		t.Errorf("inside:\n%s", out)
	}
}

func live(t *testing.T) {
	if os.Getppid() != 1 {
		t.Fatalf("the parent is %d, want the first process of a container", os.Getppid())
	}
	h, c := newHeirs(t)
	up(t, c, "a", zinittest.Child(t, "escape"))
	escaped := awaitPID(t, c, "a")
	first := awaitState(t, c, "a", running).PID
	h.kill()
	c = h.start()
	if s := awaitState(t, c, "a", running); s.PID != first {
		t.Errorf("adopted %+v, want PID %d", s, first)
	}
	ok(t, c.Kill(t.Context(), "a", "SIGKILL"))
	awaitState(t, c, "a", func(s zinit.Status) bool { return running(s) && s.PID != first })
	if escaped.Alive() {
		t.Error("a child in another session lives beside the next life")
	}
	ok(t, c.Stop(t.Context(), "a"))
}
