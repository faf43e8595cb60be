package zinit

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What was created is what is read back, keys that we do not know included, whatever
// their texts hold.
func TestGetIsWhatWasCreated(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(word(), rapid.SampledFrom([]string{"\x07", "\x1b[0m", "a\nb", "\u2028", "\u0085", "\U0001f600", "true", "1", "null", "~", "", "'\"\\"}))
		want := map[string]any{
			"exec": text.Draw(t, "exec"),
			"x":    map[string]any{text.Draw(t, "key"): []any{text.Draw(t, "inner"), true, nil, 1.0}},
		}
		content, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		f := Folder(dir)
		if err := f.Create("a", content); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(f.path("a"))
		if err != nil {
			t.Fatal(err)
		}
		back, err := f.Get("a")
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		if err := f.Remove("a"); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(back, &got); err != nil {
			t.Fatalf("%v in %s\n%s", err, back, file)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s\n%s", file, d)
		}
	})
}
