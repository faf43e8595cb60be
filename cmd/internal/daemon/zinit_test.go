package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"herosup/cmd/internal/state"
	"herosup/events"
)

// A zinit of ours that never answers is ended by who began it.
func TestStartZinitEndsWhatDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	f, err := state.Make(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	hung, said := filepath.Join(dir, "hung"), filepath.Join(dir, "pid")
	script := "#!/bin/sh\ntrap '' TERM\necho $$ >" + said + ".new && mv " + said + ".new " + said + "\nexec sleep 1000\n"
	if err := os.WriteFile(hung, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := make(chan events.Incarnation, 1)
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if b, err := os.ReadFile(said); err == nil {
				pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
				life, _ := events.IncarnationOf(pid)
				began <- life
				return
			}
			<-time.After(time.Millisecond) // it is in another process
		}
	}()
	if _, err := StartZinit(ctx, f, hung); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("started: %v", err)
	}
	select {
	case life := <-began:
		if life.IsZero() || life.Alive() {
			t.Errorf("%s is left", life)
		}
	default:
		t.Error("it was never begun")
	}
}
