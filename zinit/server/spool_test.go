package server

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// spooled writes lines through one spool after the other over a folder.
func spooled(t *testing.T, dir string, batches ...[]line) []line {
	t.Helper()
	s := newSpool(dir, slog.New(slog.DiscardHandler))
	before, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { s.run(); close(done) }()
	for _, b := range batches {
		s.batches <- b
	}
	close(s.batches)
	<-done
	return before
}

// What one server wrote the next reads, as it was, whatever the text holds.
func TestSpoolKeepsLines(t *testing.T) {
	dir := t.TempDir()
	want := []line{
		{stdout, "a", "hello"}, {stderr, "a b: c", "tab\there"}, {stdout, "a/test", ""}, {stdout, "a", "\x01\r"},
	}
	spooled(t, dir, want[:2], want[2:])
	if got := spooled(t, dir, []line{{stdout, "b", "behind"}}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got := spooled(t, dir)
	if fmt.Sprint(got) != fmt.Sprint(append(want, line{stdout, "b", "behind"})) {
		t.Errorf("the third server got %q", got)
	}
}

// It is bounded, and the latest lines are those that stay.
func TestSpoolIsBounded(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("x", 1<<10)
	var batches [][]line
	const n = 5 * segmentBytes >> 10
	for i := range n {
		batches = append(batches, []line{{stdout, "a", fmt.Sprint(i, " ", long)}})
	}
	spooled(t, dir, batches...)
	size := int64(0)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		fi, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		size += fi.Size()
	}
	if size > 2*segmentBytes+1<<10 {
		t.Errorf("%d bytes on disk, want at most %d", size, 2*segmentBytes)
	}
	got := spooled(t, dir)
	last, _, _ := strings.Cut(got[len(got)-1].text, " ")
	first, _, _ := strings.Cut(got[0].text, " ")
	if last != fmt.Sprint(n-1) || len(got) < segmentBytes>>10*9/10 {
		t.Errorf("%d lines from %s to %s, want the latest 4 MiB up to %d", len(got), first, last, n-1)
	}
}

// A line that its writer did not live to end is left out, as is all that is no
// line of ours.
func TestSpoolOfAKilledWriter(t *testing.T) {
	dir := t.TempDir()
	text := "1\n+\ta\twhole\nnonsense\n-\t\tno label\n+\ta\tcut o"
	if err := os.WriteFile(filepath.Join(dir, "log.1"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := spooled(t, dir); len(got) != 1 || got[0].text != "whole" {
		t.Errorf("got %q", got)
	}
}

// A disk that is too slow loses lines, and says how many; nobody waits for it.
func TestSpoolOfASlowDisk(t *testing.T) {
	s := newSpool(t.TempDir(), slog.New(slog.DiscardHandler))
	for range spoolQueue + 3 { // nobody takes them
		s.offer([]line{{stdout, "a", "x"}})
	}
	<-s.batches
	s.offer([]line{{stdout, "a", "y"}})
	for range spoolQueue - 1 {
		<-s.batches
	}
	if got := <-s.batches; len(got) != 2 || got[0].text != droppedText(5) {
		t.Errorf("got %q, want first that lines are lost", got)
	}
}

// A segment whose beginning the disk had no room for is begun again, and the other one
// stays as it is until then.
func TestSpoolOfAFullDisk(t *testing.T) {
	dir := t.TempDir()
	spooled(t, dir, []line{{stdout, "a", "before"}}) // log.1
	s := newSpool(dir, slog.New(slog.DiscardHandler))
	if _, err := s.load(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", s.path(2)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.write([]byte("+\ta\tlost\n")); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("write: %v", err)
		}
	}
	if err := os.Remove(s.path(2)); err != nil {
		t.Fatal(err)
	}
	if err := s.write([]byte("+\ta\tbehind\n")); err != nil {
		t.Fatal(err)
	}
	want := []line{{stdout, "a", "before"}, {stdout, "a", "behind"}}
	if got := spooled(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
