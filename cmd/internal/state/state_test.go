package state

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestTwoFirstStartsAgreeOnOneID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			f, err := Make(dir)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = f.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || len(id) != 8 {
			t.Fatalf("ids %v", ids)
		}
	}
}

func TestSecondHolderIsRefusedByPID(t *testing.T) {
	f, err := Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Holder(); ok {
		t.Error("a holder before anybody locked")
	}
	l, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := f.Lock(); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("second lock: %v", err)
	}
	if pid, ok := f.Holder(); !ok || pid != os.Getpid() {
		t.Errorf("holder %d %v", pid, ok)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Holder(); ok {
		t.Error("still held after release")
	}
}

// Whoever starts at once behind a kill does not meet the lock of the dead.
func TestAHolderThatWasKilledIsWaitedFor(t *testing.T) {
	f, err := Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	lock, err := os.OpenFile(f.Path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(lock, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := f.Lock(); !errors.As(err, &held) || held.PID != cmd.Process.Pid {
		t.Errorf("while the holder lives: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil { // nobody reaps it: its threads may be said to be on their way out
		t.Fatal(err)
	}
	if pid, ok := f.Holder(); ok {
		t.Errorf("killed, and the daemon that runs is %d", pid)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = lock.Close() })
	if l, err := f.Lock(); err != nil {
		t.Errorf("of a killed one: %v", err)
	} else if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func TestSocketsFitAnyFolder(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("long/", 40))} {
		f, err := Make(dir)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", f.Socket("redis"))
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		l.Close()
		if again, err := Open(dir); err != nil || again.Socket("zinit") != f.Socket("zinit") {
			t.Errorf("opened again: %v %v", again, err)
		}
		if err := f.RemoveSockets(); err != nil {
			t.Error(err)
		}
	}
}

func TestFolderThatCanNotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(file); err == nil || !strings.Contains(err.Error(), "--state") {
		t.Errorf("a file as folder: %v", err)
	}
	if _, err := Open(filepath.Join(file, "x")); !errors.Is(err, ErrNone) {
		t.Errorf("below a file: %v", err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "id"), []byte("../../x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(broken); err == nil || !strings.Contains(err.Error(), "eight hex digits") {
		t.Errorf("a broken id: %v", err)
	}
}

func TestKeptBinaryIsTheRunningOne(t *testing.T) {
	f, err := Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.KeepBinary()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := f.KeepBinary(); err != nil || b != a {
		t.Errorf("second copy %s %v", b, err)
	}
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() != own.Size() || st.Mode().Perm() != 0o700 {
		t.Errorf("copy: %d bytes mode %o, want %d and 700", st.Size(), st.Mode().Perm(), own.Size())
	}
	stale := f.Path("bin", "herosup-old")
	if err := os.WriteFile(stale, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.PruneBinaries(map[string]bool{a: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("an unused copy stayed")
	}
	if _, err := os.Stat(a); err != nil {
		t.Error("the used copy went")
	}
}
