package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"herosup/cmd/internal/config"
)

var updateReadme = flag.Bool("update-readme", false, "write the life cycle's drawing into the README")

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fenced returns the text of each fenced block of a language.
func fenced(text, language string) []string {
	var blocks []string
	for {
		_, rest, ok := strings.Cut(text, "```"+language+"\n")
		if !ok {
			return blocks
		}
		block, after, _ := strings.Cut(rest, "```")
		blocks, text = append(blocks, block), after
	}
}

// The drawing in the README is the table in the code.
func TestReadmeDrawsTheTable(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("..", "..", "testdata", "fsm", "lifecycle.mmd"))
	if err != nil {
		t.Fatal(err)
	}
	text := readme(t)
	blocks := fenced(text, "mermaid")
	if len(blocks) != 1 {
		t.Fatalf("%d drawings in the README, want 1", len(blocks))
	}
	if blocks[0] == string(want) {
		return
	}
	if !*updateReadme {
		t.Fatal("the README draws another table than testdata/fsm/lifecycle.mmd (go test ./cmd/herosup -run Readme -update-readme)")
	}
	text = strings.Replace(text, "```mermaid\n"+blocks[0], "```mermaid\n"+string(want), 1)
	if err := os.WriteFile(filepath.Join("..", "..", "README.md"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each configuration shown is one that loads.
func TestReadmeConfigurationsLoad(t *testing.T) {
	blocks := fenced(readme(t), "yaml")
	if len(blocks) == 0 {
		t.Fatal("the README shows no configuration")
	}
	for _, b := range blocks {
		file := filepath.Join(t.TempDir(), "herosup.yaml")
		if err := os.WriteFile(file, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(file, func(string) ([]string, bool) { return nil, false }); err != nil {
			t.Errorf("%v\n%s", err, b)
		}
	}
}
