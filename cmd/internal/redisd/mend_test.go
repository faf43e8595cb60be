package redisd

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A file is put aside because it can not be read, not because nobody could look: a server that is started by somebody's script is
// not its own redis-check-aof, and one that was removed is nothing.
func TestMendLeavesWhatItCouldNotLookAt(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "redis-server")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec redis-server \"$@\"\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	programs := []string{filepath.Join(dir, "gone", "redis-server")}
	if _, err := exec.LookPath("redis-server"); err == nil {
		programs = append(programs, script)
	}
	file := filepath.Join(dir, "AOF of mine", "appendonly.aof")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("*1\r\n$4\r\nPING\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		if done, err := Mend(t.Context(), program, filepath.Dir(file)); err == nil || done != "" {
			t.Errorf("%s: %q %v", program, done, err)
		}
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err)
		}
	}
}
