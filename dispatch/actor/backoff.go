package actor

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the pause before try n+1 (n from 0): from 50 ms doubling to half a second, of which jitter (0 to 1) takes away up to a
// half, so that many actors do not come back in step. Never less than 50 ms.
func backoff(n int, jitter float64) time.Duration {
	const first, most = 50 * time.Millisecond, 500 * time.Millisecond
	d := most
	if n < 4 { // 50 ms << 4 is more than that
		d = min(first<<n, most)
	}
	return max(first, d-time.Duration(jitter*float64(d)/2))
}

// pause waits for backoff n or the end of ctx.
func pause(ctx context.Context, n int) { pauseFor(ctx, backoff(n, rand.Float64())) }

// pauseFor waits for d or the end of ctx.
func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
