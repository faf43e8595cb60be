package main

import (
	"testing"
	"time"
)

// How many, how much of it, how fast, how long still: each only where it is known.
func TestMeterLine(t *testing.T) {
	for _, c := range []struct {
		done, bytes, of int64
		took            time.Duration
		want            string
	}{
		{0, 0, 0, 0, "0"},
		{7, 0, 0, 900 * time.Millisecond, "7"},
		{300, 0, 0, 2 * time.Second, "300, 150/s"},
		{10, 250, 1000, 100 * time.Millisecond, "10, 25 %"},
		{1000, 250, 1000, 10 * time.Second, "1000, 25 %, 100/s, 30s left"},
		{5, 999, 1000, 10 * time.Second, "5, 99 %, 0/s, 1.0s left"}, // never 0s
		{5, 0, 1000, 10 * time.Second, "5, 0 %, 0/s"},
		{4000, 1000, 1000, 10 * time.Second, "4000, 100 %, 400/s"},
	} {
		if got := meterLine(c.done, c.bytes, c.of, c.took); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
