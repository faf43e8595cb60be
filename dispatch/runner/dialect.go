package runner

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// dialect is what an interpreter does otherwise than a Unix filter. It is known by the command's name.
type dialect struct {
	// silent: its exit code is 0 whatever the script did, and it writes to its standard error only to tell
	// that the script failed. Seen at rhai-run 1.27.
	silent bool
	// rhai: the language has no environment, so Spec.Constants become constants of the script.
	rhai bool
}

var dialects = map[string]dialect{
	"rhai-run": {silent: true, rhai: true},
	"herodo":   {rhai: true},
}

func dialectOf(argv []string) dialect { return dialects[filepath.Base(argv[0])] }

// text is the script as the interpreter gets it. Constants stand in front of the first line (behind a #! line), so that
// line numbers in error messages are those of the script as it was submitted.
func (d dialect) text(s Spec) string {
	if !d.rhai || len(s.Constants) == 0 {
		return s.Script
	}
	var b strings.Builder
	script := s.Script
	if strings.HasPrefix(script, "#!") {
		first, rest, _ := strings.Cut(script, "\n")
		b.WriteString(first + "\n")
		script = rest
	}
	for _, name := range slices.Sorted(maps.Keys(s.Constants)) {
		b.WriteString("const " + name + " = " + rhaiString(s.Constants[name]) + "; ")
	}
	b.WriteString(script)
	return b.String()
}

// rhaiString is a string literal of Rhai. Everything that is not plain is an escape, so that no value can end the literal
// or begin an interpolation.
func rhaiString(s string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteString(`\x`)
			b.WriteByte(hex[r>>4])
			b.WriteByte(hex[r&15])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
