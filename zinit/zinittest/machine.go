package zinittest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// bootScript makes of the kernel's bare start what a first process may expect. The
// machine sees this one's files, which it can not write; /run is its own.
const bootScript = `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
off() { echo o >/proc/sysrq-trigger; sleep 100; }
`

// Machine boots a whole machine with a kernel of its own, whose first process is a
// shell that runs script ("off" powers it off), and returns what its console showed.
// It is user-mode Linux, which is a process of ours and needs no right: the program
// that HEROSUP_UML names, or linux.uml on PATH (Debian's package user-mode-linux).
// Where there is none the test is skipped and the closing line of the run says so, or
// fails, as Crate does; the word is uml.
func Machine(t *testing.T, script string) (console string) {
	t.Helper()
	kernel := os.Getenv("HEROSUP_UML")
	if kernel == "" {
		kernel, _ = exec.LookPath("linux.uml")
	}
	if kernel == "" {
		absent(t, "uml", "user-mode Linux: HEROSUP_UML names none, and no linux.uml is on PATH")
	}
	dir := t.TempDir()
	boot := filepath.Join(dir, "boot")
	if err := os.WriteFile(boot, []byte(bootScript+script), 0o700); err != nil { //nolint:gosec // it is to be executed
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, kernel, "mem=256M", "uml_dir="+dir, "umid=machine",
		"rootfstype=hostfs", "rootflags=/", "ro", "init="+boot, "panic=-1", "con=null", "con0=null,fd:1", "ssl=null")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the machine: %v", err)
	}
	return string(out)
}
