package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// program is what is to be executed.
type program struct {
	// path is for execve.
	path string
	// file is the program where its content was looked at; path means it then.
	// nil where it was not.
	file *os.File
	// inherited says that the process has to have the file open, as its third
	// beyond the standard ones: an interpreter reads the script from there.
	inherited bool
}

// openProgram finds the program at path to be sum. It opens it once, and what
// was hashed is what is executed, whatever becomes of the path meanwhile. (Who
// may write into the file itself could still do that in between.)
func openProgram(path, sum string) (program, error) {
	if sum == "" {
		return program{path: path}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return program{}, fmt.Errorf("sha256: %w", err)
	}
	start := make([]byte, 2)
	n, _ := f.ReadAt(start, 0)
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		_ = f.Close()
		return program{}, fmt.Errorf("sha256: %w", err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != strings.ToLower(sum) {
		_ = f.Close()
		return program{}, fmt.Errorf("sha256 of %s is %s, want %s: not executed", path, got, strings.ToLower(sum))
	}
	p := program{file: f, inherited: bytes.Equal(start[:n], []byte("#!"))}
	number := int(f.Fd())
	if p.inherited {
		number = scriptFD
	}
	p.path = "/proc/self/fd/" + strconv.Itoa(number)
	return p, nil
}

// scriptFD is where a process has a script whose content was looked at.
const scriptFD = 3

func (p program) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
}
