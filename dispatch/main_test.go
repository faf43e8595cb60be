package dispatch

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// leaderEnv makes this binary a stand-in for an actor's process: something that
// lives until it is killed or this test ends (its stdin closes).
const leaderEnv = "DISPATCH_TEST_LEADER"

// deaf is one that does not heed TERM.
const deaf = "deaf"

func TestMain(m *testing.M) {
	if how := os.Getenv(leaderEnv); how != "" {
		if how == deaf {
			signal.Ignore(syscall.SIGTERM)
			_, _ = os.Stdout.WriteString(deaf + "\n") // from here on
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	mainAsActor()
	if _, err := exec.LookPath("redis-server"); err != nil {
		for name := range strings.SplitSeq(os.Getenv("HEROSUP_REQUIRE"), ",") {
			if strings.TrimSpace(name) == "redis" {
				fmt.Fprintln(os.Stderr, "FAIL dispatch: redis-server is not on PATH and HEROSUP_REQUIRE names redis")
				os.Exit(1)
			}
		}
		defer fmt.Fprintln(os.Stderr, "dispatch: redis-server is not on PATH: tested on miniredis only")
	}
	goleak.VerifyTestMain(m,
		// go-redis dials on a goroutine that does not see its client's Close: it ends with the dial, after a second at the most.
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).dialConn"))
}
