package actor

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
		cfg := Config{Store: s, Name: args[1], Type: args[2], Log: log}
		switch args[3] {
		case panics:
			cfg.Concurrency, cfg.Handler = 4, func(context.Context, Job) Outcome { panic("out of luck") }
		case noScript:
			cfg.Handler = func(ctx context.Context, j Job) Outcome {
				<-time.After(2 * time.Millisecond) // or the backlog is gone before it can be killed
				return echo(ctx, j)
			}
			cfg.Concurrency, err = strconv.Atoi(args[4])
		default:
			cfg.Handler, err = ScriptHandler(ScriptConfig{Interpreter: args[3:]})
		}
		if err == nil {
			err = Run(ctx, cfg)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// noScript in an interpreter's place: jobs end soon; the number of slots follows.
const noScript = "-"

// panics in an interpreter's place: what happens to each job.
const panics = "!"

// spawn starts an actor process; its exit is checked at the end unless it was killed.
func (b *bed) spawn(name string, handler ...string) *exec.Cmd {
	b.Helper()
	if len(handler) == 0 {
		handler = []string{"bash"}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processMode+"="+strings.Join(append([]string{b.url, name, "t"}, handler...), " "))
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

// SIGKILL of an actor of many slots at any moment of a backlog, when two calls may be under way, and of Redis, which keeps what it said,
// and answers that are lost on their way: all that a dead one held is handed back, a living one goes on with what it was given unheard, and
// each job ends once. The last actor is not killed: no death gives back what it does not know of.
func TestKillsInABacklog(t *testing.T) {
	srv := realServer(t)
	b := newBed(t, srv)
	p := newProxy(t, "unix", strings.TrimPrefix(srv.url, "unix://"))
	b.url = "unix://" + p.path // of the actors alone
	const jobs = 4000
	var batch []store.Submission
	for i := range jobs {
		batch = append(batch, store.Submission{ID: fmt.Sprint("job-", i), Type: "t", Script: "x", Sequence: uint64(i + 1)})
	}
	ids := make([]string, jobs)
	for i, s := range batch {
		ids[i] = s.ID
	}
	accept := func(jobs []store.Submission) {
		for some := range slices.Chunk(jobs, store.MaxBatch) {
			if _, err := b.d.Accept(t.Context(), 0, some); err != nil {
				t.Fatal(err)
			}
		}
	}
	const first = jobs * 3 / 4 // the rest is for the last actor: it is quicker than we are told of it
	accept(batch[:first])
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
	hit, unended := 0, jobs
	for n := 1; n <= 8 && b.count(store.FactEnded) < first*3/4; n++ {
		cmd := b.spawn("p_1", noScript, "10")
		who := b.await("its hello", func(f store.Fact) bool { // what the one before it has told is read by then, and no part of the goal
			actor, err := events.ParseIncarnation(f.Incarnation)
			return err == nil && f.Kind == store.FactHello && actor.PID == cmd.Process.Pid
		}).Incarnation
		goal := b.count(store.FactEnded) + r.IntN(300) + 1
		b.until("some have ended", func() bool { return b.count(store.FactEnded) >= min(goal, first) })
		switch n % 3 {
		case 0: // under the actor's calls
			srv.stop()
			srv.back()
		case 1:
			lost := p.lostSoFar()
			p.lose(1)
			b.until("an answer is lost", func() bool { return p.lostSoFar() > lost || b.count(store.FactEnded) == first })
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		rec := patient(b, func() (store.Recovered, error) { return b.d.Recover(b.Context(), who, true, 3) })
		hit += len(rec.Jobs)
		for _, r := range patient(b, func() ([]store.Record, error) { return b.s.Records(b.Context(), ids, false) }) {
			if r.Token.Incarnation == who {
				t.Fatalf("%s was not handed back with its %d others: %+v", r.ID, len(rec.Jobs), r)
			}
		}
	}
	accept(batch[first:])
	before := p.lostSoFar()
	b.spawn("p_1", noScript, "10")
	ends := map[string]int{}
	for seen := 0; unended > 0; {
		b.until("an end", func() bool { return len(b.facts) > seen })
		for ; seen < len(b.facts); seen++ {
			if f := b.facts[seen]; f.Kind == store.FactEnded {
				ends[f.Job]++
				if unended--; unended%250 == 0 {
					p.lose(1)
				}
			}
		}
	}
	again := 0
	for _, s := range batch {
		rec := b.record(s.ID)
		again += rec.Attempts - 1
		if ends[s.ID] != 1 || rec.Status != store.StatusFinished {
			t.Errorf("%s ended %d times: %+v", s.ID, ends[s.ID], rec)
		}
	}
	if again > hit {
		t.Errorf("%d attempts more than jobs, and %d jobs were hit", again, hit)
	}
	lost := p.lostSoFar() - before
	if hit == 0 || lost == 0 {
		t.Errorf("%d jobs were hit, %d answers lost", hit, lost)
	}
	t.Logf("%d jobs were hit, %d answers lost to the last actor", hit, lost)
}

// A panic of a handler is the death of its process, and no end of the job: that is given back.
func TestPanicOfAHandlerIsNoEnd(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server) {
		b := newBed(t, srv)
		id := b.script("x")
		for n := range 20 {
			cmd := b.spawn("p_1", panics)
			if err := cmd.Wait(); err == nil || !strings.Contains(b.logs.String(), "out of luck") {
				t.Fatalf("it lives on: %v", err)
			}
			r := b.record(id)
			if r.Status != store.StatusStarted || r.Attempts != n+1 {
				t.Fatalf("after %d deaths: %+v", n+1, r)
			}
			if rec := patient(b, func() (store.Recovered, error) { return b.d.Recover(b.Context(), r.Token.Incarnation, true, 100) }); len(rec.Jobs) != 1 {
				t.Fatalf("%+v", rec)
			}
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
