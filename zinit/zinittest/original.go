package zinittest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"herosup/zinit"
)

// missing are the programs that tests need and that are not here, with the words for
// them, for the closing lines of a run.
var missing sync.Map // word -> what is missing

// Original starts the original zinit of whatever version up to v0.2.28: the one that
// HEROSUP_ZINIT names, or a zinit on PATH that has its command init, which that of
// crates.io has not. Where there is none the test is skipped, the closing line of the
// run says so (Main), and where HEROSUP_REQUIRE names zinit the test fails.
func Original(t *testing.T) (newServer func(*testing.T) (string, zinit.Options)) {
	t.Helper()
	binary := os.Getenv("HEROSUP_ZINIT")
	if found, err := exec.LookPath("zinit"); binary == "" && err == nil && exec.Command(found, "init", "--help").Run() == nil {
		binary = found
	}
	if binary == "" {
		absent(t, "zinit", "the original zinit: HEROSUP_ZINIT names no binary of it, and none is on PATH")
	}
	return func(t *testing.T) (string, zinit.Options) {
		t.Helper()
		dir := t.TempDir()
		socket := filepath.Join(dir, "z.sock")
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, binary, "-s", socket, "init", "-c", dir)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = time.Second
		cmd.Stderr = &testLog{t: t}
		if err := cmd.Start(); err != nil {
			cancel()
			t.Fatal(err)
		}
		t.Cleanup(func() { cancel(); _ = cmd.Wait() })
		Eventually(t, "the original answers", func() error {
			c, err := zinit.Dial(ctx, socket, zinit.Options{})
			if err == nil {
				c.Close()
			}
			return err
		})
		return socket, zinit.Options{}
	}
}

// absent ends a test that needs a program which is not here: as a failure where
// HEROSUP_REQUIRE has the word for it.
func absent(t *testing.T, word, what string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("HEROSUP_REQUIRE"), ","), word) {
		t.Fatalf("HEROSUP_REQUIRE names %s: %s", word, what)
	}
	missing.Store(word, what)
	t.Skipf("MISSING here: %s; this test did not run", what)
}
