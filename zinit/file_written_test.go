package zinit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A number of which a part would be lost is refused, as the original refuses it, and one with
// two meanings is.
func TestServiceFileWholeNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"shutdown_timeout: 1.5":             `shutdown_timeout: got "1.5", want a whole number`,
		"shutdown_timeout: 1e3":             `shutdown_timeout: got "1e3", want a whole number`,
		"shutdown_timeout: 010":             `shutdown_timeout: got "010", want a whole number`,
		"restart: {max_exits: 0.9}":         `restart.max_exits: got "0.9", want a whole number`,
		"restart:\n  max_exits: 2.7 # or 3": `restart.max_exits: got "2.7", want a whole number`,
		"log_file: {path: /x, keep: 1.5}":   `log_file.keep: got "1.5", want a whole number`,
	} {
		_, err := ParseFile([]byte("exec: sleep 1\n" + text + "\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want ...%s...", text, err, want)
		}
	}
	for _, text := range []string{"0", "10", "'10'", "0x10", "10 # seconds", "&a 10", "~", ""} {
		if _, err := ParseFile([]byte("exec: sleep 1\nshutdown_timeout: " + text + "\nrestart: {max_exits: 3}\n")); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is read back of a file that somebody has written is what is run.
func TestGetIsWhatIsRun(t *testing.T) {
	for _, text := range []string{
		"umask: 0027", "umask: '0027'", "umask: 27", "user: 010", "memory_max: 0512", "memory_max: 1048576", "rlimits: {nofile: 010}",
		"env: {A: 1, B: 0777, C: true, D: 1.10, E: }", "after: [010, b]", "dir: 10", "test: true", "shutdown_timeout: '5'",
		"restart: {max_exits: '3', delay: 1s}", "log: ~", "signal: {stop: sigint}",
	} {
		text = "exec: sleep 1\n" + text + "\nx: {y: 12345678901234567890, z: [a]}\n"
		want, err := ParseFile([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Folder(dir).Get("a")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var c Content
		if err := json.Unmarshal(b, &c); err != nil {
			t.Errorf("%s\n%s: %v", text, b, err)
			continue
		}
		got, err := c.Service()
		if err != nil {
			t.Errorf("%s\n%s: %v", text, b, err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s\n%s\n%s", text, b, d)
		}
		if !strings.Contains(string(b), "12345678901234567890") || !strings.Contains(string(b), `"z"`) {
			t.Errorf("%s has lost a key that nobody knows: %s", text, b)
		}
	}
}

// Of a file that no service can be made from the text is shown all the same.
func TestGetOfNoService(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("exec: [a]\numask: 0027\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := Folder(dir).Get("a"); err != nil || !strings.Contains(string(b), `"exec": ["a"]`) {
		t.Errorf("got %s, %v", b, err)
	}
}
