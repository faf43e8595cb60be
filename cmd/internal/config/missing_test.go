package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a pool's command lacks is said with its program, why, and the key to correct.
func TestMissingProgram(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		t.Helper()
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return at
	}
	well := file("well", "#!/bin/sh\n", 0o755)
	plain := file("plain", "#!/bin/sh\n", 0o644)
	orphan := file("orphan", "#!"+dir+"/lua -e\n", 0o755)
	byEnv := file("by-env", "#!/usr/bin/env no-such-lua\n", 0o755)
	mine := map[string]string{"PATH": dir}
	for _, c := range []struct {
		pool Pool
		want string // "" for nothing
	}{
		{Pool{Command: well + " --x 'a b'"}, ""},
		{Pool{Command: "sh"}, ""},
		{Pool{Command: dir + "/gone --x"}, "program " + dir + "/gone does not exist"},
		{Pool{Command: plain}, "plain is not executable"},
		{Pool{Command: dir}, dir + " is a folder"},
		{Pool{Command: orphan}, "its interpreter " + dir + "/lua does not exist"},
		{Pool{Command: byEnv}, "is a script for no-such-lua, which is not there"},
		{Pool{Command: "no-such-program"}, `"no-such-program" is not on PATH`},
		{Pool{Command: "sh", Env: mine}, "sh is not on this machine's PATH"}, // of its actors
		{Pool{Command: "well", Env: mine, Protocol: protocolHero}, ""},
		{Pool{Command: "gone", Env: mine, Protocol: protocolHero}, "gone is not on this machine's PATH"},
		{Pool{Command: dir + "/gone", Protocol: protocolHero}, "does not exist"},
		{Pool{Command: "'"}, ""},
		{Pool{Command: "sh", Dir: dir}, ""},
	} {
		reason, hint := c.pool.Missing("p")
		if c.want == "" && reason != "" || !strings.Contains(reason, c.want) {
			t.Errorf("%+v: got %q, want %q", c.pool.Command, reason, c.want)
		}
		if c.want != "" && !strings.HasSuffix(hint, "correct pools.p.command") {
			t.Errorf("%+v: hint %q", c.pool.Command, hint)
		}
	}
}

// So is its folder.
func TestMissingFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		dir + "/gone": "folder " + dir + "/gone: no such file or directory (make it, or correct pools.p.dir)",
		file:          file + " is no folder (correct pools.p.dir)",
		file + "/x":   "folder " + file + "/x: not a directory (make it, or correct pools.p.dir)",
	} {
		reason, hint := Pool{Command: "sh", Dir: at}.Missing("p")
		if got := reason + " (" + hint + ")"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
