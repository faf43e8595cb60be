package config

import (
	"errors"
	"os"
	"os/exec"
	"strings"

	"github.com/kballard/go-shellquote"

	"herosup/dispatch/runner"
)

// Missing says what the actors of the pool, which is called name, would not find on
// this machine, and how to get it; "" when nothing is missing.
func (p Pool) Missing(name string) (reason, hint string) {
	if p.Command != "" {
		return "", ""
	}
	if p.Interpreter != "" {
		words, err := shellquote.Split(p.Interpreter)
		if err != nil || len(words) == 0 {
			return "", "" // the configuration's check says it
		}
		if _, err := runner.Look(p.path(), words[0]); err != nil {
			reason = err.Error()
			if errors.Is(err, exec.ErrNotFound) {
				reason = words[0] + " is not on this machine's PATH"
			}
			return reason, "install it, or correct pools." + name + ".interpreter"
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

// Runs is what the actors of the pool run, in a few words; "" for what is missing.
func (p Pool) Runs() string {
	switch {
	case p.Command != "":
		return p.Command
	case p.Interpreter != "":
		return p.Interpreter
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
