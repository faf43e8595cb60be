package runner

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// logged runs a bash script with a log, and gives what came into that. unread: nobody reads it before the script has ended.
func logged(t *testing.T, script string, unread bool) (res Result, log string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	text := make(chan string, 1)
	read := func() {
		b, _ := io.ReadAll(bufio.NewReader(r))
		text <- string(b)
	}
	if !unread {
		go read()
	}
	res = Run(t.Context(), Spec{Interpreter: []string{"bash"}, Script: script, OutputLimit: 1000, Log: w, LogPrefix: "j1| "})
	_ = w.Close()
	if unread {
		go read()
	}
	log = <-text
	_ = r.Close()
	return res, log
}

// An output that is too long for the record is in the log, all of it and in order; another one is not.
func TestALongOutputIsInTheLog(t *testing.T) {
	t.Parallel()
	res, log := logged(t, "for ((i = 0; i < 3000; i++)); do echo line $i; done; printf é", false)
	var want strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&want, "j1| line %d\n", i)
	}
	want.WriteString("j1| é\n")
	if log != want.String() {
		t.Errorf("%d bytes in the log, want %d: %.200q", len(log), want.Len(), log)
	}
	if !strings.Contains(res.Output, " bytes cut, all of it went to the actor's log ...\n") || !res.Finished() {
		t.Errorf("%+v", res)
	}
	if res, log := logged(t, "printf %1000d 1", false); log != "" || res.Truncated {
		t.Errorf("%q %+v", log, res)
	}
}

// A line is no longer than what a pipe takes at once.
func TestALongLineIsInTheLog(t *testing.T) {
	t.Parallel()
	_, log := logged(t, "printf %20000d 1", false)
	all := ""
	for l := range strings.Lines(log) {
		if len(l) > copyPiece {
			t.Errorf("a line of %d bytes", len(l))
		}
		all += strings.TrimSuffix(strings.TrimPrefix(l, "j1| "), "\n")
	}
	if len(all) != 20000 {
		t.Errorf("%d bytes", len(all))
	}
}

// What is over the bound of a copy is counted, and the mark in the record does not promise it.
func TestTheLogIsBounded(t *testing.T) {
	t.Parallel()
	res, log := logged(t, "head -c 3000000 /dev/zero | tr '\\0' x; echo", false)
	want := fmt.Sprintf("j1| ... the last %d bytes are not in this log ...\n", 3000001-maxCopy)
	if n := strings.Count(log, "x"); n != maxCopy || !strings.HasSuffix(log, want) || strings.Contains(res.Output, "actor's log") {
		t.Errorf("%d bytes, ends with %q", n, log[max(0, len(log)-100):])
	}
}

// A log that takes nothing holds up neither the script nor its end.
func TestALogThatIsStuck(t *testing.T) {
	t.Parallel()
	res, log := logged(t, "for ((i = 0; i < 30000; i++)); do echo line $i; done; echo end", true)
	if !res.Finished() || !strings.HasSuffix(res.Output, "\nend\n") || strings.Contains(res.Output, "actor's log") {
		t.Errorf("%+v", res)
	}
	if len(log) == 0 || strings.Contains(log, "| end\n") || !strings.HasPrefix(log, "j1| line 0\n") {
		t.Errorf("%d bytes, %.100q", len(log), log)
	}
}

// Many slots share a log that takes nothing: each ends, whoever gets its last free page.
func TestALogThatIsStuckForMany(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	line := []byte(strings.Repeat("x", 3000) + "\n")
	ended := make(chan bool)
	for range 10 {
		go func() {
			c := &copier{to: w, prefix: "j1| "}
			for range 100 {
				c.take(line)
			}
			ended <- c.end()
		}()
	}
	stuck := time.AfterFunc(10*copyWait, func() {
		t.Error("an end waits for the log")
		_ = r.Close()
	})
	for range 10 {
		if <-ended {
			t.Error("all of it is said to be in a log that has no room for it")
		}
	}
	if stuck.Stop() {
		_ = r.Close()
	}
}

// One whose reader goes, or is gone, holds up nothing and ends nobody, and the record does not promise it.
func TestALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := &copier{to: w}
	c.take([]byte("read\n"))
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "read\n" {
		t.Errorf("%q %v", line, err)
	}
	_ = r.Close()
	c.take([]byte("unread\n"))
	if c.end() {
		t.Error("the log is said to have it")
	}
	res := Run(t.Context(), Spec{Interpreter: []string{"bash"}, Script: "printf %20000d 1", OutputLimit: 1000, Log: w})
	if !res.Finished() || strings.Contains(res.Output, "actor's log") {
		t.Errorf("%+v", res)
	}
}

// A file gets it where its other writers have got to.
func TestALogThatIsAFile(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, _ = f.WriteString("before\n")
	res := Run(t.Context(), Spec{Interpreter: []string{"bash"}, Script: "printf %2000d 1", OutputLimit: 1000, Log: f, LogPrefix: "j1| "})
	_, _ = f.WriteString("behind\n")
	log, err := os.ReadFile(f.Name())
	if want := fmt.Sprintf("before\nj1| %2000d\nbehind\n", 1); string(log) != want || !strings.Contains(res.Output, "all of it went to the actor's log") {
		t.Errorf("%v %+v %.100q", err, res, log)
	}
}

// What can not be opened once more gets nothing, and can be told before.
func TestALogThatIsASocket(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer theirs.Close()
	if err := CheckLog(ours); err == nil {
		t.Error("a socket is said to be a log")
	}
	res := Run(t.Context(), Spec{Interpreter: []string{"bash"}, Script: "printf %20000d 1", OutputLimit: 1000, Log: ours})
	if !res.Finished() || strings.Contains(res.Output, "actor's log") {
		t.Errorf("%+v", res)
	}
	_ = ours.Close()
	if b, err := io.ReadAll(theirs); len(b) > 0 {
		t.Errorf("%d bytes in it, %v", len(b), err)
	}
}
