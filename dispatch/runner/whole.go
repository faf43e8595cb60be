package runner

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// firstLine is how much of a script's first line the kernel reads (BINPRM_BUF_SIZE).
	firstLine = 256
	// nested is how many scripts the kernel lets stand one behind the other.
	nested = 4
)

// Whole says what a program lacks that is there: it is a script, and what its #! line names is not there (any more). Then it could not be started,
// or would end with 127 as if it had done something. path is where env looks, in a line such as "#!/usr/bin/env lua". Nil also where that
// can not be told.
func Whole(path, program string) error {
	for range nested {
		next := interpreterOf(program)
		if next == "" {
			return nil
		}
		found, err := find(path, next)
		if err != nil {
			return noInterpreter{fmt.Errorf("%s is a script for %s, which is not there", program, next)}
		}
		program = found
	}
	return nil
}

// interpreterOf is the absolute path, or with env the name, that a script's first line names; "" for what is no script.
func interpreterOf(program string) string {
	f, err := os.Open(program)
	if err != nil {
		return "" // it need not be readable to be run
	}
	defer f.Close()
	text := make([]byte, firstLine)
	n, _ := io.ReadFull(f, text)
	line, ok := strings.CutPrefix(string(text[:n]), "#!")
	if !ok {
		return ""
	}
	line, _, ended := strings.Cut(line, "\n")
	words := strings.Fields(line)
	if len(words) == 0 || !filepath.IsAbs(words[0]) {
		return "" // what it means depends on who asks
	}
	if len(words) == 1 && !ended && n == firstLine {
		return "" // its end is not here
	}
	if _, err := exec.LookPath(words[0]); err != nil || filepath.Base(words[0]) != "env" {
		return words[0]
	}
	words = words[1:]
	if len(words) > 1 && words[0] == "-S" {
		words = words[1:]
	}
	if len(words) == 0 || strings.ContainsAny(words[0], "=$\"'") || strings.HasPrefix(words[0], "-") {
		return ""
	}
	return words[0]
}

// find is the first program of that name on a PATH; one with a slash is looked at where it is.
func find(path, name string) (string, error) {
	if strings.Contains(name, "/") {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // what it means depends on who asks
		}
		if program, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return program, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}
