package scratch

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hold makes the test's binary one that makes a folder and waits to be killed.
const hold = "HEROSUP_TEST_SCRATCH_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(hold) != "" {
		d, err := New("test")
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(d.Path() + "\n")
		select {}
	}
	os.Exit(m.Run())
}

func stat(path string) error { _, err := os.Stat(path); return err }

// What a killed process leaves goes with the next folder of the kind, and not what lives.
func TestKilled(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), hold+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := make([]byte, 4096)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	left := strings.TrimSpace(string(line[:n]))
	strange := filepath.Join(os.TempDir(), "herosup-other")
	if err := os.Mkdir(strange, 0o700); err != nil {
		t.Fatal(err)
	}
	next := func(kind string, want bool) {
		t.Helper()
		d, err := New(kind)
		if err != nil {
			t.Fatal(err)
		}
		if (stat(left) == nil) != want {
			t.Errorf("the folder is there: %v, want %v", !want, want)
		}
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	}
	next("test", true)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	next("another", true)
	next("test", false)
	if err := stat(strange); err != nil {
		t.Error(err)
	}
}

func TestARootIsOursAlone(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	if err := os.Chmod(open, 0o770); err != nil { //nolint:gosec // this is what is tested
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{open, link} {
		if err := ownDir(dir); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	for range 2 {
		if err := ownDir(fresh); err != nil {
			t.Error(err)
		}
	}
}

// Folders are made and swept by many at once; nobody loses one that is in use.
func TestMany(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 200)
	for range cap(errs) {
		go func() {
			d, err := New("test")
			if err == nil {
				file := filepath.Join(d.Path(), "x")
				err = errors.Join(os.WriteFile(file, nil, 0o600), stat(file), d.Remove())
				if stat(d.Path()) == nil {
					err = errors.Join(err, errors.New("it is left"))
				}
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
