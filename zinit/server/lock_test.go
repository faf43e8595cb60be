package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"herosup/zinit/zinittest"

	"golang.org/x/sys/unix"
)

// Two servers never serve one socket or one folder: the second names the first.
func TestSecondServerIsRefused(t *testing.T) {
	s := zinittest.Start(t)
	for name, at := range map[string][2]string{
		"same socket": {t.TempDir(), s.Socket},
		"same folder": {s.Dir, filepath.Join(t.TempDir(), "z.sock")},
	} {
		_, err := zinittest.TryStart(t, at[0], at[1])
		if err == nil || !strings.Contains(err.Error(), "PID "+strconv.Itoa(s.PID())) {
			t.Errorf("%s: got %v, want a refusal that names PID %d", name, err, s.PID())
		}
	}
	_ = s.Client(t) // it still answers
}

func TestSocketIsPrivate(t *testing.T) {
	s := zinittest.Start(t)
	fi, err := os.Stat(s.Socket)
	ok(t, err)
	if got := fi.Mode().Perm(); got != 0o600 {
		t.Errorf("mode of the socket: %o", got)
	}
	s.Stop(t)
	if _, err := os.Lstat(s.Socket); !os.IsNotExist(err) {
		t.Errorf("after a clean end the socket's file is there: %v", err)
	}
}

// A dead server's socket is replaced; anything else at that path is somebody's.
func TestWhatIsInTheSocketsPlace(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "z.sock")
	s := zinittest.StartIn(t, dir, socket)
	s.Kill(t)
	if _, err := os.Lstat(socket); err != nil {
		t.Fatalf("a killed server's socket: %v", err)
	}
	again := zinittest.StartIn(t, dir, socket)
	_ = again.Client(t)
	again.Stop(t)

	ok(t, os.WriteFile(socket, []byte("precious"), 0o600))
	if _, err := zinittest.TryStart(t, dir, socket); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file in the place of the socket: %v", err)
	}
	if b, err := os.ReadFile(socket); err != nil || string(b) != "precious" {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
}

func TestServiceFilesAreLoadedAtStart(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.yaml":         "exec: sleep 100\n",
		"bad.yaml":          "exec: [",
		"none.yaml":         "oneshot: true",
		"other.yml":         "exec: sleep 100",
		"sub.dir.yaml":      "exec: sleep 100",
		"unterminated.yaml": `exec: "sh -c 'x"`,
	} {
		ok(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	ok(t, os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o700))
	c := zinittest.StartIn(t, dir, filepath.Join(t.TempDir(), "z.sock")).Client(t)
	awaitState(t, c, "good", running)
	all, err := c.List(t.Context())
	ok(t, err)
	if len(all) != 1 {
		t.Errorf("got %v, want the good one alone", all)
	}
	if err := c.Monitor(t.Context(), "bad"); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("monitor of a bad file: %v, want one line", err)
	}
}

// What a killed server was about to start holds its lock for a moment longer. It
// is waited for; the lock of somebody alive is not.
func TestLockOfTheDead(t *testing.T) {
	dead := exec.Command("true")
	ok(t, dead.Run())
	dir := t.TempDir()
	socket := filepath.Join(dir, "z.sock")
	f, err := os.OpenFile(socket+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	ok(t, err)
	ok(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	_, err = fmt.Fprintln(f, dead.Process.Pid)
	ok(t, err)
	time.AfterFunc(100*time.Millisecond, func() { _ = f.Close() })
	_ = zinittest.StartIn(t, dir, socket).Client(t)
}
