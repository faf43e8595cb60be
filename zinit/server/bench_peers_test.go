package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// From SIGKILL of a child to the first instruction of the next, ours beside the
// process managers that are on PATH (supervisord, pm2), in the same run. The
// child notes its PID by way of a shell, which is part of each figure.
func BenchmarkKillToRestartBeside(b *testing.B) {
	program := stampProgram(b)
	managers := []struct {
		name string
		run  func(b *testing.B, dir, script string)
	}{{"ours", runOurs}, {"supervisord", runSupervisord}, {"pm2", runPM2}}
	for _, m := range managers {
		b.Run(m.name, func(b *testing.B) {
			dir := b.TempDir()
			script := filepath.Join(dir, "child.sh")
			text := fmt.Sprintf("#!/bin/sh\necho $$ >%[1]s/pid.new; mv %[1]s/pid.new %[1]s/pid\nexec %[2]s %[1]s/stamp wait\n", dir, program)
			ok(b, os.WriteFile(script, []byte(text), 0o700)) //nolint:gosec // it is to be executed
			m.run(b, dir, script)
			var took []time.Duration
			for b.Loop() {
				stamped(b, filepath.Join(dir, "stamp"))
				pid, err := os.ReadFile(filepath.Join(dir, "pid"))
				ok(b, err)
				ok(b, os.Remove(filepath.Join(dir, "stamp")))
				<-time.After(1100 * time.Millisecond) // pm2 and supervisord take a shorter life for a failed start
				began := time.Now()
				ok(b, syscall.Kill(atoi(b, string(pid)), syscall.SIGKILL))
				took = append(took, stamped(b, filepath.Join(dir, "stamp")).Sub(began))
			}
			median(b, took, "ms/kill-to-next")
		})
	}
}

func runOurs(b *testing.B, _, script string) {
	b.Helper()
	// A row of restarts is not what is measured: each is the first.
	svc := zinit.Service{Exec: []string{script}, Extension: zinit.Extension{Restart: zinit.Restart{Healthy: time.Second}}}
	up(b, zinittest.Start(b).Client(b), "child", svc)
}

func runSupervisord(b *testing.B, dir, script string) {
	b.Helper()
	supervisord, err := exec.LookPath("supervisord")
	if err != nil {
		b.Skip("no supervisord on PATH")
	}
	conf := filepath.Join(dir, "conf")
	ok(b, os.WriteFile(conf, []byte("[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile="+dir+"/daemon\n"+
		"[program:child]\ncommand="+script+"\nautorestart=true\n"), 0o600))
	cmd := exec.Command(supervisord, "-n", "-c", conf)
	ok(b, cmd.Start())
	b.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
}

func runPM2(b *testing.B, dir, script string) {
	b.Helper()
	pm2, err := exec.LookPath("pm2")
	if err != nil {
		b.Skip("no pm2 on PATH")
	}
	call := func(args ...string) *exec.Cmd {
		cmd := exec.Command(pm2, args...)
		cmd.Env = append(os.Environ(), "PM2_HOME="+filepath.Join(dir, "home"))
		return cmd
	}
	if out, err := call("start", script, "--interpreter", "none").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	b.Cleanup(func() { _ = call("kill").Run() })
}
