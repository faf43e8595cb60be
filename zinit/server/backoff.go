package server

import "time"

// The pace of restarts.
const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 5 * time.Second
	// healthyLife is how long a process must have lived for its end to be an
	// accident of its own and not one more of a row.
	healthyLife = 10 * time.Second
)

// The pace of a test command: a service is usually fit within milliseconds, and
// one that is not is asked often enough.
const (
	firstTestDelay = 20 * time.Millisecond
	maxTestDelay   = 2 * time.Second
	// testTimeout ends a test that hangs.
	testTimeout = 10 * time.Second
)

// restartDelay is the pause before the next start after n ends in a row that
// were followed by one: none, then 100 ms doubled each time up to 5 s.
func restartDelay(n int) time.Duration {
	if n == 0 {
		return 0
	}
	return doubled(firstDelay, n-1, maxDelay)
}

// testDelay is the pause after the n-th failed test in a row, from 0.
func testDelay(n int) time.Duration { return doubled(firstTestDelay, n, maxTestDelay) }

// doubled is d doubled n times, at most limit.
func doubled(d time.Duration, n int, limit time.Duration) time.Duration {
	for ; n > 0 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}
