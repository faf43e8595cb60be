package server_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// A thousand services: how long a list takes, what they cost while nothing
// happens, and that their starts and stops leave nothing behind.
func BenchmarkThousand(b *testing.B) {
	const n = 1000
	s := zinittest.Start(b)
	c := s.Client(b)
	_, err := c.List(b.Context())
	ok(b, err)
	files, routines := s.Descriptors(b), s.Goroutines(b)
	name := func(i int) string { return "s" + strconv.Itoa(i) }
	began := time.Now()
	for i := range n {
		up(b, c, name(i), zinit.Service{Exec: []string{"sleep", "100000"}})
	}
	b.ReportMetric(time.Since(began).Seconds()*1000/n, "ms/start")
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		all, err := c.List(b.Context())
		took = append(took, time.Since(began))
		ok(b, err)
		if len(all) != n {
			b.Fatalf("%d services, want %d", len(all), n)
		}
	}
	median(b, took, "ms/list")
	b.ReportMetric(float64(residentMiB(b, s.PID())), "MiB")
	const idle = 3 * time.Second
	before := cpuTicks(b, s.PID())
	<-time.After(idle)
	b.ReportMetric(float64(cpuTicks(b, s.PID())-before)/idle.Seconds(), "%/core-idle") // 100 ticks a second
	began = time.Now()
	for i := range n {
		ok(b, c.Stop(b.Context(), name(i)))
		ok(b, c.Forget(b.Context(), name(i)))
	}
	b.ReportMetric(time.Since(began).Seconds()*1000/n, "ms/stop")
	if f, g, left := s.Descriptors(b), s.Goroutines(b), len(childrenOf(b, s.PID())); f > files+1 || g > routines+2 || left > 1 {
		b.Errorf("%d descriptors, were %d; %d goroutines, were %d; %d children beside the keeper", f, files, g, routines, left-1)
	}
}

// cpuTicks is the processor time that a process has used.
func cpuTicks(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	ok(b, err)
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return atoi(b, f[11]) + atoi(b, f[12])
}

// Ten children write as fast as they are read: how much that is, and what memory
// the server takes for it.
func BenchmarkFlood(b *testing.B) {
	s := zinittest.Start(b)
	c := s.Client(b)
	dir := b.TempDir()
	const children = 10
	file := func(i int) string { return filepath.Join(dir, strconv.Itoa(i)) }
	text := strings.Repeat("x", 99) // and the end of the line
	for i := range children {
		up(b, c, "s"+strconv.Itoa(i), zinittest.Child(b, "pour", file(i), text))
	}
	for i := range children {
		awaitLine(b, c, "s"+strconv.Itoa(i), is(text))
	}
	sum := func() (chunks int64) {
		for i := range children {
			chunks += sizeOf(b, file(i))
		}
		return chunks
	}
	from, began := sum(), time.Now()
	for b.Loop() {
		<-time.After(100 * time.Millisecond)
	}
	b.ReportMetric(float64(sum()-from)*(1<<16)/1e6/time.Since(began).Seconds(), "MB/s")
	b.ReportMetric(float64(residentMiB(b, s.PID())), "MiB")
	for i := range children {
		ok(b, c.Stop(b.Context(), "s"+strconv.Itoa(i)))
	}
}
