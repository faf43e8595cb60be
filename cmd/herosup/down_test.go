package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"herosup/zinit"

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
	// It has not told yet how it is reached; what the one before told is no way to it.
	for _, args := range []string{"status", "down", "down --stop-actors", "get jobs -o json"} {
		out, err := r.command(strings.Fields(args)...).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitNoDaemon || !strings.Contains(string(out), "still starting") {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
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

// A daemon that was killed between the making of an actor's file and its first start, has a file there that its zinit
// does not list: that goes with the rest, or the next zinit would run it.
func TestDownTakesFilesThatNobodyLists(t *testing.T) {
	r := newRig(t, withEmbedded, "  bash: {min: 0, max: 1}\n")
	f := r.d.folder
	z, err := zinit.Dial(t.Context(), f.Socket("zinit"), zinit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, name := range []string{f.Service("bash_1"), "somebodys"} {
		if err := z.Create(t.Context(), name, zinit.Service{Exec: []string{"sleep", "1000"}}); err != nil {
			t.Fatal(err)
		}
	}
	r.kill()
	if out, err := r.command("down", "--stop-actors").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(f.Path("zinit"), "*.yaml"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "somebodys.yaml" {
		t.Errorf("left: %q, %v", left, err)
	}
}
