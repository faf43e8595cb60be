package zinit

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A file that somebody has written must not end a process manager, nor hold it up:
// what the YAML library would need gigabytes for is refused before it.
func TestServiceFileOfManyTokens(t *testing.T) {
	var keys strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&keys, "K%d: v\n", i)
	}
	for name, more := range map[string]string{
		"brackets": strings.Repeat("[", 20_000),
		"dashes":   "\n  " + strings.Repeat("- ", 20_000),
		"keys":     "1\n" + keys.String(),
		"mapping":  "\n  " + strings.ReplaceAll(keys.String(), "\n", "\n  "),
	} {
		text := []byte("exec: sleep 1\nx: " + more + "\n")
		before := allocated()
		_, err := ParseFile(text)
		if err == nil || !strings.Contains(err.Error(), "service file has over 10000 YAML tokens") {
			t.Errorf("%s: got %.200v, want a refusal", name, err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Folder(dir).Get("a"); err == nil || !strings.Contains(err.Error(), "YAML tokens") {
			t.Errorf("get %s: got %.200v, want a refusal", name, err)
		}
		const most = 100 << 20
		if took := allocated() - before; took > most {
			t.Errorf("%s: it took %d MiB to refuse %d KiB", name, took>>20, len(text)>>10)
		}
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// What a service may really hold is read: an environment of two thousand variables, and
// of what we write ourselves as much as a file can.
func TestServiceFileOfManyVariables(t *testing.T) {
	env := map[string]string{}
	var written strings.Builder
	for i := range 2000 {
		env[fmt.Sprintf("K%d", i)] = "v"
		fmt.Fprintf(&written, "  K%d: v\n", i)
	}
	s, err := ParseFile([]byte("exec: sleep 1\nenv:\n" + written.String()))
	if err != nil || len(s.Env) != len(env) {
		t.Errorf("%d variables: %v", len(s.Env), err)
	}
	for i := range 20_000 {
		env[fmt.Sprintf("K%d", i)] = "v"
	}
	c, err := Service{Exec: []string{"sleep"}, Env: env}.Content()
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	if s, err = ParseFile(text); err != nil || len(s.Env) != len(env) {
		t.Errorf("%d variables in a file of ours: %v", len(s.Env), err)
	}
}

// What no zinit could load is not written.
func TestServiceFileOverTheLimit(t *testing.T) {
	for name, content := range map[string]string{
		"plain":   `{"exec":"sleep 1","x":"` + strings.Repeat("y", MaxFile) + `"}`,
		"escaped": `{"exec":"sleep 1","x":"` + strings.Repeat(`\u0001`, MaxFile/4) + `"}`,
	} {
		dir := t.TempDir()
		err := Folder(dir).Create("a", []byte(content))
		if err == nil || !strings.Contains(err.Error(), "would be over the limit") {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}
