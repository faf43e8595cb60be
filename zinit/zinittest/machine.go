package zinittest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

const (
	// machineLife bounds one try: a boot takes two seconds on a quiet host.
	machineLife = 80 * time.Second
	// machineTries bounds how often one is booted of which the kernel itself halted or aborted: both were seen, one boot in some hundred, most often
	// behind a reboot.
	machineTries = 3
)

// strangerCPU is what the kernel says when it starts its first process on a processor whose state is larger than it knows: Debian 12's of Linux 6.1
// on one with AMX.
const strangerCPU = "ptrace set fp regs failed"

// fixedAddresses starts a kernel without random addresses, where the host allows that: with them the gap in front of its heap becomes memory of
// the machine, up to hundreds of MiB, and it halted with a large one.
const fixedAddresses = `setarch -R true 2>/dev/null && exec setarch -R "$0" "$@"; exec "$0" "$@"`

// Machine boots a whole machine with a kernel of its own, whose first process is a
// shell that runs script ("off" powers it off), and returns what its console showed. $OUTSIDE is an empty folder of the host, for
// hostfs.
// It is user-mode Linux, which is a process of ours and needs no right: the program
// that HEROSUP_UML names, or linux.uml on PATH (Debian's package user-mode-linux).
// Where there is none, or none that runs on this processor, the test is skipped and the closing line of the run says so, or
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
	for try := 1; ; try++ {
		console, err := life(t, kernel, script)
		if err == nil {
			return console
		}
		if strings.Contains(console, strangerCPU) {
			absent(t, "uml", "user-mode Linux: the processor's registers are more than its kernel can keep ("+strangerCPU+")")
		}
		t.Logf("try %d of %d: the machine: %v; its console:\n%s", try, machineTries, err, console)
		if try == machineTries || !kernelsFault(console, err) {
			t.Errorf("the machine: %v", err)
			return console
		}
	}
}

// kernelsFault says whether a boot ended badly for what is no fault of the script: a panic is the first process's, and so is a halt
// when it has begun.
func kernelsFault(console string, err error) bool {
	lastBoot := console[max(0, strings.LastIndex(console, "Core dump limits")):]
	if errors.Is(err, context.DeadlineExceeded) {
		return !strings.Contains(lastBoot, "as init process")
	}
	return !strings.Contains(console, "Kernel panic")
}

// life boots it once.
func life(t *testing.T, kernel, script string) (console string, err error) {
	t.Helper()
	dir := t.TempDir()
	boot, outside := filepath.Join(dir, "boot"), filepath.Join(dir, "outside")
	if err := errors.Join(os.Mkdir(outside, 0o700), os.WriteFile(boot, []byte(bootScript+"OUTSIDE="+outside+"\n"+script), 0o700)); err != nil { //nolint:gosec // it is to be executed
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), machineLife)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", fixedAddresses, kernel, "mem=256M", "uml_dir="+dir, "umid=machine",
		"rootfstype=hostfs", "rootflags=/", "ro", "init="+boot, "panic=-1", "con=null", "con0=null,fd:1", "ssl=null")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return string(out), err
}
