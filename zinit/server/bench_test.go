package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// stampProgram builds the child of the measurements: static, small, and its
// first instruction takes the time.
func stampProgram(b *testing.B) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), "stamp")
	cmd := exec.Command("go", "build", "-o", program, "./testdata/stamp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build: %v: %s", err, out)
	}
	return program
}

// stamped waits for the child's time.
func stamped(b *testing.B, file string) (at time.Time) {
	b.Helper()
	zinittest.Eventually(b, "a stamp", func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		ns, err := strconv.ParseInt(string(text), 10, 64)
		at = time.Unix(0, ns)
		return err
	})
	return at
}

func median(b *testing.B, d []time.Duration, unit string) {
	slices.Sort(d)
	b.ReportMetric(float64(d[len(d)/2].Microseconds())/1000, unit)
}

// From the request to the first instruction of the process, beside the floor:
// plain fork and exec of the same program in the same run.
func BenchmarkStart(b *testing.B) {
	program := stampProgram(b)
	c := zinittest.Start(b).Client(b)
	dir := b.TempDir()
	var start, monitor, floor []time.Duration
	for i := 0; b.Loop(); i++ {
		name := "s" + strconv.Itoa(i)
		file := filepath.Join(dir, name)
		began := time.Now()
		ok(b, c.Create(b.Context(), name, zinit.Service{Exec: []string{program, file, "wait"}}))
		asked := time.Now()
		ok(b, c.Monitor(b.Context(), name))
		at := stamped(b, file)
		start, monitor = append(start, at.Sub(began)), append(monitor, at.Sub(asked))
		ok(b, c.Stop(b.Context(), name))
		ok(b, c.Forget(b.Context(), name))

		file += "-floor"
		began = time.Now()
		cmd := exec.Command(program, file)
		ok(b, cmd.Start())
		floor = append(floor, stamped(b, file).Sub(began))
		ok(b, cmd.Wait())
	}
	median(b, start, "ms/create+monitor")
	median(b, monitor, "ms/monitor")
	median(b, floor, "ms/floor")
}

// From KILL to the first instruction of the next life.
func BenchmarkKillToRestart(b *testing.B) {
	program := stampProgram(b)
	c := zinittest.Start(b).Client(b)
	dir := b.TempDir()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		name := "s" + strconv.Itoa(i)
		file := filepath.Join(dir, name)
		up(b, c, name, zinit.Service{Exec: []string{program, file, "wait"}})
		stamped(b, file)
		ok(b, os.Remove(file))
		began := time.Now()
		ok(b, c.Kill(b.Context(), name, "SIGKILL"))
		took = append(took, stamped(b, file).Sub(began))
		ok(b, c.Stop(b.Context(), name))
	}
	median(b, took, "ms/kill-to-next")
}

// A stop of a process that ends when told: the answer comes when it is gone.
func BenchmarkStop(b *testing.B) {
	c := zinittest.Start(b).Client(b)
	up(b, c, "a", zinit.Service{Exec: []string{"sleep", "100"}})
	var took []time.Duration
	for b.Loop() {
		ok(b, c.Start(b.Context(), "a"))
		began := time.Now()
		ok(b, c.Stop(b.Context(), "a"))
		took = append(took, time.Since(began))
	}
	median(b, took, "ms/stop")
}
