package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// The end of its terminal, as the original with --container takes it, is the end of all
// services: they do not go on with nobody to look after them.
func TestHangupEndsAllServices(t *testing.T) {
	dir := shortDir(t)
	services, socket, program := filepath.Join(dir, "services"), filepath.Join(dir, "z.sock"), filepath.Join(dir, "herosup-copy")
	copyProgram(t, program)
	if err := os.Mkdir(services, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(services, "a.yaml"), []byte("exec: sleep 1000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var life events.Incarnation
	t.Cleanup(func() { // after the end that background sees to
		if life.IsZero() || life.Alive() {
			t.Errorf("the service's process %s lives on", life)
			_ = syscall.Kill(life.PID, syscall.SIGKILL)
		}
	})
	background(t, services, socket, syscall.SIGHUP, program, "zinit", "init", "--config", services, "--socket", socket)
	c := zinittest.Dial(t, socket)
	zinittest.Eventually(t, "the service runs", func() error {
		s, err := c.Status(t.Context(), "a")
		if err == nil && s.State.Kind != zinit.Running {
			err = errors.New(s.State.String())
		}
		if err == nil {
			life, err = events.IncarnationOf(s.PID)
		}
		return err
	})
}
