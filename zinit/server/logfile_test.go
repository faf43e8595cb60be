package server

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// fifo is a FIFO and its reader's end.
func fifo(t *testing.T) (path string, reader *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	return path, reader
}

// writeBatches has a log file write, and calls between before each further batch.
func writeBatches(t *testing.T, path string, between func(), batches ...[]string) {
	t.Helper()
	f := newLogFile(zinit.LogFile{Path: path, MaxSize: 1 << 10}, slog.New(slog.DiscardHandler))
	f.batches = make(chan []string) // a batch is taken when the one before is done
	done := make(chan struct{})
	go func() { f.run(t.Context()); close(done) }()
	for i, b := range batches {
		if i > 0 {
			f.batches <- nil
			between()
		}
		f.batches <- b
	}
	close(f.batches)
	<-done
}

func numbered(from, n int, more string) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("%d %s", from+i, more))
	}
	return lines
}

// What there was no room for is counted in its place, and the line after it is whole:
// a pipe that nobody reads is a full disk that anybody may have.
func TestLogFileSaysWhatItMissed(t *testing.T) {
	path, reader := fifo(t)
	const n = 1000
	long := strings.Repeat("x", 200)
	var got []string
	read := make(chan struct{})
	writeBatches(t, path, func() {
		go func() {
			defer close(read)
			for scan := bufio.NewScanner(reader); scan.Scan(); {
				got = append(got, scan.Text())
			}
		}()
	}, numbered(0, n, long), numbered(n, 3, "behind"))
	<-read
	whole := 0
	for whole < len(got) && got[whole] == fmt.Sprintf("%d %s", whole, long) {
		whole++
	}
	if whole == 0 || whole == n {
		t.Fatalf("%d of %d lines are there: nothing was missed", whole, n)
	}
	rest := got[whole:]
	if len(rest) > 0 && strings.HasPrefix(fmt.Sprintf("%d %s", whole, long), rest[0]) {
		rest = rest[1:] // the line that was cut off
	}
	want := append([]string{fmt.Sprintf("zinit: %d lines dropped", n-whole)}, numbered(n, 3, "behind")...)
	if fmt.Sprint(rest) != fmt.Sprint(want) {
		t.Errorf("behind %d whole lines are %.300q, want %q", whole, rest, want)
	}
}

// What is no regular file (/dev/stdout, /dev/null) is written into, never renamed.
func TestLogFileThatIsNone(t *testing.T) {
	path, reader := fifo(t)
	link := filepath.Join(t.TempDir(), "stdout")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	batches := make([][]string, 10)
	for i := range batches {
		batches[i] = numbered(100*i, 50, "more than a log file may have, if there are some of them")
	}
	writeBatches(t, link, func() {}, batches...)
	for _, p := range []string{link, path} {
		if fi, err := os.Stat(p); err != nil || fi.Mode()&fs.ModeNamedPipe == 0 {
			t.Errorf("%s: %v, %v; want the FIFO", p, fi, err)
		}
		if _, err := os.Lstat(p + ".1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was turned over (%v)", p, err)
		}
	}
	lines := 0
	for scan := bufio.NewScanner(reader); scan.Scan(); {
		lines++
	}
	if lines != 500 {
		t.Errorf("%d lines came through, want 500", lines)
	}
}
