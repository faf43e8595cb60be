package zinittest

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"herosup/zinit"
)

// missing are the programs that tests need and that are not here, with the words for
// them, for the closing lines of a run.
var missing sync.Map // word -> what is missing

// Original is the program of the original zinit of whatever version up to v0.2.28: the
// one that HEROSUP_ZINIT names, or a zinit on PATH that has its command init, which that
// of crates.io has not. Where there is none the test is skipped, the closing line of the
// run says so (Main), and where HEROSUP_REQUIRE names zinit the test fails.
func Original(t *testing.T) (binary string) {
	t.Helper()
	binary = os.Getenv("HEROSUP_ZINIT")
	if found, err := exec.LookPath("zinit"); binary == "" && err == nil && exec.Command(found, "init", "--help").Run() == nil {
		binary = found
	}
	if binary == "" {
		absent(t, "zinit", "the original zinit: HEROSUP_ZINIT names no binary of it, and none is on PATH")
	}
	return binary
}

// originalFolder is where v0.2.15 and later have their service files, whatever they are
// told.
const originalFolder = "/etc/zinit"

// StartOriginal runs such a zinit over a folder, answering on socket, until the end of
// the test. To it the folder is also the one that it would use by itself.
func StartOriginal(t *testing.T, binary, dir, socket string) *Server {
	t.Helper()
	s := &Server{Dir: dir, Socket: socket, exited: make(chan struct{})}
	_ = os.Mkdir(originalFolder, 0o755) // as those do, and as they do it stays
	script := `mount --make-rprivate / && mount --bind "$1" ` + originalFolder + ` && exec "$0" -s "$2" init -c "$1" --container`
	s.cmd = exec.Command("sh", "-c", script, binary, dir, socket)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	s.cmd.Stdout, s.cmd.Stderr = &testLog{t: t}, &testLog{t: t}
	s.cmd.WaitDelay = time.Second // a leftover that holds the pipe must not hold up Wait
	if err := startHarmless(s.cmd); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.cmd.Wait(); close(s.exited) }()
	t.Cleanup(func() { s.Stop(t) })
	Eventually(t, "the original answers", func() error {
		c, err := zinit.Dial(t.Context(), socket, zinit.Options{})
		if err == nil {
			c.Close()
		}
		return err
	})
	return s
}

// startHarmless starts a process that can not power the machine off, which the original
// does at its end, were it not for --container.
func startHarmless(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_BOOT, 0, 0, 0); err != nil && os.Geteuid() == 0 {
			started <- err
			return
		}
		started <- cmd.Start()
	}()
	return <-started
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
