package config

import (
	"fmt"
	"os"
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
		if _, here := runner.Look(p.path(), words[0]); !here {
			return words[0] + " is not on this machine's PATH", "install it, or correct pools." + name + ".interpreter"
		}
		return "", ""
	}
	for _, t := range p.Serves() {
		if _, here := runner.FindOn(p.path(), t); !here {
			return fmt.Sprintf("%s, which runs jobs of type %s, is not on the PATH", runner.Name(t), t), runner.Hint(t)
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
		if argv, ok := runner.FindOn(p.path(), t); ok {
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
