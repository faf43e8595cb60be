package actor

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// processMode makes this test binary an actor: "<redis url> <name> <type> <interpreter>...".
const processMode = "HEROSUP_TEST_ACTOR"

func TestMain(m *testing.M) {
	pairFrom = 8
	if args := os.Getenv(processMode); args != "" {
		process(strings.Fields(args))
		return
	}
	_, err := exec.LookPath("redis-server")
	if err != nil && slices.Contains(strings.Split(os.Getenv("HEROSUP_REQUIRE"), ","), "redis") {
		fmt.Fprintln(os.Stderr, "FAIL dispatch/actor: redis-server is not on PATH and HEROSUP_REQUIRE names redis")
		os.Exit(1)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dispatch/actor: redis-server is not on PATH: tested on miniredis only")
	}
	os.Exit(code)
}
