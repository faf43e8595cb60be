package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each benchmark is one trial a round and reports medians and 99th percentiles
// in ms beside the floor measured in the same run:
//
//	go test -run xxx -bench 'Reaction|DeathToRerun' -benchtime 20x ./cmd/herosup

func report(b *testing.B, name string, d []time.Duration) {
	slices.Sort(d)
	ms := func(q float64) float64 {
		return float64(d[min(len(d)-1, int(q*float64(len(d))))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(0.50), name+"-p50-ms")
	b.ReportMetric(ms(0.99), name+"-p99-ms")
	b.ReportMetric(0, "ns/op") // a trial's whole length says nothing
}

// stamp reads a time that a child wrote: microseconds of bash's EPOCHREALTIME,
// or nanoseconds of a Go program.
func stamp(tb testing.TB, s string) time.Time {
	tb.Helper()
	s = strings.TrimSpace(s)
	if sec, micro, ok := strings.Cut(s, "."); ok {
		a, err1 := strconv.ParseInt(sec, 10, 64)
		c, err2 := strconv.ParseInt(micro, 10, 64)
		if err1 != nil || err2 != nil {
			tb.Fatalf("stamp %q", s)
		}
		return time.Unix(a, c*1000)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		tb.Fatalf("stamp %q", s)
	}
	return time.Unix(0, n)
}

// buildStamp builds the static Go actor whose first instruction reads the clock.
func buildStamp(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "stamp")
	cmd := exec.Command("go", "build", "-o", path, "../../testdata/actors/stamp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build stamp: %v\n%s", err, out)
	}
	return path
}

// BenchmarkReaction: from the publish of a submission to an empty pool to the
// first instruction of the actor that it brings up; beside fork and exec of the
// same program by itself, and the same for a script under `herosup actor`.
func BenchmarkReaction(b *testing.B) {
	program := buildStamp(b)
	dir := b.TempDir()
	file := filepath.Join(dir, "stamp")
	r := newRig(b, withServer, fmt.Sprintf(`  stamp:
    command: %s
    env: {STAMP_FILE: %s}
    max: 1
    idle_timeout: 20ms
  bash: {max: 1, idle_timeout: 20ms}
`, program, file))
	var actors, scripts, floors []time.Duration
	for n := 0; b.Loop(); n++ {
		_ = os.Remove(file)
		id := fmt.Sprintf("stamp-%d", n)
		begin := time.Now()
		r.submit("stamp", id, "x")
		r.until("the job's end", func() bool { return len(r.ends[id]) > 0 })
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		actors = append(actors, stamp(b, string(text)).Sub(begin))
		r.until("zero actors", func() bool { return r.count("stopped") == len(r.states) })

		id = fmt.Sprintf("script-%d", n)
		begin = time.Now()
		r.submit("bash", id, "echo $EPOCHREALTIME")
		r.until("the job's end", func() bool { return len(r.ends[id]) > 0 })
		scripts = append(scripts, stamp(b, r.record(id).Output).Sub(begin))
		r.until("zero actors", func() bool { return r.count("stopped") == len(r.states) })

		_ = os.Remove(file)
		cmd := exec.Command(program, "--once")
		cmd.Env = append(os.Environ(), "STAMP_FILE="+file)
		begin = time.Now()
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		if text, err = os.ReadFile(file); err != nil {
			b.Fatal(err)
		}
		floors = append(floors, stamp(b, string(text)).Sub(begin))
	}
	report(b, "actor", actors)
	report(b, "script", scripts)
	report(b, "fork-exec", floors)
}

// BenchmarkDeathToRerun: from the SIGKILL of an actor in the middle of a job to
// the first instruction of that job's script on another, idle one.
func BenchmarkDeathToRerun(b *testing.B) {
	// Every poll at an hour: what is measured is the event.
	r := newRigPolling(b, "  bash: {max: 2, min: 2, idle_timeout: 60s, restart: {backoff: [1ms, 10ms], crash_loop: {exits: 1000, within: 1s}}}\n", time.Hour)
	r.until("two idle actors", func() bool { return r.count("idle") == 2 })
	var reruns, noticed []time.Duration
	for n := 0; b.Loop(); n++ {
		id := fmt.Sprintf("victim-%d", n)
		r.submit("bash", id, `[ "$HERO_ATTEMPT" = 1 ] && sleep 1000; echo $EPOCHREALTIME`)
		r.until("its start", func() bool { return len(r.starts[id]) == 1 })
		begin := time.Now()
		if err := syscall.Kill(r.starts[id][0].Incarnation.PID, syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		r.until("its end", func() bool { return len(r.ends[id]) > 0 })
		reruns = append(reruns, stamp(b, r.record(id).Output).Sub(begin))
		r.until("two idle actors again", func() bool { return r.count("idle") == 2 })

		// The floor: death of a process to its end seen by the parent.
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		begin = time.Now()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		noticed = append(noticed, time.Since(begin))
	}
	report(b, "rerun", reruns)
	report(b, "exit-seen", noticed)
}

// BenchmarkJobs: no-op scripts through the whole path, submission to result.
func BenchmarkJobs(b *testing.B) {
	r := newRig(b, withServer, "  bash: {max: 4, min: 4}\n")
	r.until("four idle actors", func() bool { return r.count("idle") == 4 })
	n := 0
	for b.Loop() {
		r.submit("bash", fmt.Sprintf("job-%d", n), "true")
		n++
	}
	r.until("all ends", func() bool { return len(r.ends) == n })
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
}

// BenchmarkBulkCancel cancels b.N jobs that wait, by the command, their listing included:
//
//	go test -run xxx -bench BulkCancel -benchtime 20000x ./cmd/herosup
func BenchmarkBulkCancel(b *testing.B) {
	r := newRig(b, withServer, bashPool)
	lines := r.command("submit", "--each-line", "nobody")
	lines.Stdin = strings.NewReader(strings.Repeat("true\n", b.N))
	if out, err := lines.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%.300s", err, out)
	}
	r.within(time.Minute, "all wait", func() bool { return len(r.queued) >= b.N })
	b.ResetTimer()
	cancel := r.command("cancel", "--type", "nobody", "--yes")
	var said strings.Builder
	cancel.Stderr = &said
	if err := cancel.Run(); err != nil {
		b.Fatalf("%v\n%.300s", err, said.String())
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.Log(strings.TrimSpace(said.String()))
}
