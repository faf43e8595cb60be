package runner

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ScriptFile finds the argument that stands for the script's file: "{script}" or "{script.EXT}", whole. at is -1 if
// there is none: the script then is the interpreter's standard input. name is the file's.
func ScriptFile(argv []string) (at int, name string) {
	for i, word := range argv {
		if i == 0 || !strings.HasPrefix(word, "{script") || !strings.HasSuffix(word, "}") {
			continue
		}
		if name := word[1 : len(word)-1]; fileName(name) {
			return i, name
		}
	}
	return -1, ""
}

// fileName: "script", or that with an extension.
func fileName(name string) bool {
	ext := strings.TrimPrefix(name, "script")
	if ext == "" {
		return true
	}
	return len(ext) > 1 && ext[0] == '.' && strings.IndexFunc(ext[1:], func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) < 0
}

// hold is what runs in the interpreter's place until the script's file is there: it waits for a line and then becomes
// the interpreter, the same process. Without the line (its sender died) it ends.
const hold = `read -r go && exec "$0" "$@" </dev/null`

// heldBy is the command line that does so.
func heldBy(argv []string) []string { return append([]string{"/bin/sh", "-c", hold}, argv...) }

// present says whether the interpreter is there, as the kernel would: behind its start, or the exec of the one that is held, nobody
// could tell that from a script that ends with 127.
func present(program, dir string) error {
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		program = filepath.Join(dir, program)
	}
	found, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	return Whole(BaseEnv()["PATH"], found)
}

// writeScript makes the script's file.
func writeScript(path, script string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(script)
	return errors.Join(err, f.Close())
}
