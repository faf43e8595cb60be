package server_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"herosup/zinit"
	"herosup/zinit/zinittest"
)

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s))
	ok(t, err)
	return n
}

// What is no text and what is no line harms neither the reader nor the child.
func TestOutputThatIsNoText(t *testing.T) {
	c := zinittest.Start(t).Client(t)
	up(t, c, "a", zinittest.Child(t, "bytes"))
	awaitLine(t, c, "a", is("end"))
	lines, err := c.CurrentLogs(t.Context(), "a")
	ok(t, err)
	x := 0
	for _, l := range lines {
		if !strings.HasPrefix(l, "[+] a: ") && !strings.HasPrefix(l, "[-] a: ") {
			t.Errorf("a line without its mark: %.40q", l)
		}
		x += strings.Count(strings.TrimPrefix(l, "[+] a: "), "x")
	}
	if x != 100_000 {
		t.Errorf("of a line of 100000 bytes %d are there", x)
	}
	if got := strings.Join(lines, "\n"); !strings.Contains(got, "a\ufffd") {
		t.Errorf("bytes that are no UTF-8 are not shown as such in %.60q", got)
	}
}

// A child that writes without end costs the others little and the server no
// memory.
func TestFlood(t *testing.T) {
	s := zinittest.Start(t)
	c := s.Client(t)
	up(t, c, "flood", zinittest.Child(t, "flood"))
	awaitLine(t, c, "flood", is("flood"))
	stream, err := c.FollowLogs(t.Context(), "flood")
	ok(t, err)
	defer stream.Close()
	var took []time.Duration
	for i := range 50 {
		name := "s" + strconv.Itoa(i)
		began := time.Now()
		up(t, c, name, zinit.Service{Exec: []string{"true"}, Oneshot: true})
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if half := took[len(took)/2]; half > time.Second {
		t.Errorf("beside a flood half of the starts took %v and more", half)
	}
	// The follower has read nothing so far: it is told what it lost.
	for i := 0; ; i++ {
		line, err := stream.Next(t.Context())
		ok(t, err)
		if strings.Contains(line, "lines dropped") {
			break
		}
		if i > 1_000_000 {
			t.Fatal("a follower that did not read is not told what it lost")
		}
	}
	if got := residentMiB(t, s.PID()); got > 200 {
		t.Errorf("the server uses %d MiB", got)
	}
	ok(t, c.Stop(t.Context(), "flood"))
}

// A folder that can have no pipe any more (it is full, or somebody has removed it) keeps
// no service from its next life, nor its output from the log.
func TestRestartWithoutAFolderForPipes(t *testing.T) {
	s := zinittest.Start(t)
	c := s.Client(t)
	up(t, c, "a", zinit.Service{Exec: []string{"sh", "-c", "echo I am $$; exec sleep 1000"}})
	first := awaitState(t, c, "a", running).PID
	ok(t, os.RemoveAll(filepath.Join(s.Dir, ".running", "out.d")))
	ok(t, c.Kill(t.Context(), "a", "SIGKILL"))
	next := awaitState(t, c, "a", func(s zinit.Status) bool {
		return s.PID != first && (running(s) || s.State.Kind == zinit.Failure)
	})
	if !running(next) {
		lines, _ := c.CurrentLogs(t.Context(), "a")
		t.Fatalf("is %+v: %q", next, lines)
	}
	awaitLine(t, c, "a", is("I am "+strconv.Itoa(next.PID)))
}

func residentMiB(t testing.TB, pid int) int {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	ok(t, err)
	return atoi(t, strings.Fields(string(b))[1]) * os.Getpagesize() >> 20 / shadow
}
