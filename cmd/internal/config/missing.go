package config

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/kballard/go-shellquote"

	"herosup/dispatch/runner"
	"herosup/zinit"
)

// Missing says what the actors of the pool, which is called name, would not find on
// this machine, and how to get it; "" when nothing is missing.
func (p Pool) Missing(name string) (reason, hint string) {
	if p.Dir != "" {
		if f, err := os.Stat(p.Dir); err != nil {
			return "folder " + p.Dir + ": " + reasonOf(err), "make it, or correct pools." + name + ".dir"
		} else if !f.IsDir() {
			return p.Dir + " is no folder", "correct pools." + name + ".dir"
		}
	}
	if line, key := p.line(); line != "" {
		words, err := shellquote.Split(line)
		if err != nil || len(words) == 0 {
			return "", "" // the configuration's check says it
		}
		if key == "command" && (!p.Hero() || strings.Contains(words[0], "/")) { // else our actor looks for it
			if err := zinit.Runnable(words[0]); err != nil {
				return err.Error(), "put it there again, or correct pools." + name + ".command"
			}
		}
		if _, err := runner.Look(p.path(), words[0]); err != nil {
			reason = err.Error()
			if errors.Is(err, exec.ErrNotFound) {
				reason = words[0] + " is not on this machine's PATH"
			}
			return reason, "install it, or correct pools." + name + "." + key
		}
		return "", ""
	}
	for _, t := range p.Serves() {
		if _, err := runner.FindOn(p.path(), t); err != nil {
			return err.Error(), runner.Hint(t)
		}
	}
	return "", ""
}

// reasonOf is the error without the path, which its reader has.
func reasonOf(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err.Error()
}

// line is the command line that the configuration gives, and its key; "" when the types say what is run.
func (p Pool) line() (line, key string) {
	if p.Command != "" {
		return p.Command, "command"
	}
	return p.Interpreter, "interpreter"
}

// Runs is what the actors of the pool run, in a few words; "" for what is missing.
func (p Pool) Runs() string {
	if line, _ := p.line(); line != "" {
		return line
	}
	var all []string
	for _, t := range p.Serves() {
		if argv, err := runner.FindOn(p.path(), t); err == nil {
			all = append(all, strings.Join(argv, " "))
		}
	}
	return strings.Join(all, ", ")
}

// path is where its actors look for programs.
func (p Pool) path() string {
	if path, ok := p.Env["PATH"]; ok {
		return path
	}
	return os.Getenv("PATH")
}
