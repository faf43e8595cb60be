package runner

import (
	"os/exec"
	"slices"
)

// known are the interpreters that read a script from their standard input with no file and no wrapper.
// The types osis, sal and v are not here: `v run` and `rhai-run` want a file.
var known = map[string][]string{
	"bash":   {"bash"},
	"python": {"python3", "-"},
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
	command := known[jobType]
	if command == nil {
		return nil, false
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, false
	}
	return append([]string{path}, command[1:]...), true
}
