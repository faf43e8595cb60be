package actor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"herosup/dispatch/store"
	"herosup/events"
)

// process is an actor as `herosup actor` is one: of this binary, started again.
func process(args []string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := store.Open(store.Options{URL: args[0]}, log)
	if err == nil {
		defer s.Close()
		var h Handler
		if h, err = ScriptHandler(ScriptConfig{Interpreter: args[3:]}); err == nil {
			err = Run(ctx, Config{Store: s, Name: args[1], Type: args[2], Handler: h, Log: log})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// spawn starts an actor process; its exit is checked at the end unless it was killed.
func (b *bed) spawn(name string) *exec.Cmd {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processMode+"="+strings.Join([]string{b.url, name, "t", "bash"}, " "))
	cmd.Stderr = &b.logs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				b.Errorf("actor %s: %v; log:\n%s", name, err, b.logs.String())
			}
		}
	})
	return cmd
}

// Each of 100 scripts is run once, by one of four processes, and says so in a file.
func TestHundredJobsOnFourActors(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		file := filepath.Join(t.TempDir(), "ran")
		var ids []string
		for range 50 {
			ids = append(ids, b.script(`echo "$HERO_JOB_ID $HERO_ATTEMPT" >> `+file+`; echo "$HERO_JOB_ID"`))
		}
		for n := range 4 {
			b.spawn(fmt.Sprintf("p_%d", n+1))
		}
		for range 50 {
			ids = append(ids, b.script(`echo "$HERO_JOB_ID $HERO_ATTEMPT" >> `+file+`; echo "$HERO_JOB_ID"`))
		}
		actors := map[string]int{}
		for _, id := range ids {
			r := b.ended(id)
			if r.Status != store.StatusFinished || r.Output != id+"\n" || r.Attempts != 1 {
				t.Errorf("got %+v", r)
			}
			actors[r.Actor]++
		}
		ran, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		times := map[string]int{}
		for line := range strings.Lines(string(ran)) {
			times[strings.TrimSpace(line)]++
		}
		for _, id := range ids {
			if times[id+" 1"] != 1 {
				t.Errorf("%s ran %d times", id, times[id+" 1"])
			}
		}
		if len(times) != 100 || b.count(store.FactStarted) != 100 || b.count(store.FactEnded) != 100 {
			t.Errorf("%d ran, %d started, %d ended", len(times), b.count(store.FactStarted), b.count(store.FactEnded))
		}
		t.Logf("jobs by actor: %v", actors)
	})
}

// faults.md W4: SIGKILL of an actor in mid-job. The leader of the script ends with it, what the script left is in the
// recorded group, and the job goes to another attempt with no process of the first alive.
func TestKillOfAnActorInMidJob(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		pids, next := fifo(t)
		cmd := b.spawn("p_1")
		id := b.script("echo $$ > " + pids + "\n[ $HERO_ATTEMPT = 2 ] || { sleep 1000 & wait; }")
		leader := incarnation(t, next())
		start := b.started(id)
		if actor, err := events.ParseIncarnation(start.Incarnation); err != nil || actor.PID != cmd.Process.Pid || !actor.Alive() {
			t.Errorf("incarnation %s, pid %d, %v", start.Incarnation, cmd.Process.Pid, err)
		}
		groups, err := b.d.Groups(t.Context(), "p_1", "")
		want := store.Group{PGID: leader.PID, Start: leader.Start, Job: id, Attempt: 1}
		if err != nil || !slices.Equal(groups, []store.Group{want}) {
			t.Fatalf("recorded groups %+v %v, leader %v", groups, err, leader)
		}
		t.Cleanup(func() { _ = unix.Kill(-leader.PID, unix.SIGKILL) })
		awaitExit(t, leader, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })

		// As the executor and the daemon do.
		_ = unix.Kill(-leader.PID, unix.SIGKILL)
		if rec := b.recover(start.Incarnation, false); rec.Jobs[0].Crashes != 1 {
			t.Errorf("got %+v", rec)
		}
		b.spawn("p_2")
		next()
		if r := b.ended(id); r.Attempts != 2 || r.Actor != "p_2" || r.Status != store.StatusFinished {
			t.Errorf("got %+v", r)
		}
	})
}

// SIGTERM ends an idle actor at once and with exit 0, a busy one after its job.
func TestTermOfAnActorProcess(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		pids, next := fifo(t)
		cmd := b.spawn("p_1")
		id := b.script("echo $$ > " + pids + "; read -r _ < " + pids + ".go; echo whole")
		if err := syscall.Mkfifo(pids+".go", 0o600); err != nil {
			t.Fatal(err)
		}
		next()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pids+".go", []byte("\n"), 0); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("actor: %v; log:\n%s", err, b.logs.String())
		}
		if r := b.ended(id); r.Output != "whole\n" {
			t.Errorf("got %+v", r)
		}
	})
}

func incarnation(t *testing.T, pid string) events.Incarnation {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	inc, err := events.IncarnationOf(n)
	if err != nil {
		t.Fatal(err)
	}
	return inc
}

// awaitExit waits for a process that is not our child to end, after kill.
func awaitExit(t *testing.T, who events.Incarnation, kill func()) {
	t.Helper()
	fd, err := unix.PidfdOpen(who.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	kill()
	begun := time.Now()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 {
			t.Fatalf("%v lives on (%v)", who, err)
		}
		t.Logf("ended %v after", time.Since(begun))
		return
	}
}

// fifo is where a script tells the test where it is.
func fifo(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) // for both, so that neither end waits for the other
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return path, func() string {
		t.Helper()
		_ = f.SetReadDeadline(time.Now().Add(soon))
		var line []byte
		for c := make([]byte, 1); ; {
			if _, err := f.Read(c); err != nil {
				t.Fatalf("the script did not say where it is: %v", err)
			}
			if c[0] == '\n' {
				return string(line)
			}
			line = append(line, c[0])
		}
	}
}
