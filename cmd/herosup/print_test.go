package main

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 850 * time.Millisecond: "850ms", 3200 * time.Millisecond: "3.2s", 20 * time.Second: "20s",
		2 * time.Minute: "2m", 3*time.Minute + 4*time.Second: "3m4s", 10 * time.Minute: "10m", 125 * time.Minute: "2h5m", 74 * time.Hour: "3d2h",
	} {
		if got := age(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
