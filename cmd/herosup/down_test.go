package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What down does once its daemon has ended, it does as who has the folder: what another
// daemon runs by then stays.
func TestDownLeavesWhatIsAnothers(t *testing.T) {
	r := newRig(t, withEmbedded, "  bash: {min: 1, max: 1}\n")
	r.until("the actor is idle", func() bool { return r.count("idle") == 1 })
	life, f := r.lives["bash_1"], r.d.folder
	run, err := f.ReadRuntime()
	if err != nil {
		t.Fatal(err)
	}
	r.kill()
	lock, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetErr(&said)
	a := &app{}
	if err := a.leftBehind(cmd, f, run); err != nil || !life.Alive() || !strings.Contains(said.String(), "another daemon has begun") {
		t.Errorf("%v; the actor lives: %v; it said %q", err, life.Alive(), said.String())
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if err := a.leftBehind(cmd, f, run); err != nil || life.Alive() {
		t.Errorf("%v; the actor lives: %v", err, life.Alive())
	}
}
