package main

import (
	"os"
	"syscall"
	"testing"
)

// Who cleans up a folder removes sockets, which look like files that nobody uses. Ours are made again: what waits is run by an actor that
// comes up afterwards, and all ends in order.
func TestRemovedSocketsAreMadeAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, k redisKind) {
		r := newRig(t, k, "  bash: {type: bash, min: 1, max: 1}\n")
		r.submit("bash", "before", "echo before")
		r.until("a job", func() bool { return len(r.ends["before"]) == 1 })
		for _, name := range []string{"redis", "zinit"} {
			if err := os.Remove(r.d.folder.Socket(name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Kill(r.lives["bash_1"].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.submit("bash", "after", "echo after")
		r.until("a job by another actor", func() bool { return len(r.ends["after"]) == 1 })
		for _, name := range []string{"redis", "zinit"} {
			if fi, err := os.Stat(r.d.folder.Socket(name)); err != nil || fi.Mode()&os.ModeSocket == 0 {
				t.Errorf("%s: %v %v", name, fi, err)
			}
		}
	})
}
