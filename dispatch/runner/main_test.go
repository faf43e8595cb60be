package runner

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// hostMode makes this test binary a process that runs one script, to be killed in the middle.
const hostMode = "HEROSUP_TEST_RUNNER_HOST"

func TestMain(m *testing.M) {
	if dir := os.Getenv(hostMode); dir != "" {
		if os.Getenv(hostFileMode) != "" {
			hostInFile(dir)
		} else {
			host(dir)
		}
		return
	}
	var err error
	if scratchDir, err = os.MkdirTemp("", "hs"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// What files of scripts are left is looked at: not those of others.
	if err := os.Setenv("TMPDIR", scratchDir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratchDir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	missing.Range(func(tool, _ any) bool {
		fmt.Fprintf(os.Stderr, "herosup tests: %s is missing, its tests did not run (HEROSUP_REQUIRE=%s makes that a failure)\n", tool, word(tool.(string)))
		return true
	})
	os.Exit(code)
}

// scratchDir is the scripts' directory: what a broken runner makes of a script must not land in the source tree.
// (It did: a script given twice had "yes x >&2" followed by "echo", and wrote a gigabyte into a file "2echo".)
var scratchDir string

var missing sync.Map

// word is a tool's in HEROSUP_REQUIRE.
func word(tool string) string { return strings.TrimSuffix(tool, "-run") }

// need gives the path of a tool. One that is missing is named in the closing line of the test run, or is a failure
// where HEROSUP_REQUIRE names it.
func need(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	if name := word(tool); slices.Contains(strings.Split(os.Getenv("HEROSUP_REQUIRE"), ","), name) {
		t.Fatalf("HEROSUP_REQUIRE names %s: %v", name, err)
	}
	missing.Store(tool, true)
	t.Skipf("%s is missing", tool)
	return ""
}
