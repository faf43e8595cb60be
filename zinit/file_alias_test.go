package zinit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aliases are n anchors, of which each names the one before ten times.
func aliases(n int) string {
	b := strings.Builder{}
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), i-1)
	}
	return b.String()
}

// A few hundred bytes of aliases are a value of gigabytes, or one without end.
func TestServiceFileOfManyAliases(t *testing.T) {
	long := "a: &a " + strings.Repeat("x", MaxFile/10) + "\n"
	for name, c := range map[string]struct{ more, want string }{
		"nobody's key":    {aliases(5), "more than 10000 values"},
		"a variable":      {aliases(5) + "env: {A: *a5}", "more than 10000 values"},
		"a text":          {aliases(5) + "user: *a5", "more than 10000 values"},
		"more than a sum": {aliases(100), "more than 10000 values"},
		"long":            {long + "b: [" + strings.Repeat("*a,", 999) + "*a]", "more than 1048576 bytes"},
		"long names":      {long + "b: [" + strings.Repeat("{*a : 1},", 999) + "1]", "more than 1048576 bytes"},
		"a block":         {"a: &a |\n  " + long + "b: [" + strings.Repeat("*a,", 999) + "*a]", "more than 1048576 bytes"},
		"itself":          {"user: &a [*a]", "alias a is a part of what it stands for"},
		"in turns":        {"user: &a [&b [*a]]\ngroup: *b", "alias a is a part of what it stands for"},
		"with another":    {"x: &a 1\nuser: &b [*a]\nz: &a [*b]", "anchor a is there twice"},
		"with a tag":      {"user: &a !!seq [*a]", "alias a is a part of what it stands for"},
	} {
		text := []byte("exec: sleep 1\n" + c.more + "\n")
		before := allocated()
		if _, err := ParseFile(text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %.200v, want ...%s...", name, err, c.want)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Folder(dir).Get("a"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("get %s: got %.200s, %.200v, want ...%s...", name, got, err, c.want)
		}
		const most = 100 << 20
		if took := allocated() - before; took > most {
			t.Errorf("%s: it took %d MiB to refuse %d KiB", name, took>>20, len(text)>>10)
		}
	}
}

// As people write them, they are read.
func TestServiceFileWithAliases(t *testing.T) {
	s, err := ParseFile([]byte("common: &common\n  A: a\n  B: &b b\nexec: sleep 1\nenv:\n  <<: *common\n  C: *b\n"))
	if got := fmt.Sprint(s.Env); err != nil || got != "map[A:a B:b C:b]" {
		t.Errorf("got %s, %v", got, err)
	}
}
