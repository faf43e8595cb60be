package zinittest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"herosup/zinit"
)

// originalAbsent is for the closing line of a test run.
var originalAbsent atomic.Bool

// OriginalOrSay starts the original zinit that HEROSUP_ZINIT names, of whatever
// version up to v0.2.28, and returns its socket. ok is false when it names none: then the closing line of the test
// run says so (Main), and where HEROSUP_REQUIRE names zinit the test fails.
func OriginalOrSay(t *testing.T) (newServer func(*testing.T) (string, zinit.Options), ok bool) {
	t.Helper()
	binary := os.Getenv("HEROSUP_ZINIT")
	if binary == "" {
		if slices.Contains(strings.Split(os.Getenv("HEROSUP_REQUIRE"), ","), "zinit") {
			t.Fatal("HEROSUP_REQUIRE names zinit: HEROSUP_ZINIT names no binary of it")
		}
		originalAbsent.Store(true)
		return nil, false
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
	}, true
}
