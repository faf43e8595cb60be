package server_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// heirs are servers over one folder, one after the other.
type heirs struct {
	t           *testing.T
	dir, socket string
	server      *zinittest.Server
}

func newHeirs(t *testing.T) (*heirs, *zinit.Client) {
	t.Helper()
	dir := t.TempDir()
	h := &heirs{t: t, dir: dir, socket: filepath.Join(dir, "z.sock")}
	return h, h.start()
}

func (h *heirs) start() *zinit.Client {
	h.t.Helper()
	h.server = zinittest.StartIn(h.t, h.dir, h.socket)
	return h.server.Client(h.t)
}

func (h *heirs) kill() {
	h.t.Helper()
	h.server.Kill(h.t)
}

// sizeOf is the size of a file that a child makes longer.
func sizeOf(t testing.TB, file string) int64 {
	t.Helper()
	fi, err := os.Stat(file)
	ok(t, err)
	return fi.Size()
}

// A killed server's children go on, and the next server takes them up: the same
// processes, as services that it can stop, with all that belongs to them.
func TestAdoption(t *testing.T) {
	h, c := newHeirs(t)
	up(t, c, "parent", zinittest.Child(t, "escape"))
	up(t, c, "bare", zinit.Service{Exec: []string{"env", "-i", "sleep", "1000"}})
	escaped := awaitPID(t, c, "parent")
	parent := incarnation(t, awaitState(t, c, "parent", running).PID)
	bare := incarnation(t, awaitState(t, c, "bare", running).PID)
	h.kill()
	c = h.start()
	for name, life := range map[string]events.Incarnation{"parent": parent, "bare": bare} {
		s, err := c.Status(t.Context(), name)
		ok(t, err)
		if s.PID != life.PID || s.State.Kind != zinit.Running || s.Target != zinit.Up {
			t.Errorf("%s was %s, and is after the adoption %+v", name, life, s)
		}
	}
	for _, name := range []string{"parent", "bare"} {
		ok(t, c.Stop(t.Context(), name))
	}
	for _, life := range []events.Incarnation{parent, escaped, bare} {
		if life.Alive() {
			t.Errorf("%s outlived the stop of its adopted service", life)
		}
	}
	if s := awaitState(t, c, "parent", func(s zinit.Status) bool { return s.PID == 0 }); s.State.Signal != "SIGTERM" {
		t.Errorf("after the stop of an adopted process: %+v", s)
	}
	ok(t, c.Start(t.Context(), "parent"))
	awaitState(t, c, "parent", running)
}

// What an adopted process dies of is known, and the next life begins at once;
// nothing of the last is left beside it.
func TestAdoptedProcessIsRestarted(t *testing.T) {
	h, c := newHeirs(t)
	up(t, c, "a", zinittest.Child(t, "escape"))
	up(t, c, "code", zinit.Service{Exec: []string{"sh", "-c", "trap 'exit 7' USR1; echo ready; while :; do sleep 0.01; done"}})
	escaped := awaitPID(t, c, "a")
	awaitLine(t, c, "code", is("ready"))
	first := awaitState(t, c, "a", running).PID
	coded := awaitState(t, c, "code", running).PID
	h.kill()
	c = h.start()
	ok(t, syscall.Kill(first, syscall.SIGKILL))
	s := awaitState(t, c, "a", func(s zinit.Status) bool { return running(s) && s.PID != first })
	if escaped.Alive() {
		t.Error("what the adopted life had started lives beside the next")
	}
	if s.Last == nil || s.Last.PID != first || s.Last.State.Signal != "SIGKILL" {
		t.Errorf("the end of the adopted life: %+v", s.Last)
	}
	ok(t, c.Kill(t.Context(), "code", "SIGUSR1"))
	s = awaitState(t, c, "code", func(s zinit.Status) bool { return running(s) && s.PID != coded })
	if s.Last == nil || s.Last.State.Code != 7 {
		t.Errorf("the end of the adopted life: %+v", s.Last)
	}
}

// What ended while nobody was there begins anew, and what it left is gone first.
func TestDeathWithoutAServer(t *testing.T) {
	h, c := newHeirs(t)
	up(t, c, "a", zinittest.Child(t, "escape"))
	escaped := awaitPID(t, c, "a")
	first := incarnation(t, awaitState(t, c, "a", running).PID)
	h.kill()
	ok(t, syscall.Kill(first.PID, syscall.SIGKILL))
	zinittest.Eventually(t, "the process is dead", func() error {
		if first.Alive() {
			return errors.New("lives")
		}
		return nil
	})
	c = h.start()
	awaitState(t, c, "a", func(s zinit.Status) bool { return running(s) && s.PID != first.PID })
	if escaped.Alive() {
		t.Error("what the dead life had started lives beside the next")
	}
}

// What was wanted holds for the next server: a stopped service stays so, and a
// oneshot that is done is not run again.
func TestStandingsAreInherited(t *testing.T) {
	h, c := newHeirs(t)
	runs := filepath.Join(t.TempDir(), "runs")
	up(t, c, "stopped", zinittest.Child(t, "say", "hello"))
	up(t, c, "once", zinit.Service{Exec: []string{"sh", "-c", "echo run >>" + runs}, Oneshot: true})
	up(t, c, "behind", zinit.Service{Exec: []string{"sleep", "1000"}, After: []string{"once"}})
	before := awaitState(t, c, "behind", running).PID
	ok(t, c.Stop(t.Context(), "stopped"))
	// The end of a oneshot is written down beside the loop.
	zinittest.Eventually(t, "the end is noted", func() error {
		_, err := os.Stat(filepath.Join(h.dir, ".running", "once.state"))
		return err
	})
	h.kill()
	c = h.start()
	s, err := c.Status(t.Context(), "stopped")
	ok(t, err)
	if s.Target != zinit.Down || s.PID != 0 || s.State.Signal != "SIGTERM" {
		t.Errorf("the stopped service: %+v", s)
	}
	s, err = c.Status(t.Context(), "once")
	ok(t, err)
	if s.State.Kind != zinit.Success || s.PID != 0 {
		t.Errorf("the oneshot that was done: %+v", s)
	}
	if s := awaitState(t, c, "behind", running); s.PID != before {
		t.Errorf("what is behind the oneshot was started again: %+v", s)
	}
	if b, err := os.ReadFile(runs); err != nil || string(b) != "run\n" {
		t.Errorf("runs of the oneshot: %q, %v", b, err)
	}
	ok(t, c.Start(t.Context(), "stopped"))
	awaitState(t, c, "stopped", running)
}

// A stop that the server did not live to finish is finished by the next.
func TestStopOverTheServersDeath(t *testing.T) {
	h, c := newHeirs(t)
	svc := zinittest.Child(t, "ignore", "SIGTERM")
	svc.ShutdownTimeout = time.Second
	up(t, c, "deaf", svc)
	awaitLine(t, c, "deaf", is("ready"))
	life := incarnation(t, awaitState(t, c, "deaf", running).PID)
	go func() { _ = c.Stop(t.Context(), "deaf") }()
	zinittest.Eventually(t, "the stop is noted", func() error {
		_, err := os.Stat(filepath.Join(h.dir, ".running", "deaf.state"))
		return err
	})
	h.kill()
	c = h.start()
	s := awaitState(t, c, "deaf", func(s zinit.Status) bool { return s.PID == 0 })
	if life.Alive() || s.Target != zinit.Down || s.State.Signal != "SIGKILL" {
		t.Errorf("alive %v, %+v", life.Alive(), s)
	}
}

// The output of a child is read while there is no server, and is all there
// afterwards; what was said before is there, too.
func TestOutputOverTheServersDeath(t *testing.T) {
	h, c := newHeirs(t)
	up(t, c, "count", zinittest.Child(t, "count"))
	awaitLine(t, c, "count", is("20"))
	keeper := onlyReader(t, h)
	h.kill()
	// Not before the keeper has taken over: how long it is alone shows in its lines.
	var seen string
	zinittest.Eventually(t, "the keeper has written", func() error {
		b, err := os.ReadFile(filepath.Join(h.dir, ".running", "reader.lock"))
		seen = strings.TrimSpace(string(b))
		if err == nil && seen != strconv.Itoa(keeper) {
			err = fmt.Errorf("the reader is %s, want %d", seen, keeper)
		}
		return err
	})
	<-time.After(300 * time.Millisecond) // of nobody but the keeper
	c = h.start()
	last := 0
	zinittest.Eventually(t, "numbers behind the adoption", func() error {
		numbers := numbersOf(t, c, "count")
		last = numbers[len(numbers)-1]
		if numbers[0] != 0 {
			t.Fatalf("the first number is %d", numbers[0])
		}
		if last < 80 {
			return fmt.Errorf("at %d", last)
		}
		// What the dead server had read and not written is lost: a line or two.
		if missing := last + 1 - len(numbers); missing > 5 {
			t.Fatalf("%d numbers up to %d are missing: %v", missing, last, numbers)
		}
		return nil
	})
}

func numbersOf(t testing.TB, c *zinit.Client, name string) (numbers []int) {
	t.Helper()
	lines, err := c.CurrentLogs(t.Context(), name)
	ok(t, err)
	for _, l := range lines {
		if n, err := strconv.Atoi(strings.TrimPrefix(l, "[+] "+name+": ")); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// onlyReader waits until the keeper waits for the lock, and is its PID.
func onlyReader(t testing.TB, h *heirs) (keeper int) {
	t.Helper()
	zinittest.Eventually(t, "a keeper that waits", func() error {
		for pid := range childrenOf(t, h.server.PID()) {
			if keeper = pid; waitsForLock(pid) {
				return nil
			}
		}
		return errors.New("there is none")
	})
	return keeper
}

// waitsForLock reports whether the process waits for a lock on a file.
func waitsForLock(pid int) bool {
	b, err := os.ReadFile("/proc/locks")
	return err == nil && strings.Contains(string(b), fmt.Sprintf("-> FLOCK  ADVISORY  WRITE %d ", pid))
}

// A child that writes much is not held up by a server that is not there.
func TestNobodyBlocksWithoutAServer(t *testing.T) {
	h, c := newHeirs(t)
	poured := filepath.Join(t.TempDir(), "poured")
	up(t, c, "pour", zinittest.Child(t, "pour", poured))
	awaitLine(t, c, "pour", is("pour it all out"))
	onlyReader(t, h)
	h.kill()
	enough := sizeOf(t, poured) + 50 // of 64 KiB each, which is what a pipe holds
	zinittest.Eventually(t, "the child writes on", func() error {
		if n := sizeOf(t, poured); n < enough {
			return fmt.Errorf("%d of %d", n, enough)
		}
		return nil
	})
	c = h.start()
	enough = sizeOf(t, poured) + 50
	zinittest.Eventually(t, "the child writes on with its second server", func() error {
		if n := sizeOf(t, poured); n < enough {
			return fmt.Errorf("%d of %d", n, enough)
		}
		return nil
	})
	ok(t, c.Stop(t.Context(), "pour"))
}

// Without a service there is nothing to keep: the keeper ends by itself.
func TestKeeperEnds(t *testing.T) {
	h, _ := newHeirs(t)
	keeper := incarnation(t, onlyReader(t, h))
	h.kill()
	zinittest.Eventually(t, "the keeper ends", func() error {
		if keeper.Alive() {
			return errors.New("it lives")
		}
		return nil
	})
}

// A keeper that is killed is replaced.
func TestKeeperIsReplaced(t *testing.T) {
	h, _ := newHeirs(t)
	first := onlyReader(t, h)
	ok(t, syscall.Kill(first, syscall.SIGKILL))
	zinittest.Eventually(t, "another keeper", func() error {
		if next := onlyReader(t, h); next == first {
			return errors.New("still the first")
		}
		return nil
	})
}

// A process whose first thread has ended, which the kernel shows as a zombie, lives on in its others: it is adopted, and it is
// stopped to the end.
func TestAdoptionOfAHeadlessProcess(t *testing.T) {
	h, c := newHeirs(t)
	once := filepath.Join(t.TempDir(), "once")
	svc := zinittest.Child(t, "headless")
	svc.Env[zinittest.OnceVar] = once
	up(t, c, "a", svc)
	awaitLine(t, c, "a", is("headless"))
	first := awaitState(t, c, "a", running).PID
	h.kill()
	c = h.start()
	if second := awaitState(t, c, "a", running).PID; second != first {
		t.Errorf("PID %d is there beside PID %d", second, first)
	}
	h.kill() // this time as in the middle of a start: nothing is noted, and its mark is all there is
	ok(t, os.Remove(filepath.Join(h.dir, ".running", "a")))
	c = h.start()
	if second := awaitState(t, c, "a", running).PID; second == first {
		t.Error("what was not noted is adopted")
	}
	if life, err := events.IncarnationOf(first); err == nil {
		t.Errorf("%v lives on beside the next", life)
	}
	first = awaitState(t, c, "a", running).PID
	if b, err := os.ReadFile(once); err != nil || len(b) > 0 {
		t.Errorf("%s%v", b, err)
	}
	ok(t, c.Stop(t.Context(), "a"))
	if life, err := events.IncarnationOf(first); err == nil {
		t.Errorf("after the stop %v lives", life)
	}
}
