package fsm

import (
	"hash/fnv"
	"strconv"
	"time"
)

// Backoff is how long to wait after the n-th failure in a row (from 1): Min,
// doubled with each, at most Max, give or take up to a tenth so that actors
// which failed together do not come back together. The share is a hash of actor
// and count: the same failure gives the same wait in each replay.
//
// With 1 s to 1 min: 1, 2, 4, 8, 16, 32, 60, 60 ... seconds, each ±10 % but never
// outside the two bounds.
func Backoff(c BackoffConfig, actor string, n int) time.Duration {
	d := c.Max
	// 2^62 ns is 146 years: a shift beyond it would overflow.
	if n = max(n, 1); n <= 62 && c.Min < c.Max>>(n-1) {
		d = c.Min << (n - 1)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(actor + "#" + strconv.Itoa(n))) // never fails
	share := float64(h.Sum32())/(1<<32)*0.2 - 0.1
	return min(max(d+time.Duration(float64(d)*share), c.Min), c.Max)
}
