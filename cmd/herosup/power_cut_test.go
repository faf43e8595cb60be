package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herosup/dispatch/client"
)

// What a power cut leaves of the files of our Redis, zeros where its last second was, or nothing that can be read, is mended by the next
// start: jobs that were accepted are there, and more are run.
func TestRedisFilesThatCanNotBeRead(t *testing.T) {
	for name, spoil := range map[string]func(text []byte) []byte{
		"zeros at the end": func(text []byte) []byte { // from a command on
			end := bytes.LastIndex(text, []byte("\r\n*")) + len("\r\n")
			return append(text[:end:end], make([]byte, len(text)-end)...)
		},
		"nothing but zeros": func(text []byte) []byte { return make([]byte, len(text)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withServer, bashPool)
			if _, err := r.d.jobs.Submit(t.Context(), "bash", "true", client.Options{ID: "kept", Delay: time.Hour}); err != nil {
				t.Fatal(err)
			}
			r.until("Redis has it", func() bool { return r.queued["kept"] == 1 })
			if out, err := r.command("down", "--stop-actors").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			r.d.close()
			files, err := filepath.Glob(filepath.Join(r.dir, "redis", "appendonlydir", "*.incr.aof"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%v %v", files, err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, spoil(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r.up()
			r.submit("bash", "new", "true")
			r.until("a job that came after", func() bool { return len(r.ends["new"]) == 1 })
			if v := r.record("kept"); v.State != "delayed" {
				t.Errorf("%+v", v)
			}
			if log := r.log(); !strings.Contains(log, "redis mended") {
				t.Errorf("nothing is said of it:\n%s", log)
			}
		})
	}
}
