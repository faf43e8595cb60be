package config

import (
	"fmt"
	"os"

	"github.com/kballard/go-shellquote"

	"herosup/dispatch/runner"
)

// Missing says what the actors of the pool, which is called name, would not find on
// this machine, and how to get it; "" when nothing is missing.
func (p Pool) Missing(name string) (reason, hint string) {
	if p.Command != "" {
		return "", ""
	}
	path, ok := p.Env["PATH"]
	if !ok {
		path = os.Getenv("PATH")
	}
	if p.Interpreter != "" {
		words, err := shellquote.Split(p.Interpreter)
		if err != nil || len(words) == 0 {
			return "", "" // the configuration's check says it
		}
		if _, here := runner.Look(path, words[0]); !here {
			return words[0] + " is not on this machine's PATH", "install it, or correct pools." + name + ".interpreter"
		}
		return "", ""
	}
	if _, here := runner.FindOn(path, p.Type); !here {
		return fmt.Sprintf("%s, which runs jobs of type %s, is not on the PATH", runner.Name(p.Type), p.Type), runner.Hint(p.Type)
	}
	return "", ""
}
