package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herosup/dispatch/client"
)

// Our Redis is waited for as long as it reads its file, however long that is.
func TestARedisThatLoadsForLong(t *testing.T) {
	r := prepare(t, withServer, bashPool)
	real, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(filepath.Dir(r.dir), "bin")
	slow := fmt.Sprintf("#!/bin/sh\nexec %s \"$@\" --enable-debug-command yes\n", real)
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "redis-server"), []byte(slow), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	r.env = append(r.env, "PATH="+bin+":"+os.Getenv("PATH"))
	r.up()
	if _, err := r.d.jobs.Submit(t.Context(), "bash", "true", client.Options{ID: "kept", Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	r.until("Redis has it", func() bool { return r.queued["kept"] == 1 })
	if out, err := r.command("down", "--stop-actors").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r.d.close()
	files, err := filepath.Glob(filepath.Join(r.dir, "redis", "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, bytes.Repeat([]byte("*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$6\r\n0.0006\r\n"), 20_000)...) // more than ten seconds of them
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.up()
	if v := r.record("kept"); v.State != "delayed" {
		t.Errorf("%+v", v)
	}
	if log := r.log(); strings.Contains(log, "redis mended") || strings.Contains(log, "Redis came without its data") {
		t.Errorf("its file was good:\n%s", log)
	}
}
