package runner

import (
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
	for _, command := range known[jobType].commands {
		if path, err := exec.LookPath(command[0]); err == nil {
			return append([]string{path}, command[1:]...), true
		}
	}
	return nil, false
}

// Hint says how to get the interpreter of a job type; "" for a type that has none of its own.
func Hint(jobType string) string { return known[jobType].get }
