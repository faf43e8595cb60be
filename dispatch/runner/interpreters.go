package runner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// known says how scripts of a type are run: the first command that is on the PATH, and how to get one.
// python3 and bash read their standard input; the others want a file (see ScriptFile).
var known = map[string]struct {
	commands [][]string
	get      string
}{
	"bash":   {[][]string{{"bash"}}, "install bash"},
	"python": {[][]string{{"python3", "-"}}, "install python3"},
	"osis":   {[][]string{{"rhai-run", "{script.rhai}"}}, "cargo install --locked rhai --bin rhai-run, and put its folder (~/.cargo/bin) on the PATH"},
	"sal":    {[][]string{{"herodo", "{script.rhai}"}}, "cargo install --locked herolib-do --bin herodo (a Rhai with SAL), and put its folder (~/.cargo/bin) on the PATH"},
	"v":      {[][]string{{"v", "run", "{script.v}"}}, "install the V compiler (vlang.io) and put its folder on the PATH"},
}

// Types lists the job types with an interpreter of their own, ordered; Find says whether it is installed.
func Types() []string {
	types := make([]string, 0, len(known))
	for t := range known {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// Find gives the interpreter of a job type with its full path; ok is false if the type has none or it is
// not on this process's PATH. The path is full so that it still holds under another PATH (a
// process manager's).
func Find(jobType string) (argv []string, ok bool) {
	argv, err := FindOn(os.Getenv("PATH"), jobType)
	return argv, err == nil
}

// FindOn is Find with another PATH. The error says what is missing.
func FindOn(path, jobType string) (argv []string, err error) {
	err = fmt.Errorf("no interpreter is known for type %s", jobType)
	for _, command := range known[jobType].commands {
		program, broken := Look(path, command[0])
		if broken == nil {
			return append([]string{program}, command[1:]...), nil
		}
		err = broken
		if errors.Is(broken, exec.ErrNotFound) {
			err = fmt.Errorf("%s, which runs jobs of type %s, is not on the PATH", command[0], jobType)
		}
	}
	return nil, err
}

// Look finds a program on a PATH; one that is named with a slash is looked at where it is. It has to be whole.
func Look(path, name string) (program string, err error) {
	if program, err = find(path, name); err != nil {
		return "", fmt.Errorf("%s is not on the PATH: %w", name, exec.ErrNotFound)
	}
	return program, Whole(path, program)
}

// Name is the program that runs a type's scripts, by its usual name; "" for a type that has none of its own.
func Name(jobType string) string {
	if k := known[jobType]; len(k.commands) > 0 {
		return k.commands[0][0]
	}
	return ""
}

// Hint says how to get the interpreter of a job type; "" for a type that has none of its own.
func Hint(jobType string) string { return known[jobType].get }
