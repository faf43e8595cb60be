package redisd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	// mendTime bounds the look at a file: it is read once, from its begin to its end.
	mendTime = 10 * time.Minute
	// unreadable is what is put aside; there is one, the last.
	unreadable = ".unreadable"
)

// truncated is how redis-check-aof says what it did.
var truncated = regexp.MustCompile(`from (\d+) bytes, with (\d+) bytes, to \d+ bytes`)

// Mend makes the append-only file of a server of ours readable, which the server can not load: a power cut leaves zeros at its
// end, where Redis mends a short one only. It is cut off at the first unreadable place by the server's own tool (each server is
// its own redis-check-aof, by that name), or put aside if that can not be. The server must not run. What it lacks then comes back
// from the log of jobs. done says what was done; "": the file is good, or there is none.
func Mend(ctx context.Context, program, dir string) (done string, err error) {
	file, whole := filepath.Join(dir, "appendonlydir", "appendonly.aof.manifest"), filepath.Join(dir, "appendonlydir")
	if _, err := os.Stat(file); err != nil { // before Redis 7 it is one file
		file = filepath.Join(dir, "appendonly.aof")
		whole = file
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, mendTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Args = []string{strings.Replace(filepath.Base(program), "-server", "-check-aof", 1), "--fix", file}
	cmd.Stdin, cmd.Dir = strings.NewReader("y\n"), dir
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", fmt.Errorf("mend redis' append-only file: %w", context.Cause(ctx))
	}
	if err == nil {
		if cut := truncated.FindSubmatch(out); cut != nil {
			return fmt.Sprintf("redis' append-only file was cut off where it could not be read: %s of %s bytes, which come back from the log of jobs", cut[2], cut[1]), nil
		}
		return "", nil
	}
	// Its own words, or it did not look: the program may be somebody's script, which drops the name and so starts a server, or be gone.
	if !strings.Contains(strings.ReplaceAll(string(out), dir, ""), "AOF") {
		return "", fmt.Errorf("look at redis' append-only file: %w: %s", err, bytes.TrimSpace(out))
	}
	aside := whole + unreadable
	if err := errors.Join(os.RemoveAll(aside), os.Rename(whole, aside)); err != nil {
		return "", fmt.Errorf("put redis' append-only file aside: %w", err)
	}
	return fmt.Sprintf("redis' append-only file can not be read, and is put aside as %s: jobs come back from the log, results that nobody fetched do not", aside), nil
}
