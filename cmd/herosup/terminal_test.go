package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"herosup/dispatch"
)

// terminal makes a pseudo terminal: ours is where a person sits, theirs is the program's.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { _ = ours.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// leader owns the terminal of the program after its name, and says there how that ended. When who owns a terminal ends, what was
// written last may be thrown away before anybody could read it: so it waits until the other end is closed.
const leader = `trap : INT
(exec -a "$0" "$@")
printf '\nstatus %d\n' $? >&2
while read -r _; do :; done`

var ended = regexp.MustCompile(`\r\nstatus (\d+)\r\n`)

// onTerminal runs a command on a terminal of its own, types the answer when it asks, and returns how it ended, what was on
// the terminal (the echo included), and its standard output.
func onTerminal(t *testing.T, cmd *exec.Cmd, question, answer string) (status int, seen, out string) {
	t.Helper()
	ours, theirs := terminal(t)
	args := append([]string{"-c", leader, cmd.Args[0], cmd.Path}, cmd.Args[1:]...)
	of := exec.Command("bash", args...)
	var stdout bytes.Buffer
	of.Env, of.Stdin, of.Stdout, of.Stderr = cmd.Env, theirs, &stdout, theirs
	of.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0} // Ctrl-C is a signal to whom the terminal controls
	if err := of.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	late := time.AfterFunc(20*time.Second, func() { _ = of.Process.Kill() }) // and the reads below end
	defer late.Stop()
	var text []byte
	var how [][]byte
	chunk := make([]byte, 4096)
	for asked := false; how == nil; how = ended.FindSubmatch(text) {
		n, err := ours.Read(chunk)
		text = append(text, chunk[:n]...)
		if !asked && bytes.Contains(text, []byte(question)) {
			asked = true
			if _, err := ours.WriteString(answer); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			t.Fatalf("%v did not end in 20 s (%v):\n%s", cmd.Args[1:], err, text)
		}
	}
	_ = ours.Close()
	_ = of.Wait() // it is ended by a signal
	status, err := strconv.Atoi(string(how[1]))
	if err != nil {
		t.Fatal(err)
	}
	return status, string(text), stdout.String()
}

// Commands about many jobs tell their number and ask on a terminal; without a yes nothing is changed.
func TestBulkCommandsAsk(t *testing.T) {
	r := newRig(t, withEmbedded, "  bash: {max: 1}\n")
	jobs := []string{"q1", "q2", "q3"}
	for _, id := range jobs {
		r.submit("lonely", id, "x") // no pool has this type: they wait
	}
	r.submit("another", "o1", "x")
	states := func() (all []string) {
		for _, id := range append(jobs, "o1") {
			all = append(all, r.record(id).State)
		}
		return all
	}
	const no, interrupt, end = "n\n", "\x03", "\x04"
	for _, step := range []struct {
		args     []string
		question string
		yes      string
		from, to string // state of the jobs
		done     string
	}{
		{[]string{"cancel", "--type", "lonely"}, "cancel 3 jobs", "y\n", dispatch.StateWaiting, dispatch.StateCancelled, "cancelled"},
		{[]string{"retry", "--state", "cancelled", "--type", "lonely"}, "retry 3 ", "YES\n", dispatch.StateCancelled, dispatch.StateWaiting, "retried"},
		{[]string{"cancel", "--state", "waiting", "--type", "lonely"}, "cancel 3 ", "Yes\n", dispatch.StateWaiting, dispatch.StateCancelled, "cancelled"},
		{[]string{"rm", "--state", "cancelled", "--all"}, "rm 3 ", "y\n", dispatch.StateCancelled, "", "removed"},
	} {
		for _, answer := range []string{no, "\n", "yy\n", interrupt, end} {
			status, seen, out := onTerminal(t, r.command(step.args...), "[y/N] ", answer)
			want, says := exitFailed, "nothing was done"
			if answer == interrupt {
				want, says = exitInterrupted, "interrupted"
			}
			if status != want || !strings.Contains(seen, says) || !strings.Contains(seen, step.question) || out != "" {
				t.Errorf("%v, answer %q: status %d, output %q, on the terminal:\n%s", step.args, answer, status, out, seen)
			}
			if got := states(); fmt.Sprint(got) != fmt.Sprint([]string{step.from, step.from, step.from, dispatch.StateWaiting}) {
				t.Fatalf("%v, answer %q changed something: %v", step.args, answer, got)
			}
		}
		status, seen, out := onTerminal(t, r.command(step.args...), "[y/N] ", step.yes)
		if status != exitDone || strings.Count(out, step.done) != len(jobs) {
			t.Errorf("%v, answer %q: status %d, output %q, on the terminal:\n%s", step.args, step.yes, status, out, seen)
		}
		if step.to == "" {
			break // they are gone
		}
		if got := states(); fmt.Sprint(got) != fmt.Sprint([]string{step.to, step.to, step.to, dispatch.StateWaiting}) {
			t.Errorf("%v: %v", step.args, got)
		}
	}
	for _, id := range jobs {
		if out, err := r.command("describe", "job", id).CombinedOutput(); err == nil {
			t.Errorf("%s was removed and is there:\n%s", id, out)
		}
	}
	// Where nobody can be asked it is said how to go on, and nothing is done.
	out, err := r.command("cancel", "--type", "another").CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitUsage || !strings.Contains(string(out), "--yes") || r.record("o1").State != dispatch.StateWaiting {
		t.Errorf("%v\n%s", err, out)
	}
}
