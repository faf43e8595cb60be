package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a daemon in the background said last is passed on whole, though it may hold the word that begins it.
func TestTheLastErrorIsWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	const before = "error: of a start before\n"
	for said, want := range map[string]string{
		"redis: ours\nerror: stream HERO_JOBS: nats: API error: code=400\nhint: look there\n": "stream HERO_JOBS: nats: API error: code=400\nhint: look there",
		"error: no room\n":     "no room",
		"WRN an error: late\n": "the daemon ended at once; see " + file,
	} {
		if err := os.WriteFile(file, []byte(before+said), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastError(file, int64(len(before))); got != want {
			t.Errorf("of %q: %q, want %q", said, got, want)
		}
	}
}
