package server

import (
	"slices"
	"time"

	"herosup/zinit"
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
// were followed by one: none, then r.Delay doubled each time up to r.MaxDelay.
func restartDelay(r zinit.Restart, n int) time.Duration {
	if n == 0 {
		return 0
	}
	return doubled(r.Delay, n-1, r.MaxDelay)
}

// exhausted reports whether the budget of ends is used up: ends are those that
// were followed by a restart, now is one more. It returns those that still
// count.
func exhausted(r zinit.Restart, ends []time.Time, now time.Time) ([]time.Time, bool) {
	if r.MaxExits == 0 {
		return nil, false
	}
	from := now.Add(-r.Within)
	ends = slices.DeleteFunc(ends, func(t time.Time) bool { return t.Before(from) })
	return append(ends, now), len(ends) >= r.MaxExits
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
